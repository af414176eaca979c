// SPDX-License-Identifier: Apache-2.0
//
// Interned strings: equal texts are one object while anyone holds it, so they are compared by
// pointer. For role names and the like, which repeat in every resource. One thread.

#pragma once

#include <stdint.h>

struct intern {
    uint32_t references;
    char text[];
};

struct intern *intern_get(const char *text);  // the caller drops it with intern_drop
struct intern *intern_hold(struct intern *s); // NULL is fine
struct intern *intern_drop(struct intern *s); // NULL is fine; returns NULL
