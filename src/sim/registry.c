// SPDX-License-Identifier: Apache-2.0

#include "sim/registry.h"

#include <string.h>

#include "base/text.h"
#include "sim/sim.h"

#define ROOT "/mesos/log_replicas/meseta"

static const char *key_of_value(struct sim *sim, const char *key, const void *value, size_t size)
{
    if (value == NULL)
        return arena_printf(sim->scratch, "%s\ndeleted", key);
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)value)[i]) * UINT64_C(1099511628211);
    return arena_printf(sim->scratch, "%s\n%016llx", key, (unsigned long long)hash);
}

static void note(struct sim *sim, const char *key, const void *value, size_t size)
{
    map_put(&sim->registry.committed, key_of_value(sim, key, value, size), sim);
    if (value != NULL)
        map_put(&sim->registry.keys, key, sim);
}

void registry_disk_changes(struct sim *sim, const char *key, const void *value, size_t size)
{
    note(sim, key, value, size);
}

void registry_told(struct sim *sim, const char *key, const void *value, size_t size)
{
    if (value == NULL && !registry_ever_had(sim, key))
        return; // it never was there, or was put and deleted at once
    REQUIRE(sim, map_has(&sim->registry.committed, key_of_value(sim, key, value, size)),
            "a master is told that %s is durable, and it is not", key);
}

bool registry_ever_had(const struct sim *sim, const char *key)
{
    return map_has(&sim->registry.keys, key);
}

// The key of an entry's znode, in the scratch arena; NULL: it is no entry.
static const char *entry_key(struct sim *sim, const char *path)
{
    static const char prefix[] = ROOT "/entries/";
    if (!text_starts_with(path, prefix))
        return NULL;
    const char *name = strchr(path + sizeof(prefix) - 1, '/');
    char *key;
    if (name == NULL || text_percent_decode(name + 1, strlen(name + 1), false, &key) < 0)
        return NULL;
    const char *copy = arena_strdup(sim->scratch, key);
    mem_free(key);
    return copy;
}

// ---- who may write ----

// The process whose candidate is the lowest; 0: there is none.
static uint64_t leading_process(struct sim *sim)
{
    const struct zoo_tree *tree = &sim->zoo.tree;
    const char *lowest = zoo_lowest_candidate(tree);
    const struct znode *node = lowest != NULL ? map_get(&tree->nodes, lowest) : NULL;
    return node != NULL ? zoo_session_process(sim, node->owner) : 0;
}

static void take_over(struct sim *sim, uint64_t process)
{
    uint64_t leading = leading_process(sim);
    REQUIRE(sim, process == leading,
            "process %llu takes the registry over while process %llu leads",
            (unsigned long long)process, (unsigned long long)leading);
    TRACE(sim, "process %llu takes the registry over", (unsigned long long)process);
    if (sim->registry.owner != 0 && sim->registry.owner != process)
        mark(sim, MARK_REGISTRY_TAKEN_OVER);
    sim->registry.owner = process;
}

void registry_zoo_changes(struct sim *sim, const struct zoo_txn *txn, uint64_t process)
{
    bool has_entries = false;
    const struct zoo_change *epoch = NULL;
    for (size_t i = 0; i < txn->count; i++) {
        const struct zoo_change *change = &txn->changes[i];
        const char *key = entry_key(sim, change->path);
        if (strcmp(change->path, ROOT "/epoch") == 0 && change->what == ZNODE_SET)
            epoch = change;
        if (key == NULL)
            continue;
        has_entries = true;
        note(sim, key, change->what == ZNODE_DELETED ? NULL : change->data, change->size);
        TRACE(sim, "zoo: process %llu %s %s", (unsigned long long)process,
              change->what == ZNODE_DELETED ? "deletes" : "puts", key);
    }
    // The owner's name, once more, is a write, though it may change no entry.
    const struct znode *old = map_get(&sim->zoo.tree.nodes, ROOT "/epoch");
    bool is_write = has_entries || (epoch != NULL && old->size == epoch->size &&
                                    memcmp(old->data, epoch->data, old->size) == 0);
    if (epoch != NULL && !is_write)
        take_over(sim, process);
    REQUIRE(sim, !is_write || process == sim->registry.owner,
            "process %llu writes the registry, which is process %llu's",
            (unsigned long long)process, (unsigned long long)sim->registry.owner);
}

// ---- reading ----

void registry_read(struct sim *sim, uint64_t process, const struct master_item *items, size_t count)
{
    if (process != sim->registry.owner)
        return; // deposed meanwhile: it cannot write, and will find out
    size_t stored = 0, next = 0;
    struct map values = MAP_INIT;
    MAP_FOREACH (&sim->zoo.tree.nodes, entry) {
        const char *key = entry_key(sim, entry->key);
        if (key == NULL)
            continue;
        stored++;
        map_put(&values, key, entry->value);
    }
    REQUIRE(sim, stored == count, "a new leader reads %zu entries of %zu", count, stored);
    for (; next < count; next++) {
        const struct znode *node = map_get(&values, items[next].key);
        REQUIRE(sim,
                node != NULL && node->size == items[next].size &&
                    memcmp(node->data, items[next].value, node->size) == 0,
                "a new leader reads %s, which is not stored so", items[next].key);
    }
    map_free(&values);
}

void registry_free(struct sim *sim)
{
    map_free(&sim->registry.committed);
    map_free(&sim->registry.keys);
}
