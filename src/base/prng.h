// SPDX-License-Identifier: Apache-2.0
//
// A seeded generator, so that cores draw ids and jitter without asking the system. The shells seed
// it from the kernel. Not for secrets.

#pragma once

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_seed(struct prng *prng, uint64_t seed);
uint64_t prng_u64(struct prng *prng);
uint64_t prng_below(struct prng *prng, uint64_t bound); // [0, bound); bound > 0; unbiased
double prng_unit(struct prng *prng);                    // [0, 1)
