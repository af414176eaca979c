// SPDX-License-Identifier: Apache-2.0
//
// Resource arithmetic. Scalars are integers in thousandths (Mesos rounds to three digits as well);
// ranges are sorted and disjoint; sets are sorted. Two amounts add up only when everything else of
// them is equal (name, reservations, disk, revocable, shared, provider, allocation role), as in
// Mesos' Resources class (src/common/resources.cpp). The model keeps the
// post-reservation-refinement form: `reservations` as a stack; role and reservation of the old form
// are converted at the edge.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "proto/mesos.pb-c.h"

struct resources; // a multiset of resource entries

struct resources *resources_new(void);
struct resources *resources_free(struct resources *r); // NULL is fine; returns NULL
struct resources *resources_copy(const struct resources *r);
void resources_free_at(struct resources **r);
#define AUTO_RESOURCES __attribute__((cleanup(resources_free_at)))

// For amounts that are kept in numbers and never changed, as those of tasks: many have the same.
// Takes `r`, and returns what may stand for all that are the same as it; for resources_unshare.
const struct resources *resources_share(struct resources *r);
const struct resources *resources_unshare(const struct resources *shared); // as resources_free

// From messages: checks each (resources_validate) and adds. Takes the old form and the new.
int resources_from_proto(Mesos__V1__Resource *const *messages, size_t count,
                         struct resources **ret_resources, struct error *err);

enum resources_form {
    RESOURCES_OLD_FORM,      // role and reservation; refined reservations stay in the new form
    RESOURCES_NEW_FORM,      // reservations
    RESOURCES_ENDPOINT_FORM, // both side by side, as the v0 endpoints' "..._full" lists have it
};
// To messages in the arena. The new form for frameworks with RESERVATION_REFINEMENT and between
// master and agent. `with_allocation` keeps allocation_info.
size_t resources_to_proto(const struct resources *r, struct arena *arena, enum resources_form form,
                          bool with_allocation, Mesos__V1__Resource ***ret_messages);

// Allocates those messages to the role that do not say one. It has to stay as long as they.
void resources_complete_messages(Mesos__V1__Resource *const *messages, size_t count,
                                 const char *role, struct arena *arena);

// "cpus:4;mem:1024;ports:[31000-32000];disks:{a,b};cpus(role):2" or a JSON array of Resource.
// Whatever lacks a role gets `default_role`.
int resources_parse(const char *text, const char *default_role, struct resources **ret_resources,
                    struct error *err);

// Whether it is made of names and amounts alone: nothing reserved, shared or revocable, no disk's
// source. And its messages in RESOURCES_ENDPOINT_FORM as JSON, an array, if that is so; else false.
bool resources_are_simple(const struct resources *r);
struct json_writer;
bool resources_put_simple_json(const struct resources *r, struct json_writer *w);

bool resources_is_empty(const struct resources *r);
bool resources_has_shared(const struct resources *r);
bool resources_is_equal(const struct resources *a, const struct resources *b);
// Whether they are equal and in the same order, so that they look the same in every form; and a
// number that is the same then.
bool resources_is_same(const struct resources *a, const struct resources *b);
uint32_t resources_hash(const struct resources *r);
bool resources_contains(const struct resources *r, const struct resources *part);
// The same, but one copy of something shared stands for any number of them.
bool resources_covers(const struct resources *r, const struct resources *part);
void resources_add(struct resources *r, const struct resources *other);
// `other` must be contained (CHECKed).
void resources_subtract(struct resources *r, const struct resources *other);
// Takes away what is there of `other`, and no more.
void resources_subtract_available(struct resources *r, const struct resources *other);

// Sum over all entries of that name; 0 when absent. Thousandths.
int64_t resources_scalar(const struct resources *r, const char *name);
// The same over those entries only that are revocable, or that are not.
int64_t resources_scalar_of(const struct resources *r, const char *name, bool revocable);
// Sums of the scalars called names[i], in thousandths, when there is nothing else in `r` and
// nothing revocable; else false.
bool resources_sum_scalars(const struct resources *r, const char *const *names, size_t count,
                           int64_t *ret_sums);
// The role that the first entry is allocated to; NULL when there is none.
const char *resources_role(const struct resources *r);
// Distinct names of scalars, in order of first appearance; the array lives in the arena.
size_t resources_scalar_names(const struct resources *r, struct arena *arena, const char ***ret);

// Allocation: which role an amount was offered or launched for. Set on every entry, or cleared.
void resources_allocate(struct resources *r, const char *role);
void resources_unallocate(struct resources *r);

// Views as new objects, allocation kept.
struct resources *resources_unreserved(const struct resources *r);
struct resources *resources_reserved(const struct resources *r, const char *role); // NULL: any role
// What a framework in `role` may be offered: unreserved, or reserved to it or to a parent of it.
struct resources *resources_allocatable_to(const struct resources *r, const char *role);
struct resources *resources_revocable(const struct resources *r);
struct resources *resources_non_revocable(const struct resources *r);
struct resources *resources_shared(const struct resources *r);
struct resources *resources_non_shared(const struct resources *r);

// The same with all reservations taken off.
struct resources *resources_to_unreserved(const struct resources *r);
// Finds an amount for `wanted` in `r`, whatever its reservations: first what is reserved to the
// role that `wanted` names, then unreserved, then the rest. The result has r's reservations.
// -ENOENT.
int resources_find(const struct resources *r, const struct resources *wanted,
                   struct resources **ret_found);

// Roles that `r` reserves to, most specific only, without doubles; in the arena.
size_t resources_reserved_roles(const struct resources *r, struct arena *arena,
                                const char ***ret_roles);

// Roles that something of `r` is allocated to, without doubles; in the arena.
size_t resources_allocated_roles(const struct resources *r, struct arena *arena,
                                 const char ***ret_roles);
bool resources_are_allocated_to(const struct resources *r, const char *role); // any of them

// "cpus:0.1; mem:100; ports:[31000-31001]" for logs and messages, as Mesos prints Resources.
void resources_put_text(const struct resources *r, struct buf *out);
void resource_put_text(const Mesos__V1__Resource *message, struct buf *out); // sound or not

// One message on its own: name, type, value, role and reservation are sound. Mesos' texts.
int resources_validate(const Mesos__V1__Resource *message, struct error *err);

// Ports and other ranges, as in "[31000-31009, 31011-31020]"; for the v0 endpoints. Only entries of
// `name`; nothing when absent.
bool resources_put_ranges_text(const struct resources *r, const char *name, struct buf *out);

// Walks the distinct (name, revocable) pairs of r for the v0 resources object; see v0_resources in
// src/api. `scalar` is in thousandths when type is SCALAR; text holds ranges or sets otherwise.
struct resource_summary {
    const char *name;
    bool revocable;
    Mesos__V1__Value__Type type;
    int64_t scalar;
    const char *text;
};
size_t resources_summarize(const struct resources *r, struct arena *arena,
                           struct resource_summary **ret_summaries);
