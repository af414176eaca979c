// SPDX-License-Identifier: Apache-2.0
//
// Amounts by the name of a resource, in thousandths, whatever their reservations: ranges and sets
// count their members. What is not named is zero. In an arena, which the caller owns.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/resources.h"

struct quantity {
    const char *name;
    int64_t amount;
};

struct quantities {
    struct arena *arena;
    struct quantity *list; // sorted by name
    size_t count, capacity;
};

#define QUANTITIES_IN(in_arena)                                                                    \
    (struct quantities)                                                                            \
    {                                                                                              \
        .arena = (in_arena)                                                                        \
    }

int64_t quantities_get(const struct quantities *q, const char *name);
void quantities_add(struct quantities *q, const char *name, int64_t amount); // may be negative
void quantities_add_all(struct quantities *q, const struct quantities *other, int sign);
// Of `r` what is allocated to `role` or a role below it; NULL: all, allocated or not.
void quantities_add_allocated(struct quantities *q, const struct resources *r, const char *role);
// Of `r` what is reserved to `role` or a role below it.
void quantities_add_reserved(struct quantities *q, const struct resources *r, const char *role);
// Each amount of `part` is in `whole`.
bool quantities_contain(const struct quantities *whole, const struct quantities *part);
// The same for limits: what they do not name is without limit.
bool quantities_are_within(const struct quantities *part, const struct quantities *limits);
// "cpus:1; mem:32"; "{}" when empty. In the arena.
const char *quantities_text(const struct quantities *q);
bool role_is_within(const char *role, const char *root); // it, or below it
