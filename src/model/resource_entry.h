// SPDX-License-Identifier: Apache-2.0
//
// The inside of `struct resources`, for src/model and for the allocator, which walks entries in its
// inner loop. Everybody else uses resources.h.
//
// An entry is a kind (what it is), a role that it is allocated to, and an amount. Kinds are
// interned and immutable, so entries are compared by pointer and copied without allocating. The
// entries keep the order of their first appearance.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/intern.h"
#include "model/resources.h"
#include "model/value.h"

// All of a resource but its amount and allocation.
struct resource_kind {
    uint32_t references;
    Mesos__V1__Value__Type type;
    bool revocable;
    bool shared;
    bool exclusive;  // indivisible: MOUNT, BLOCK and named RAW disks, persistent volumes
    bool persistent; // a persistent volume
    bool simple;     // a name only: no reservation, disk, provider, revocable or shared
    bool dynamic;    // its last reservation is DYNAMIC
    bool plain;      // a scalar that can be divided, whose identity is itself
    size_t reservation_count;
    const char *name; // the text of interned_name
    struct intern *interned_name;
    struct intern *role;                  // the last reservation's; NULL when unreserved
    const struct resource_kind *identity; // itself, or the same without `volume` and the volume's
                                          // principal, which do not count in comparisons
    Mesos__V1__Resource *message;         // the new form, without value and allocation
    struct arena *arena;                  // holds `message`
    char *key;                            // in the table of kinds
};

// The kind of a sound message (resources_validate), in the old form or the new.
struct resource_kind *resource_kind_get(const Mesos__V1__Resource *message);
void resource_kind_forget(struct resource_kind *kind); // that nobody holds any more
// The same thing without its reservations.
struct resource_kind *resource_kind_unreserved(struct resource_kind *kind);

// What nearly all resources are: an amount of a simple kind that is known already. When `message`
// is one, and sound, tells which; the kind is not held for the caller. All others, sound or not,
// are for resources_validate and resource_entry_from_proto.
bool resource_read_plain(const Mesos__V1__Resource *message, struct resource_kind **ret_kind,
                         int64_t *ret_scalar);

static inline struct resource_kind *resource_kind_hold(struct resource_kind *kind)
{
    kind->references++;
    return kind;
}

// Returns NULL.
static inline struct resource_kind *resource_kind_drop(struct resource_kind *kind)
{
    if (--kind->references == 0) {
        resource_kind_forget(kind);
    }
    return NULL;
}

struct resource_entry {
    struct resource_kind *kind;
    struct intern *role; // allocated to; NULL: not allocated
    union {
        int64_t scalar; // thousandths, > 0
        struct ranges *ranges;
        struct text_set *set;
    };
    uint32_t count; // how many of an exclusive or shared resource; else 1
};

enum { RESOURCES_INLINE = 4 };

struct resources {
    uint32_t count;
    uint32_t capacity;
    uint32_t sharers;               // of resources_share; 0: it is one owner's, who may change it
    struct resource_entry *entries; // `few`, or memory of its own
    struct resource_entry few[RESOURCES_INLINE];
};

// Adds what is left of `entry` after holding its parts; the entry stays the caller's.
void resources_add_entry(struct resources *r, const struct resource_entry *entry);
// The same, and the caller's hold of the entry's parts goes over to `r`.
void resources_take_entry(struct resources *r, const struct resource_entry *entry);
// Adds `other` as if it were allocated to nothing.
void resources_add_unallocated(struct resources *r, const struct resources *other);
// Of resources that stand in another object.
void resources_init(struct resources *r);
void resources_clear(struct resources *r); // makes them empty, and frees what they hold
// Makes `r` a copy of `other`, in the memory that it has.
void resources_assign(struct resources *r, const struct resources *other);
// Like resources_allocate, for resources that are allocated to nothing yet.
void resources_set_role(struct resources *r, struct intern *role);
void resource_entry_hold(const struct resource_entry *entry);
void resource_entry_drop(const struct resource_entry *entry);
bool resource_entry_is_empty(const struct resource_entry *entry);

// Reads amount and kind of a sound message; the caller drops the entry.
void resource_entry_from_proto(const Mesos__V1__Resource *message,
                               struct resource_entry *ret_entry);
void resource_entry_put_text(const struct resource_entry *entry, struct buf *out);

// True when `role` is below `parent` in the hierarchy ("a/b" is below "a").
bool role_is_below(const char *role, const char *parent);

// New resources with the entries for which `wanted` says true.
struct resources *resources_filter(const struct resources *r,
                                   bool (*wanted)(const struct resource_entry *entry,
                                                  const void *ctx),
                                   const void *ctx);
