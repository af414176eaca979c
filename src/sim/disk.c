// SPDX-License-Identifier: Apache-2.0
//
// The disk of a single master: batches become durable in order, each some time after it was
// written. A crash keeps what is durable and any number of the batches behind it, from the front.

#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

struct disk_value {
    size_t size;
    uint8_t data[];
};

struct batch {
    struct list link;
    struct sim *sim;
    struct timer early; // a planted fault: the answer before the fact
    int64_t due;
    uint64_t token;
    size_t count;
    char **keys;
    struct disk_value **values; // NULL deletes
};

static struct disk_value *copy_value(const void *data, size_t size)
{
    struct disk_value *value = mem_alloc(sizeof(*value) + size);
    value->size = size;
    if (size > 0)
        memcpy(value->data, data, size);
    return value;
}

static void put(struct disk *disk, const char *key, struct disk_value *value)
{
    mem_free(value != NULL ? map_put(&disk->durable, key, value) : map_remove(&disk->durable, key));
}

static void free_batch(struct batch *batch)
{
    timer_cancel(&batch->sim->timers, &batch->early);
    list_remove(&batch->link);
    for (size_t i = 0; i < batch->count; i++) {
        mem_free(batch->keys[i]);
        mem_free(batch->values[i]);
    }
    mem_free(batch->keys);
    mem_free(batch->values);
    mem_free(batch);
}

static void commit(struct disk *disk, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct disk_value *value = batch->values[i];
        registry_disk_changes(batch->sim, batch->keys[i], value != NULL ? value->data : NULL,
                              value != NULL ? value->size : 0);
        put(disk, batch->keys[i], TAKE_PTR(batch->values[i]));
    }
}

static void arm(struct sim *sim)
{
    struct disk *disk = &sim->disk;
    if (!list_is_empty(&disk->tail))
        timer_set(&sim->timers, &disk->timer, LIST_ENTRY(disk->tail.next, struct batch, link)->due);
}

static void is_durable(struct timer *timer, struct instant now)
{
    (void)now;
    struct sim *sim = CONTAINER_OF(timer, struct sim, disk.timer);
    struct batch *batch = LIST_ENTRY(sim->disk.tail.next, struct batch, link);
    commit(&sim->disk, batch);
    uint64_t token = batch->token;
    TRACE(sim, "disk: batch %llu is durable", (unsigned long long)token);
    free_batch(batch);
    arm(sim);
    if (!PLANTED(ACKNOWLEDGE_BEFORE_DURABLE))
        master_host_applied(&sim->masters[0], token);
}

static void answer_early(struct timer *timer, struct instant now)
{
    (void)now;
    struct batch *batch = CONTAINER_OF(timer, struct batch, early);
    master_host_applied(&batch->sim->masters[0], batch->token);
}

void disk_apply(struct sim *sim, const struct master_item *items, size_t count, uint64_t token)
{
    struct disk *disk = &sim->disk;
    struct batch *batch = mem_zalloc(sizeof(*batch));
    batch->sim = sim;
    batch->token = token;
    batch->early.run = answer_early;
    if (PLANTED(ACKNOWLEDGE_BEFORE_DURABLE))
        after(sim, &batch->early, 0);
    batch->count = count;
    batch->keys = mem_calloc(count, sizeof(*batch->keys));
    batch->values = mem_calloc(count, sizeof(*batch->values));
    for (size_t i = 0; i < count; i++) {
        batch->keys[i] = mem_strdup(items[i].key);
        if (items[i].value != NULL)
            batch->values[i] = copy_value(items[i].value, items[i].size);
        TRACE(sim, "disk: batch %llu %s %s", (unsigned long long)token,
              items[i].value != NULL ? "puts" : "deletes", items[i].key);
    }
    int64_t due = sim->now.mono + draw_spread(sim, NS_PER_MS, sim->config.disk_ns);
    if (disk->slow_until > due)
        due = disk->slow_until;
    batch->due = disk->last_due = due > disk->last_due ? due : disk->last_due;
    list_append(&disk->tail, &batch->link);
    if (disk->tail.next == &batch->link)
        arm(sim);
}

void disk_crash(struct sim *sim)
{
    struct disk *disk = &sim->disk;
    bool survives = true;
    if (!list_is_empty(&disk->tail))
        mark(sim, MARK_MASTER_CRASHED_WRITING);
    LIST_FOREACH (&disk->tail, struct batch, link, batch) {
        survives = survives && chance(sim, 0.5);
        mark(sim, survives ? MARK_UNACKNOWLEDGED_WRITE_SURVIVED : MARK_WRITE_LOST);
        TRACE(sim, "disk: batch %llu %s", (unsigned long long)batch->token,
              survives ? "survives" : "is lost");
        if (survives)
            commit(disk, batch);
        free_batch(batch);
    }
    timer_cancel(&sim->timers, &disk->timer);
    disk->last_due = 0;
}

static int compare_items(const void *a, const void *b)
{
    const struct master_item *x = a, *y = b;
    return strcmp(x->key, y->key);
}

size_t disk_load(struct sim *sim, struct arena *arena, struct master_item **ret_items)
{
    size_t count = 0;
    *ret_items = arena_calloc(arena, sim->disk.durable.count + 1, sizeof(**ret_items));
    MAP_FOREACH (&sim->disk.durable, entry) {
        const struct disk_value *value = entry->value;
        (*ret_items)[count++] = (struct master_item){
            .key = arena_strdup(arena, entry->key),
            .value = arena_dup(arena, value->data, value->size),
            .size = value->size,
        };
    }
    qsort(*ret_items, count, sizeof(**ret_items), compare_items);
    return count;
}

void disk_init(struct sim *sim)
{
    list_init(&sim->disk.tail);
    sim->disk.timer.run = is_durable;
}

void disk_free(struct sim *sim)
{
    LIST_FOREACH (&sim->disk.tail, struct batch, link, batch)
        free_batch(batch);
    MAP_FOREACH (&sim->disk.durable, entry)
        mem_free(entry->value);
    map_free(&sim->disk.durable);
    timer_cancel(&sim->timers, &sim->disk.timer);
}
