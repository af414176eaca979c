// SPDX-License-Identifier: Apache-2.0
//
// Interned strings: equal texts are one object while anyone holds it, so they are compared by
// pointer. For role names and the like, which repeat in every resource. One thread.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct intern {
    uint32_t references;
    uint32_t size; // of the text, without its end
    char text[];
};

struct intern *intern_get(const char *text); // the caller drops it with intern_drop
void intern_forget(struct intern *s);        // that nobody holds any more

// NULL is fine.
static inline struct intern *intern_hold(struct intern *s)
{
    if (s != NULL) {
        s->references++;
    }
    return s;
}

// NULL is fine; returns NULL.
static inline struct intern *intern_drop(struct intern *s)
{
    if (s != NULL && --s->references == 0) {
        intern_forget(s);
    }
    return NULL;
}
