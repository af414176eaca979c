// SPDX-License-Identifier: Apache-2.0
//
// The generator xoshiro256**, seeded through splitmix64 (both by Blackman and Vigna, public domain
// algorithms).

#include "base/prng.h"

#include "base/check.h"

void prng_seed(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        prng->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

uint64_t prng_u64(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    // The high half of a product is in [0, bound); the few low halves that would make some results
    // likelier than others are drawn again.
    unsigned __int128 product;
    uint64_t uneven;

    CHECK(bound > 0);
    uneven = -bound % bound;
    do {
        product = (unsigned __int128)prng_u64(prng) * bound;
    } while ((uint64_t)product < uneven);
    return (uint64_t)(product >> 64);
}

double prng_unit(struct prng *prng)
{
    return (double)(prng_u64(prng) >> 11) * 0x1.0p-53;
}
