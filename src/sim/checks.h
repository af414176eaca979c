// SPDX-License-Identifier: Apache-2.0
//
// What must come about once the world is calm. Each waits for its condition as long as its bound
// allows, and fails by saying what is missing.

#pragma once

#include "sim/sim.h"

#define SIM_BEGIN_NS (1000 * NS_PER_S)

void checks_calm(struct sim *sim);
void checks_drain(struct sim *sim);
void checks_leave(struct sim *sim);
