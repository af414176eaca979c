// SPDX-License-Identifier: Apache-2.0
//
// What many agents say alike of themselves: their flags' resources, their capabilities, their
// version. It is kept once for all who say the same, and is never changed. Found by a hash of its
// bytes; if two that differ have the same, the second is kept by itself.

#include <string.h>

#include "master/internal.h"

struct shared_description {
    char key[32];   // in master->descriptions
    size_t holders; // agents
    struct arena *arena;
    Meseta__Link__AgentDescription *parts;
    size_t size;
    const void *bytes; // `parts`, encoded; in the arena
};

static struct shared_description *make_description(const Meseta__Link__AgentDescription *parts,
                                                   const void *bytes, size_t size, const char *key)
{
    struct shared_description *d = mem_zalloc(sizeof(*d));
    memcpy(d->key, key, sizeof(d->key));
    d->holders = 1;
    d->arena = arena_new(1024, 0);
    d->size = size;
    d->bytes = arena_dup(d->arena, bytes, size);
    d->parts = WIRE_COPY(d->arena, Meseta__Link__AgentDescription, parts);
    return d;
}

struct shared_description *master_description_hold(
    struct master *m, const Meseta__Link__AgentDescription *description)
{
    static char none[1] = "";
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    info.hostname = none;
    info.n_resources = description->info->n_resources;
    info.resources = description->info->resources;
    Meseta__Link__AgentDescription parts = MESETA__LINK__AGENT_DESCRIPTION__INIT;
    parts.info = &info;
    parts.version = description->version;
    parts.pid = none;
    parts.n_capabilities = description->n_capabilities;
    parts.capabilities = description->capabilities;
    const void *bytes;
    size_t size = wire_pack(&parts.base, &bytes);
    char key[32] = "";
    text_format(key, sizeof(key), "%zu-%zu", (size_t)map_hash(bytes, size), size);
    struct shared_description *known = map_get(&m->descriptions, key);
    if (known == NULL) {
        known = make_description(&parts, bytes, size, key);
        map_put(&m->descriptions, key, known);
    } else if (known->size == size && memcmp(known->bytes, bytes, size) == 0) {
        known->holders++;
    } else {
        known = make_description(&parts, bytes, size, key);
    }
    return known;
}

struct shared_description *master_description_drop(struct master *m, struct shared_description *d)
{
    if (d == NULL || --d->holders > 0)
        return NULL;
    if (map_get(&m->descriptions, d->key) == d)
        map_remove(&m->descriptions, d->key);
    arena_free(d->arena);
    mem_free(d);
    return NULL;
}

const Meseta__Link__AgentDescription *master_description_parts(const struct shared_description *d)
{
    return d->parts;
}
