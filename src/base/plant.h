// SPDX-License-Identifier: Apache-2.0
//
// Planted faults: `meson setup -Dplant=NAME` builds one of them in, to prove that the simulator
// finds it. Every other build has none, and the compiler removes each `if (PLANTED(...))`.

#pragma once

#define PLANT_NONE 0
#define PLANT_ACKNOWLEDGE_BEFORE_DURABLE 1 // the disk answers before the batch is on it
#define PLANT_DROP_RETRY_TIMER 2           // a status update is sent once and never again
#define PLANT_OFFER_TWICE 3                // what comes back to an agent is counted twice
#define PLANT_REUSE_UPDATE_POSITION 4      // an acknowledgement of an older update counts
#define PLANT_FORGET_TASK 5                // a returning agent's last task is not taken over
#define PLANT_FORGET_EPOCH_CHECK 6         // a write in ZooKeeper counts whoever owns the registry

#ifndef PLANT
#define PLANT PLANT_NONE
#endif

#define PLANTED(NAME) (PLANT == PLANT_##NAME)
