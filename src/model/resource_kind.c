// SPDX-License-Identifier: Apache-2.0
//
// The table of kinds. A kind's key spells out its whole identity with each text behind its length,
// so that no two identities share a key. The last drop takes a kind out of the table.

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

static struct map kinds;

enum { KEEP_VOLUME = 1, KEEP_RESERVATIONS = 2 };

static void put_text(struct buf *key, const char *text)
{
    if (text == NULL) {
        buf_putc(key, '-');
        return;
    }
    buf_put_u64(key, strlen(text));
    buf_putc(key, ':');
    buf_puts(key, text);
}

static int compare_labels(const void *a_, const void *b_)
{
    const Mesos__V1__Label *a = *(Mesos__V1__Label *const *)a_;
    const Mesos__V1__Label *b = *(Mesos__V1__Label *const *)b_;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order
                      : strcmp(a->value != NULL ? a->value : "", b->value != NULL ? b->value : "");
}

// The order of labels does not count.
static void put_labels(struct buf *key, const Mesos__V1__Labels *labels)
{
    if (labels == NULL) {
        buf_putc(key, '-');
        return;
    }
    buf_put_u64(key, labels->n_labels);
    if (labels->n_labels == 0) {
        return;
    }
    Mesos__V1__Label **sorted AUTO_FREE =
        mem_dup(labels->labels, labels->n_labels * sizeof(sorted[0]));
    qsort(sorted, labels->n_labels, sizeof(sorted[0]), compare_labels);
    for (size_t i = 0; i < labels->n_labels; i++) {
        put_text(key, sorted[i]->key);
        put_text(key, sorted[i]->value);
    }
}

static void put_reservations(struct buf *key, const Mesos__V1__Resource *m)
{
    for (size_t i = 0; i < m->n_reservations; i++) {
        const Mesos__V1__Resource__ReservationInfo *reservation = m->reservations[i];
        buf_putc(key, reservation->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC
                          ? 'S'
                          : 'D');
        put_text(key, reservation->role);
        put_text(key, reservation->principal);
        put_labels(key, reservation->labels);
    }
}

static void put_volume(struct buf *key, const Mesos__V1__Resource__DiskInfo *disk)
{
    if (disk->persistence != NULL && disk->persistence->principal != NULL) {
        buf_putc(key, 'q');
        put_text(key, disk->persistence->principal);
    }
    if (disk->volume == NULL) {
        return;
    }
    buf_putc(key, 'v');
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(&disk->volume->base, &bytes);
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        buf_putc(key, hex[(unsigned char)bytes.data[i] >> 4]);
        buf_putc(key, hex[(unsigned char)bytes.data[i] & 15]);
    }
}

static void put_disk(struct buf *key, const Mesos__V1__Resource__DiskInfo *disk, unsigned keep)
{
    const Mesos__V1__Resource__DiskInfo__Source *source = disk->source;
    buf_putc(key, 'd');
    if (source != NULL) {
        buf_putc(key, (char)('0' + source->type));
        buf_putc(key, source->path != NULL ? 'p' : '-');
        put_text(key, source->path != NULL ? source->path->root : NULL);
        buf_putc(key, source->mount != NULL ? 'm' : '-');
        put_text(key, source->mount != NULL ? source->mount->root : NULL);
        put_text(key, source->vendor);
        put_text(key, source->id);
        put_labels(key, source->metadata);
        put_text(key, source->profile);
    }
    buf_putc(key, 'P');
    put_text(key, disk->persistence != NULL ? disk->persistence->id : NULL);
    if ((keep & KEEP_VOLUME) != 0) {
        put_volume(key, disk);
    }
}

// `m` is in the new form.
static void put_key(struct buf *key, const Mesos__V1__Resource *m, unsigned keep)
{
    buf_putc(key, (char)('0' + m->type));
    put_text(key, m->name);
    if (m->revocable != NULL) {
        buf_putc(key, 'r');
    }
    if (m->shared != NULL) {
        buf_putc(key, 's');
    }
    if (m->provider_id != NULL) {
        buf_putc(key, 'i');
        put_text(key, m->provider_id->value);
    }
    if ((keep & KEEP_RESERVATIONS) != 0) {
        put_reservations(key, m);
    }
    if (m->disk != NULL) {
        put_disk(key, m->disk, keep);
    }
}

static bool is_exclusive(const Mesos__V1__Resource__DiskInfo *disk)
{
    if (disk == NULL) {
        return false;
    }
    const Mesos__V1__Resource__DiskInfo__Source *source = disk->source;
    if (source != NULL && (source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT ||
                           source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK ||
                           (source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW &&
                            source->id != NULL))) {
        return true;
    }
    return disk->persistence != NULL;
}

static struct resource_kind *kind_find(const Mesos__V1__Resource *m, unsigned keep);

// A copy of what `keep` and every kind keep of `m`.
static Mesos__V1__Resource *copy_bare(const Mesos__V1__Resource *m, unsigned keep,
                                      struct arena *arena)
{
    Mesos__V1__Resource bare = *m;
    bare.scalar = NULL;
    bare.ranges = NULL;
    bare.set = NULL;
    bare.allocation_info = NULL;
    if ((keep & KEEP_RESERVATIONS) == 0) {
        bare.n_reservations = 0;
        bare.reservations = NULL;
    }
    Mesos__V1__Resource *copy = WIRE_COPY(arena, Mesos__V1__Resource, &bare);
    if ((keep & KEEP_VOLUME) == 0 && copy->disk != NULL) {
        copy->disk->volume = NULL;
        if (copy->disk->persistence != NULL) {
            copy->disk->persistence->principal = NULL;
        }
    }
    return copy;
}

static bool has_volume(const Mesos__V1__Resource__DiskInfo *disk)
{
    return disk != NULL && (disk->volume != NULL ||
                            (disk->persistence != NULL && disk->persistence->principal != NULL));
}

static struct resource_kind *kind_new(const Mesos__V1__Resource *m, unsigned keep, const char *key)
{
    struct resource_kind *kind = mem_zalloc(sizeof(*kind));
    kind->arena = arena_new(512, 0);
    kind->message = copy_bare(m, keep, kind->arena);
    const Mesos__V1__Resource *bare = kind->message;
    kind->interned_name = intern_get(bare->name);
    kind->name = kind->interned_name->text;
    kind->type = bare->type;
    kind->revocable = bare->revocable != NULL;
    kind->shared = bare->shared != NULL;
    kind->exclusive = is_exclusive(bare->disk);
    kind->persistent = bare->disk != NULL && bare->disk->persistence != NULL;
    kind->reservation_count = bare->n_reservations;
    kind->simple = bare->revocable == NULL && bare->shared == NULL && bare->disk == NULL &&
                   bare->provider_id == NULL && bare->n_reservations == 0;
    if (bare->n_reservations > 0) {
        const Mesos__V1__Resource__ReservationInfo *last =
            bare->reservations[bare->n_reservations - 1];
        kind->role = intern_get(last->role);
        kind->dynamic = last->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
    }
    kind->key = mem_strdup(key);
    kind->identity = kind;
    map_put(&kinds, key, kind);
    if (has_volume(bare->disk)) {
        kind->identity = kind_find(bare, keep & ~(unsigned)KEEP_VOLUME);
    }
    kind->plain = kind->type == MESOS__V1__VALUE__TYPE__SCALAR && !kind->exclusive &&
                  !kind->shared && kind->identity == kind;
    return kind;
}

// Kinds that are nothing but a name and a type, as nearly all are, by the name's first letters; of
// two in one place the last is kept. Without references of its own.
enum { SIMPLE_PLACES = 64 };
static struct resource_kind *simple_kinds[SIMPLE_PLACES];

static size_t simple_place(const char *name)
{
    return name[0] == '\0' ? 0 : ((unsigned char)name[0] + (unsigned char)name[1]) % SIMPLE_PLACES;
}

// `m` without its role and its reservation in the old form.
static struct resource_kind *find_simple(const Mesos__V1__Resource *m)
{
    if (m->n_reservations > 0 || m->revocable != NULL || m->shared != NULL ||
        m->provider_id != NULL || m->disk != NULL) {
        return NULL;
    }
    struct resource_kind *kind = simple_kinds[simple_place(m->name)];
    return kind != NULL && kind->type == m->type && strcmp(kind->name, m->name) == 0 ? kind : NULL;
}

static bool has_no_role(const Mesos__V1__Resource *m)
{
    return m->role == NULL || (m->role[0] == '*' && m->role[1] == '\0');
}

bool resource_read_plain(const Mesos__V1__Resource *message, struct resource_kind **ret_kind,
                         int64_t *ret_scalar)
{
    const Mesos__V1__Resource *m = message;
    if (m->type != MESOS__V1__VALUE__TYPE__SCALAR || m->scalar == NULL || m->ranges != NULL ||
        m->set != NULL || m->reservation != NULL || m->name == NULL || !has_no_role(m)) {
        return false;
    }
    struct resource_kind *kind = find_simple(m);
    int64_t scalar = scalar_from_double(m->scalar->value);
    if (kind == NULL || scalar <= 0 || scalar >= SCALAR_MAX) {
        return false;
    }
    *ret_kind = kind;
    *ret_scalar = scalar;
    return true;
}

// A held kind for a message in the new form.
static struct resource_kind *kind_find(const Mesos__V1__Resource *m, unsigned keep)
{
    struct resource_kind *simple = find_simple(m);
    if (simple != NULL) {
        return resource_kind_hold(simple);
    }
    AUTO_BUF struct buf key = BUF_INIT;
    put_key(&key, m, keep);
    struct resource_kind *kind = map_get_n(&kinds, key.data, key.size);
    if (kind == NULL) {
        kind = kind_new(m, keep, key.data);
    }
    if (kind->simple) {
        simple_kinds[simple_place(kind->name)] = kind;
    }
    return resource_kind_hold(kind);
}

struct resource_kind *resource_kind_get(const Mesos__V1__Resource *message)
{
    const unsigned keep = KEEP_VOLUME | KEEP_RESERVATIONS;
    Mesos__V1__Resource m = *message;
    Mesos__V1__Resource__ReservationInfo reservation;
    Mesos__V1__Resource__ReservationInfo *one[1] = {&reservation};
    if (m.n_reservations == 0 && !has_no_role(&m)) {
        if (m.reservation != NULL) {
            reservation = *m.reservation;
            reservation.type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
        } else {
            mesos__v1__resource__reservation_info__init(&reservation);
            reservation.type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        }
        reservation.has_type = 1;
        reservation.role = m.role;
        m.reservations = one;
        m.n_reservations = 1;
    }
    m.role = NULL;
    m.reservation = NULL;
    return kind_find(&m, keep);
}

struct resource_kind *resource_kind_unreserved(struct resource_kind *kind)
{
    if (kind->reservation_count == 0) {
        return resource_kind_hold(kind);
    }
    return kind_find(kind->message, KEEP_VOLUME);
}

void resource_kind_forget(struct resource_kind *kind)
{
    CHECK(map_remove(&kinds, kind->key) == kind);
    if (simple_kinds[simple_place(kind->name)] == kind) {
        simple_kinds[simple_place(kind->name)] = NULL;
    }
    if (kind->identity != kind) {
        resource_kind_drop((struct resource_kind *)kind->identity);
    }
    intern_drop(kind->interned_name);
    intern_drop(kind->role);
    arena_free(kind->arena);
    mem_free(kind->key);
    mem_free(kind);
    if (kinds.count == 0) {
        map_free(&kinds);
    }
}
