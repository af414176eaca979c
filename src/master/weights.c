// SPDX-License-Identifier: Apache-2.0
//
// The weights of roles: durable, and then the allocator's. Those of --weights count while the
// registry has none, which then takes them over.

#include <math.h>
#include <string.h>

#include "master/internal.h"

static const char *weight_key(struct master *m, const char *role)
{
    return arena_printf(m->scratch, "weights/%s", role);
}

static struct master_item weight_item(struct master *m, const char *role, double weight)
{
    Mesos__V1__WeightInfo info = MESOS__V1__WEIGHT_INFO__INIT;
    info.role = arena_strdup(m->scratch, role);
    info.weight = weight;
    return master_item_put(m, weight_key(m, role), &info.base);
}

void master_set_weight(struct master *m, const char *role, double weight)
{
    double *kept = map_get(&m->weights, role);
    if (kept == NULL) {
        kept = mem_alloc(sizeof(*kept));
        map_put(&m->weights, role, kept);
    }
    *kept = weight;
    allocator_set_weight(m->allocator, role, weight);
}

int master_weight_load(struct master *m, const Mesos__V1__WeightInfo *info, struct error *err)
{
    if (info->role == NULL || !(info->weight > 0))
        return error_set(err, -EBADMSG, "it has no role or no weight");
    if (!m->weights_recovered) {
        if (m->weights.count > 0)
            log_warning("Ignoring --weights: the registry has weights");
        MAP_FOREACH (&m->weights, entry) {
            allocator_set_weight(m->allocator, entry->key, 1);
            mem_free(entry->value);
            map_remove(&m->weights, entry->key);
        }
        m->weights_recovered = true;
    }
    master_set_weight(m, info->role, info->weight);
    return 0;
}

void master_weights_recovered(struct master *m)
{
    if (m->weights_recovered || m->weights.count == 0)
        return;
    struct master_item *items = arena_calloc(m->scratch, m->weights.count, sizeof(*items));
    size_t count = 0;
    MAP_FOREACH (&m->weights, entry)
        items[count++] = weight_item(m, entry->key, *(const double *)entry->value);
    m->ops->apply(m->ctx, items, count, 0);
}

// ---- UPDATE_WEIGHTS ----

struct change {
    struct write write;
    void *waiter;
    struct map weights; // role -> double *
};

static void change_free(struct change *change)
{
    MAP_FOREACH (&change->weights, entry)
        mem_free(entry->value);
    map_free(&change->weights);
    mem_free(change);
}

static void drop(struct write *write)
{
    change_free(CONTAINER_OF(write, struct change, write));
}

static bool is_used(const struct master *m, const char *role)
{
    MAP_FOREACH (&m->frameworks, entry) {
        if (master_framework_has_role(entry->value, role))
            return true;
    }
    return false;
}

static void is_durable(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    struct master *m = write->master;
    bool concerns = false;
    MAP_FOREACH (&change->weights, entry) {
        master_set_weight(m, entry->key, *(const double *)entry->value);
        concerns = concerns || is_used(m, entry->key);
    }
    // What is offered now was divided by the former weights.
    MAP_FOREACH (&m->offers, entry) {
        if (concerns)
            master_offer_rescind(entry->value);
    }
    master_answer(m, change->waiter, 200, NULL);
    change_free(change);
}

bool master_role_is_allowed(const struct master *m, const char *role)
{
    if (m->options.roles == NULL)
        return true;
    for (size_t i = 0; i < m->options.role_count; i++) {
        if (strcmp(m->options.roles[i], role) == 0)
            return true;
    }
    return strcmp(role, "*") == 0;
}

#define WEIGHTS_INVALID "Failed to validate update weights request JSON"

static int check(struct master *m, const char *role, double weight, struct error *err)
{
    struct error why;
    if (validate_role(role, &why) < 0)
        return error_set(err, -EINVAL, WEIGHTS_INVALID ": Invalid role '%s': %s", role, why.text);
    if (!master_role_is_allowed(m, role))
        return error_set(err, -EINVAL, WEIGHTS_INVALID ": Unknown role '%s'", role);
    if (!(weight > 0) || !isfinite(weight))
        return error_set(err, -EINVAL,
                         WEIGHTS_INVALID
                         " for role '%s': Invalid weight '%g': Weights must be positive",
                         role, weight);
    return 0;
}

int master_update_weights(struct master *m, Mesos__V1__WeightInfo *const *infos, size_t count,
                          void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    const char **roles = arena_calloc(m->scratch, count + 1, sizeof(*roles));
    for (size_t i = 0; i < count; i++) {
        roles[i] =
            text_trim(arena_strdup(m->scratch, infos[i]->role != NULL ? infos[i]->role : ""));
        if (check(m, roles[i], infos[i]->weight, err) < 0)
            return 400;
    }
    if (count == 0)
        return 200;
    struct master_item *items = arena_calloc(m->scratch, count, sizeof(*items));
    for (size_t i = 0; i < count; i++)
        items[i] = weight_item(m, roles[i], infos[i]->weight);
    if (master_check_batch(items, count, err) < 0)
        return 400;
    struct change *change = mem_zalloc(sizeof(*change));
    change->waiter = waiter;
    change->write.done = is_durable;
    change->write.drop = drop;
    for (size_t i = 0; i < count; i++) {
        double *weight = mem_alloc(sizeof(*weight));
        *weight = infos[i]->weight;
        mem_free(map_put(&change->weights, roles[i], weight));
    }
    master_write(m, &change->write, items, count);
    return 0;
}
