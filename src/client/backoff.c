// SPDX-License-Identifier: Apache-2.0

#include "client/backoff.h"

#include "base/check.h"
#include "env/env.h"

void backoff_init(struct backoff *b, int64_t min_ns, int64_t max_ns)
{
    CHECK(min_ns > 0);
    b->min_ns = min_ns < max_ns ? min_ns : max_ns;
    b->max_ns = max_ns > 0 ? max_ns : min_ns;
    backoff_reset(b);
}

void backoff_reset(struct backoff *b)
{
    b->next_ns = b->min_ns;
}

int64_t backoff_next(struct backoff *b)
{
    int64_t most = b->next_ns;
    b->next_ns = most > b->max_ns / 2 ? b->max_ns : most * 2;
    uint64_t half = (uint64_t)most / 2 + 1;
    return most / 2 + (int64_t)(env_random_u64() % half);
}
