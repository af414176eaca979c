// SPDX-License-Identifier: Apache-2.0
//
// Whether one Resource message is sound. The order of the checks and their texts are Mesos'.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/resource_entry.h"
#include "model/validate.h"
#include "wire/wire.h"

#define TYPE(NAME) MESOS__V1__VALUE__TYPE__##NAME
#define SOURCE(NAME) MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__##NAME
#define RESERVATION(NAME) MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__##NAME

// ---- values ----

static int validate_scalar(const Mesos__V1__Resource *m, struct error *err)
{
    if (m->scalar == NULL || m->ranges != NULL || m->set != NULL) {
        return error_set(err, -EINVAL, "Invalid scalar resource");
    }
    double value = m->scalar->value;
    if (value != 0 && scalar_from_double(value) <= 0) {
        return error_set(err, -EINVAL, "Invalid scalar resource: value <= 0");
    }
    if (scalar_from_double(value) >= SCALAR_MAX) {
        return error_set(err, -EINVAL, "Invalid scalar resource: value is too large");
    }
    return 0;
}

static int compare_ranges(const void *a_, const void *b_)
{
    const struct range *a = a_;
    const struct range *b = b_;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

static int validate_ranges(const Mesos__V1__Resource *m, struct error *err)
{
    if (m->scalar != NULL || m->ranges == NULL || m->set != NULL) {
        return error_set(err, -EINVAL, "Invalid ranges resource");
    }
    size_t count = m->ranges->n_range;
    struct range *items AUTO_FREE = mem_calloc(count + 1, sizeof(items[0]));
    for (size_t i = 0; i < count; i++) {
        items[i].begin = m->ranges->range[i]->begin;
        items[i].end = m->ranges->range[i]->end;
        if (items[i].begin > items[i].end) {
            return error_set(err, -EINVAL, "Invalid ranges resource: begin > end");
        }
    }
    qsort(items, count, sizeof(items[0]), compare_ranges);
    for (size_t i = 1; i < count; i++) {
        if (items[i].begin <= items[i - 1].end) {
            return error_set(err, -EINVAL, "Invalid ranges resource: overlapping ranges");
        }
    }
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int validate_set(const Mesos__V1__Resource *m, struct error *err)
{
    if (m->scalar != NULL || m->ranges != NULL || m->set == NULL) {
        return error_set(err, -EINVAL, "Invalid set resource");
    }
    size_t count = m->set->n_item;
    if (count < 2) {
        return 0;
    }
    char **items AUTO_FREE = mem_dup(m->set->item, count * sizeof(items[0]));
    qsort(items, count, sizeof(items[0]), compare_texts);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(items[i - 1], items[i]) == 0) {
            return error_set(err, -EINVAL, "Invalid set resource: duplicated elements");
        }
    }
    return 0;
}

static int validate_value(const Mesos__V1__Resource *m, struct error *err)
{
    switch (m->type) {
    case TYPE(SCALAR):
        return validate_scalar(m, err);
    case TYPE(RANGES):
        return validate_ranges(m, err);
    case TYPE(SET):
        return validate_set(m, err);
    case TYPE(TEXT):
        return error_set(err, -EINVAL, "Unsupported resource type");
    default:
        return error_set(err, -EINVAL, "Invalid resource type");
    }
}

// ---- disks ----

static int validate_disk(const Mesos__V1__Resource *m, struct error *err)
{
    if (m->disk == NULL) {
        return 0;
    }
    if (strcmp(m->name, "disk") != 0) {
        return error_set(err, -EINVAL, "DiskInfo should not be set for %s resource", m->name);
    }
    const Mesos__V1__Resource__DiskInfo__Source *source = m->disk->source;
    if (source == NULL) {
        return 0;
    }
    switch (source->type) {
    case SOURCE(PATH):
    case SOURCE(MOUNT):
        return 0;
    case SOURCE(BLOCK):
    case SOURCE(RAW):
        if (source->mount != NULL || source->path != NULL) {
            return error_set(err, -EINVAL, "%s should not be set for %s disk source",
                             source->mount != NULL ? "Mount" : "Path",
                             source->type == SOURCE(RAW) ? "RAW" : "BLOCK");
        }
        return 0;
    default:
        return error_set(err, -EINVAL, "Unsupported 'DiskInfo.Source.Type' in '%s'", "UNKNOWN");
    }
}

// ---- reservations ----

static bool has_role(const Mesos__V1__Resource *m)
{
    return m->role != NULL && m->role != mesos__v1__resource__role__default_value;
}

static int validate_old_form(const Mesos__V1__Resource *m, struct error *err)
{
    const char *role = m->role != NULL ? m->role : "*";
    int r = validate_role(role, err);
    if (r < 0 || m->reservation == NULL) {
        return r;
    }
    if (m->reservation->has_type) {
        return error_set(err, -EINVAL,
                         "'Resource.ReservationInfo.type' must not be set for the "
                         "'Resource.reservation' field");
    }
    if (m->reservation->role != NULL) {
        return error_set(err, -EINVAL,
                         "'Resource.ReservationInfo.role' must not be set for the "
                         "'Resource.reservation' field");
    }
    if (strcmp(role, "*") == 0) {
        return error_set(err, -EINVAL,
                         "Invalid reservation: role \"*\" cannot be dynamically reserved");
    }
    return 0;
}

static int validate_reservation(const Mesos__V1__Resource__ReservationInfo *reservation,
                                struct error *err)
{
    if (!reservation->has_type) {
        return error_set(err, -EINVAL,
                         "Invalid reservation: 'Resource.ReservationInfo.type' field must be set.");
    }
    if (reservation->role == NULL) {
        return error_set(err, -EINVAL,
                         "Invalid reservation: 'Resource.ReservationInfo.role' field must be set.");
    }
    int r = validate_role(reservation->role, err);
    if (r < 0) {
        return r;
    }
    if (strcmp(reservation->role, "*") == 0) {
        return error_set(err, -EINVAL, "Invalid reservation: role \"*\" cannot be reserved");
    }
    return 0;
}

// Each reservation behind the first narrows the one before it.
static int validate_refinements(const Mesos__V1__Resource *m, struct error *err)
{
    for (size_t i = 1; i < m->n_reservations; i++) {
        const Mesos__V1__Resource__ReservationInfo *reservation = m->reservations[i];
        const char *ancestor = m->reservations[i - 1]->role;
        if (reservation->type == RESERVATION(STATIC)) {
            return error_set(err, -EINVAL,
                             "Invalid refined reservation: A refined reservation cannot be STATIC");
        }
        if (!role_is_below(reservation->role, ancestor)) {
            return error_set(err, -EINVAL,
                             "Invalid refined reservation: role '%s' is not a refinement of '%s'",
                             reservation->role, ancestor);
        }
    }
    return 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool is_same_labels(const Mesos__V1__Labels *a, const Mesos__V1__Labels *b)
{
    size_t a_count = a != NULL ? a->n_labels : 0;
    size_t b_count = b != NULL ? b->n_labels : 0;
    if (a_count == 0 || b_count == 0) {
        return a_count == b_count;
    }
    return wire_is_equal(&a->base, &b->base) != 0;
}

// The old fields may stand beside the one reservation when they say the same.
static int validate_both_forms(const Mesos__V1__Resource *m, struct error *err)
{
    const Mesos__V1__Resource__ReservationInfo *only = m->reservations[0];
    if (has_role(m) && strcmp(m->role, only->role) != 0) {
        return error_set(err, -EINVAL,
                         "Invalid resource format: 'Resource.role' field with '%s' does not match "
                         "the role '%s' in 'Resource.reservations'",
                         m->role, only->role);
    }
    if (only->type == RESERVATION(STATIC)) {
        return m->reservation == NULL
                   ? 0
                   : error_set(err, -EINVAL,
                               "Invalid resource format: 'Resource.reservation' must not be set if "
                               "the single reservation in 'Resource.reservations' is STATIC");
    }
    if (only->type != RESERVATION(DYNAMIC)) {
        return error_set(err, -EINVAL, "Unsupported 'Resource.ReservationInfo.Type'");
    }
    if (has_role(m) != (m->reservation != NULL)) {
        return error_set(err, -EINVAL,
                         "Invalid resource format: 'Resource.role' and 'Resource.reservation' must "
                         "either be both set or both not set if the single reservation in "
                         "'Resource.reservations' is DYNAMIC");
    }
    if (m->reservation != NULL && !is_same_text(m->reservation->principal, only->principal)) {
        return error_set(err, -EINVAL,
                         "Invalid resource format: 'Resource.reservation.principal' field with "
                         "'%s' does not match the principal '%s' in 'Resource.reservations'",
                         m->reservation->principal != NULL ? m->reservation->principal : "",
                         only->principal != NULL ? only->principal : "");
    }
    if (m->reservation != NULL && !is_same_labels(m->reservation->labels, only->labels)) {
        return error_set(err, -EINVAL,
                         "Invalid resource format: 'Resource.reservation.labels' field does not "
                         "match the labels in 'Resource.reservations'");
    }
    return 0;
}

static int validate_new_form(const Mesos__V1__Resource *m, struct error *err)
{
    for (size_t i = 0; i < m->n_reservations; i++) {
        int r = validate_reservation(m->reservations[i], err);
        if (r < 0) {
            return r;
        }
    }
    int r = validate_refinements(m, err);
    if (r < 0) {
        return r;
    }
    if (m->n_reservations == 1) {
        return validate_both_forms(m, err);
    }
    if (has_role(m) || m->reservation != NULL) {
        return error_set(err, -EINVAL,
                         "Invalid resource format: 'Resource.%s' must not be set if there is more "
                         "than one reservation in 'Resource.reservations'",
                         has_role(m) ? "role" : "reservation");
    }
    return 0;
}

// ---- all ----

static int validate_shared(const Mesos__V1__Resource *m, struct error *err)
{
    if (m->shared == NULL) {
        return 0;
    }
    if (strcmp(m->name, "disk") != 0) {
        return error_set(err, -EINVAL, "Resource %s cannot be shared", m->name);
    }
    if (m->disk == NULL || m->disk->persistence == NULL) {
        return error_set(err, -EINVAL, "Only persistent volumes can be shared");
    }
    return 0;
}

int resources_validate(const Mesos__V1__Resource *message, struct error *err)
{
    struct resource_kind *kind;
    int64_t scalar;
    if (resource_read_plain(message, &kind, &scalar)) {
        return 0;
    }
    if (message->name == NULL || message->name[0] == '\0') {
        return error_set(err, -EINVAL, "Empty resource name");
    }
    int r = validate_value(message, err);
    if (r == 0) {
        r = validate_disk(message, err);
    }
    if (r == 0) {
        r = message->n_reservations == 0 ? validate_old_form(message, err)
                                         : validate_new_form(message, err);
    }
    return r == 0 ? validate_shared(message, err) : r;
}
