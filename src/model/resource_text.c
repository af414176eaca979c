// SPDX-License-Identifier: Apache-2.0
//
// Resources as people read them: in logs, in error texts and in the v0 endpoints.

#include <string.h>

#include "base/mem.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

// ---- one resource ----

static void put_labels(const Mesos__V1__Labels *labels, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < labels->n_labels; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        buf_puts(out, labels->labels[i]->key);
        if (labels->labels[i]->value != NULL) {
            buf_printf(out, ": %s", labels->labels[i]->value);
        }
    }
    buf_putc(out, '}');
}

static void put_reservation(const Mesos__V1__Resource__ReservationInfo *reservation,
                            struct buf *out)
{
    const char *type = wire_enum_name(&mesos__v1__resource__reservation_info__type__descriptor,
                                      (int)reservation->type);
    buf_printf(out, "(%s,%s", type != NULL ? type : "UNKNOWN",
               reservation->role != NULL ? reservation->role : "");
    if (reservation->principal != NULL) {
        buf_printf(out, ",%s", reservation->principal);
    }
    if (reservation->labels != NULL) {
        buf_putc(out, ',');
        put_labels(reservation->labels, out);
    }
    buf_putc(out, ')');
}

static void put_reservations(const Mesos__V1__Resource *m, struct buf *out)
{
    if (m->n_reservations == 0) {
        return;
    }
    buf_puts(out, "(reservations: [");
    for (size_t i = 0; i < m->n_reservations; i++) {
        buf_puts(out, i > 0 ? "," : "");
        put_reservation(m->reservations[i], out);
    }
    buf_puts(out, "])");
}

static void put_source(const Mesos__V1__Resource__DiskInfo__Source *source, struct buf *out)
{
    const char *type = wire_enum_name(&mesos__v1__resource__disk_info__source__type__descriptor,
                                      (int)source->type);
    buf_puts(out, type != NULL ? type : "UNKNOWN");
    const char *root = NULL;
    if (source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT) {
        root = source->mount != NULL ? source->mount->root : NULL;
    } else if (source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH) {
        root = source->path != NULL ? source->path->root : NULL;
    }
    if (source->id != NULL || source->profile != NULL) {
        buf_printf(out, "(%s,%s,%s)", source->vendor != NULL ? source->vendor : "",
                   source->id != NULL ? source->id : "",
                   source->profile != NULL ? source->profile : "");
    } else if (root != NULL) {
        buf_printf(out, ":%s", root);
    }
}

static void put_volume(const Mesos__V1__Volume *volume, struct buf *out)
{
    buf_putc(out, ':');
    if (volume->host_path != NULL) {
        buf_printf(out, "%s:", volume->host_path);
    }
    buf_puts(out, volume->container_path);
    if (volume->host_path != NULL) {
        buf_puts(out, volume->mode == MESOS__V1__VOLUME__MODE__RO ? ":ro" : ":rw");
    }
}

static void put_disk(const Mesos__V1__Resource__DiskInfo *disk, struct buf *out)
{
    buf_putc(out, '[');
    if (disk->source != NULL) {
        put_source(disk->source, out);
    }
    if (disk->persistence != NULL) {
        buf_puts(out, disk->source != NULL ? "," : "");
        buf_puts(out, disk->persistence->id);
    }
    if (disk->volume != NULL) {
        put_volume(disk->volume, out);
    }
    buf_putc(out, ']');
}

// Everything before the amount.
static void put_head(const Mesos__V1__Resource *m, const char *allocation_role, struct buf *out)
{
    buf_puts(out, m->name);
    if (allocation_role != NULL) {
        buf_printf(out, "(allocated: %s)", allocation_role);
    }
    put_reservations(m, out);
    if (m->disk != NULL) {
        put_disk(m->disk, out);
    }
    buf_puts(out, m->revocable != NULL ? "{REV}" : "");
    buf_puts(out, m->shared != NULL ? "<SHARED>" : "");
    buf_putc(out, ':');
}

void resource_put_text(const Mesos__V1__Resource *m, struct buf *out)
{
    put_head(m, m->allocation_info != NULL ? m->allocation_info->role : NULL, out);
    if (m->type == MESOS__V1__VALUE__TYPE__SCALAR && m->scalar != NULL) {
        scalar_put_text(scalar_from_double(m->scalar->value), out);
    } else if (m->type == MESOS__V1__VALUE__TYPE__RANGES && m->ranges != NULL) {
        value_put_ranges_text(m->ranges, out);
    } else if (m->type == MESOS__V1__VALUE__TYPE__SET && m->set != NULL) {
        value_put_set_text(m->set, out);
    }
}

static void put_amount(const struct resource_entry *entry, struct buf *out)
{
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        scalar_put_text(entry->scalar, out);
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        ranges_put_text(entry->ranges, out);
    } else {
        text_set_put_text(entry->set, out);
    }
}

void resource_entry_put_text(const struct resource_entry *entry, struct buf *out)
{
    put_head(entry->kind->message, entry->role != NULL ? entry->role->text : NULL, out);
    put_amount(entry, out);
    if (entry->kind->shared) {
        buf_printf(out, "<%u>", entry->count);
    }
}

// ---- many ----

void resources_put_text(const struct resources *r, struct buf *out)
{
    if (r->count == 0) {
        buf_puts(out, "{}");
        return;
    }
    bool is_first = true;
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t times = r->entries[i].kind->shared ? 1 : r->entries[i].count;
        for (uint32_t k = 0; k < times; k++) {
            buf_puts(out, is_first ? "" : "; ");
            resource_entry_put_text(&r->entries[i], out);
            is_first = false;
        }
    }
}

bool resources_put_ranges_text(const struct resources *r, const char *name, struct buf *out)
{
    struct ranges *all = NULL;
    bool is_found = false;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES &&
            strcmp(entry->kind->name, name) == 0) {
            struct ranges *sum = ranges_union(all, entry->ranges);
            ranges_drop(all);
            all = sum;
            is_found = true;
        }
    }
    if (is_found) {
        ranges_put_text(all, out);
    }
    ranges_drop(all);
    return is_found;
}

// ---- summaries ----

// Sums the entries from `first` on that share its name, type and revocability.
static void summarize(const struct resources *r, uint32_t first, struct arena *arena,
                      struct resource_summary *summary)
{
    const struct resource_kind *kind = r->entries[first].kind;
    *summary = (struct resource_summary){
        .name = arena_strdup(arena, kind->name), .revocable = kind->revocable, .type = kind->type};
    struct resources *part = resources_new();
    for (uint32_t i = first; i < r->count; i++) {
        const struct resource_kind *other = r->entries[i].kind;
        if (other->type == kind->type && other->revocable == kind->revocable &&
            strcmp(other->name, kind->name) == 0) {
            resources_add_entry(part, &r->entries[i]);
        }
    }
    AUTO_BUF struct buf text = BUF_INIT;
    if (kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        summary->scalar = resources_scalar(part, kind->name);
    } else if (kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        resources_put_ranges_text(part, kind->name, &text);
    } else {
        struct text_set *all = NULL;
        for (uint32_t i = 0; i < part->count; i++) {
            struct text_set *sum = text_set_union(all, part->entries[i].set);
            text_set_drop(all);
            all = sum;
        }
        text_set_put_text(all, &text);
        text_set_drop(all);
    }
    summary->text = kind->type == MESOS__V1__VALUE__TYPE__SCALAR
                        ? NULL
                        : arena_strndup(arena, text.data, text.size);
    resources_free(part);
}

size_t resources_summarize(const struct resources *r, struct arena *arena,
                           struct resource_summary **ret_summaries)
{
    struct resource_summary *summaries = arena_calloc(arena, r->count + 1, sizeof(summaries[0]));
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *kind = r->entries[i].kind;
        bool is_seen = false;
        for (size_t k = 0; k < count && !is_seen; k++) {
            is_seen = summaries[k].revocable == kind->revocable &&
                      summaries[k].type == kind->type && strcmp(summaries[k].name, kind->name) == 0;
        }
        if (!is_seen) {
            summarize(r, i, arena, &summaries[count++]);
        }
    }
    *ret_summaries = summaries;
    return count;
}

bool resources_are_simple(const struct resources *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (!r->entries[i].kind->simple || r->entries[i].count > 1) {
            return false;
        }
    }
    return true;
}

static void put_value_json(struct json_writer *w, const struct resource_entry *entry)
{
    switch (entry->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        JSON_KEY_STRING(w, "type", "SCALAR");
        JSON_KEY(w, "scalar");
        json_object_open(w);
        JSON_KEY_DOUBLE(w, "value", scalar_to_double(entry->scalar));
        json_object_close(w);
        return;
    case MESOS__V1__VALUE__TYPE__RANGES:
        JSON_KEY_STRING(w, "type", "RANGES");
        JSON_KEY(w, "ranges");
        json_object_open(w);
        JSON_KEY(w, "range");
        json_array_open(w);
        for (uint32_t i = 0; i < entry->ranges->count; i++) {
            json_object_open(w);
            JSON_KEY_U64(w, "begin", entry->ranges->items[i].begin);
            JSON_KEY_U64(w, "end", entry->ranges->items[i].end);
            json_object_close(w);
        }
        json_array_close(w);
        json_object_close(w);
        return;
    default:
        JSON_KEY_STRING(w, "type", "SET");
        JSON_KEY(w, "set");
        json_object_open(w);
        JSON_KEY(w, "item");
        json_array_open(w);
        for (uint32_t i = 0; i < entry->set->count; i++) {
            json_string(w, entry->set->items[i]);
        }
        json_array_close(w);
        json_object_close(w);
    }
}

bool resources_put_simple_json(const struct resources *r, struct json_writer *w)
{
    if (!resources_are_simple(r)) {
        return false;
    }
    json_array_open(w);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        json_object_open(w);
        JSON_KEY_STRING(w, "name", entry->kind->name);
        put_value_json(w, entry);
        JSON_KEY_STRING(w, "role", "*");
        if (entry->role != NULL) {
            JSON_KEY(w, "allocation_info");
            json_object_open(w);
            JSON_KEY_STRING(w, "role", entry->role->text);
            json_object_close(w);
        }
        json_object_close(w);
    }
    json_array_close(w);
    return true;
}
