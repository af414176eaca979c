// SPDX-License-Identifier: Apache-2.0
//
// Resources from messages and to messages, in the old form and the new.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

// ---- from messages ----

static struct ranges *ranges_from_proto(const Mesos__V1__Value__Ranges *message)
{
    struct range *items AUTO_FREE = mem_calloc(message->n_range + 1, sizeof(items[0]));
    for (size_t i = 0; i < message->n_range; i++) {
        items[i] = (struct range){.begin = message->range[i]->begin, .end = message->range[i]->end};
    }
    return ranges_new(items, message->n_range);
}

// The role that it is allocated to, held; or NULL.
static struct intern *allocation_of(const Mesos__V1__Resource *message)
{
    const Mesos__V1__Resource__AllocationInfo *allocation = message->allocation_info;
    return allocation != NULL && allocation->role != NULL ? intern_get(allocation->role) : NULL;
}

void resource_entry_from_proto(const Mesos__V1__Resource *message, struct resource_entry *ret_entry)
{
    struct resource_entry entry = {
        .kind = resource_kind_get(message), .role = allocation_of(message), .count = 1};
    switch (message->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        entry.scalar = scalar_from_double(message->scalar->value);
        break;
    case MESOS__V1__VALUE__TYPE__RANGES:
        entry.ranges = ranges_from_proto(message->ranges);
        break;
    default:
        entry.set = text_set_new((const char *const *)message->set->item, message->set->n_item);
        break;
    }
    *ret_entry = entry;
}

int resources_from_proto(Mesos__V1__Resource *const *messages, size_t count,
                         struct resources **ret_resources, struct error *err)
{
    AUTO_RESOURCES struct resources *r = resources_new();
    for (size_t i = 0; i < count; i++) {
        struct resource_entry entry = {.count = 1};
        if (resource_read_plain(messages[i], &entry.kind, &entry.scalar)) {
            resource_kind_hold(entry.kind);
            entry.role = allocation_of(messages[i]);
            resources_take_entry(r, &entry);
            continue;
        }
        struct error why;
        int result = resources_validate(messages[i], &why);
        if (result < 0) {
            AUTO_BUF struct buf text = BUF_INIT;
            buf_init(&text, 150);
            resource_put_text(messages[i], &text);
            return error_set(err, result, "Resource '%s' is invalid: %s",
                             text.data != NULL ? text.data : "", why.text);
        }
        resource_entry_from_proto(messages[i], &entry);
        resources_take_entry(r, &entry);
    }
    *ret_resources = TAKE_PTR(r);
    return 0;
}

void resources_complete_messages(Mesos__V1__Resource *const *messages, size_t count,
                                 const char *role, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->allocation_info != NULL && messages[i]->allocation_info->role != NULL) {
            continue;
        }
        messages[i]->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                                mesos__v1__resource__allocation_info);
        messages[i]->allocation_info->role = (char *)(uintptr_t)role;
    }
}

// ---- to messages ----

static void set_value(Mesos__V1__Resource *m, const struct resource_entry *entry,
                      struct arena *arena)
{
    switch (entry->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        m->scalar = WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
        m->scalar->value = scalar_to_double(entry->scalar);
        break;
    case MESOS__V1__VALUE__TYPE__RANGES:
        m->ranges = WIRE_NEW(arena, Mesos__V1__Value__Ranges, mesos__v1__value__ranges);
        m->ranges->n_range = entry->ranges->count;
        m->ranges->range = arena_calloc(arena, entry->ranges->count, sizeof(m->ranges->range[0]));
        for (uint32_t i = 0; i < entry->ranges->count; i++) {
            Mesos__V1__Value__Range *range =
                WIRE_NEW(arena, Mesos__V1__Value__Range, mesos__v1__value__range);
            range->begin = entry->ranges->items[i].begin;
            range->end = entry->ranges->items[i].end;
            m->ranges->range[i] = range;
        }
        break;
    default:
        m->set = WIRE_NEW(arena, Mesos__V1__Value__Set, mesos__v1__value__set);
        m->set->n_item = entry->set->count;
        m->set->item = arena_calloc(arena, entry->set->count, sizeof(m->set->item[0]));
        for (uint32_t i = 0; i < entry->set->count; i++) {
            m->set->item[i] = arena_strdup(arena, entry->set->items[i]);
        }
        break;
    }
}

// The old fields say what the one reservation says. Refined reservations have no old form.
static void set_old_form(Mesos__V1__Resource *m, enum resources_form form, struct arena *arena)
{
    if (m->n_reservations > 1) {
        return;
    }
    if (m->n_reservations == 0) {
        m->role = arena_strdup(arena, "*");
        return;
    }
    const Mesos__V1__Resource__ReservationInfo *reservation = m->reservations[0];
    m->role = reservation->role;
    if (reservation->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC) {
        m->reservation = WIRE_NEW(arena, Mesos__V1__Resource__ReservationInfo,
                                  mesos__v1__resource__reservation_info);
        m->reservation->principal = reservation->principal;
        m->reservation->labels = reservation->labels;
    }
    if (form == RESOURCES_OLD_FORM) {
        m->n_reservations = 0;
        m->reservations = NULL;
    }
}

static Mesos__V1__Resource *entry_to_proto(const struct resource_entry *entry, struct arena *arena,
                                           enum resources_form form, bool with_allocation)
{
    Mesos__V1__Resource *m;
    if (entry->kind->simple) {
        m = WIRE_NEW(arena, Mesos__V1__Resource, mesos__v1__resource);
        m->name = arena_strdup(arena, entry->kind->name);
        m->type = entry->kind->type;
    } else {
        m = WIRE_COPY(arena, Mesos__V1__Resource, entry->kind->message);
    }
    set_value(m, entry, arena);
    if (form != RESOURCES_NEW_FORM) {
        set_old_form(m, form, arena);
    }
    if (with_allocation && entry->role != NULL) {
        m->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                      mesos__v1__resource__allocation_info);
        m->allocation_info->role = arena_strdup(arena, entry->role->text);
    }
    return m;
}

// A shared resource is sent once however often it is held; an exclusive one as often as it is
// there.
size_t resources_to_proto(const struct resources *r, struct arena *arena, enum resources_form form,
                          bool with_allocation, Mesos__V1__Resource ***ret_messages)
{
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        count += r->entries[i].kind->shared ? 1 : r->entries[i].count;
    }
    Mesos__V1__Resource **messages = arena_calloc(arena, count + 1, sizeof(messages[0]));
    count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t times = r->entries[i].kind->shared ? 1 : r->entries[i].count;
        for (uint32_t k = 0; k < times; k++) {
            messages[count++] = entry_to_proto(&r->entries[i], arena, form, with_allocation);
        }
    }
    *ret_messages = messages;
    return count;
}
