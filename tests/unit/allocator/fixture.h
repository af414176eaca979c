// SPDX-License-Identifier: Apache-2.0
//
// What the allocator's tests share: an allocator whose offers are noted down.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocator/allocator.h"
#include "base/mem.h"

struct offer {
    char *framework;
    char *role;
    char *agent;
    struct resources *resources;
};

struct fixture {
    struct allocator *allocator;
    struct instant now;
    struct offer *offers; // of the last run
    size_t offer_count;
};

void fixture_open(struct fixture *f, const struct allocator_options *options);
void fixture_close(struct fixture *f);
// Runs once; the offers are those of this run.
size_t fixture_run(struct fixture *f);
void fixture_advance(struct fixture *f, int64_t ns);
// Gives back what the offer offered.
void fixture_decline(struct fixture *f, const struct offer *offer, int64_t refuse_ns);
// How many of the last run's offers went to the framework.
size_t fixture_count(const struct fixture *f, const char *framework);

void add_framework(struct fixture *f, const char *id, const char *role, unsigned capabilities);
void add_agent(struct fixture *f, const char *id, const char *resources);
// As the flag --resources; a JSON list may have dynamic reservations too.
struct resources *parse(const char *text);
void assert_resources(const struct resources *r, const char *expected);
