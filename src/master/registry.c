// SPDX-License-Identifier: Apache-2.0
//
// The way into the registry and out of it: batches under a token, what goes on when one is durable,
// and the reading of all entries by a new leader. proto/registry.proto lists the keys.

#include <string.h>

#include "master/internal.h"

// What every place of the registry takes as one batch: znodes are the smallest.
enum { BATCH_COUNT_MAX = 1500, BATCH_SIZE_MAX = 512 * 1024 };

// ---- writing ----

static char *token_text(char text[24], uint64_t token)
{
    text_format(text, 24, "%zu", (size_t)token);
    return text;
}

void master_write(struct master *m, struct write *write, const struct master_item *items,
                  size_t count)
{
    CHECK(write->done != NULL && write->drop != NULL);
    char text[24];
    write->master = m;
    uint64_t token = ++m->next_token;
    map_put(&m->writes, token_text(text, token), write);
    m->ops->apply(m->ctx, items, count, token);
}

void master_applied(struct master *m, uint64_t token, int result, struct instant now)
{
    master_enter(m, now);
    if (token == 0)
        return;
    CHECK(result == 0);
    char text[24];
    struct write *write = map_remove(&m->writes, token_text(text, token));
    CHECK(write != NULL && write->master == m);
    write->done(write);
}

void master_writes_free(struct master *m)
{
    MAP_FOREACH (&m->writes, entry) {
        struct write *write = entry->value;
        write->drop(write);
    }
    map_free(&m->writes);
}

int master_check_batch(const struct master_item *items, size_t count, struct error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += 3 * strlen(items[i].key) + items[i].size;
    if (count <= BATCH_COUNT_MAX && size <= BATCH_SIZE_MAX)
        return 0;
    return error_set(err, -E2BIG, "%zu changes of %zu bytes are too much for one call", count,
                     size);
}

struct master_item master_item_put(struct master *m, const char *key,
                                   const ProtobufCMessage *message)
{
    const void *packed;
    size_t size = wire_pack(message, &packed);
    void *data = arena_dup(m->scratch, packed, size);
    return (struct master_item){.key = key, .value = data, .size = size};
}

// ---- reading ----

typedef int load_fn(struct master *m, const char *id, ProtobufCMessage *message, struct error *err);

static int load_agent(struct master *m, const char *id, ProtobufCMessage *message,
                      struct error *err)
{
    const Mesos__V1__AgentInfo *info = (const Mesos__V1__AgentInfo *)message;
    if (info->id == NULL)
        return error_set(err, -EBADMSG, "it has no id");
    if (strcmp(info->id->value, id) != 0)
        return error_set(err, -EBADMSG, "it has the id %s", info->id->value);
    master_recovered_add(m, info, 0);
    return 0;
}

static int load_unreachable(struct master *m, const char *id, ProtobufCMessage *message,
                            struct error *err)
{
    (void)err;
    master_unreachable_add(m, id, ((Mesos__V1__TimeInfo *)message)->nanoseconds);
    return 0;
}

static int load_gone(struct master *m, const char *id, ProtobufCMessage *message, struct error *err)
{
    (void)err;
    master_gone_add(m, id, ((Mesos__V1__TimeInfo *)message)->nanoseconds);
    return 0;
}

static int load_deactivation(struct master *m, const char *id, ProtobufCMessage *message,
                             struct error *err)
{
    (void)err;
    master_deactivation_load(m, id, (Meseta__Registry__Deactivation *)message);
    return 0;
}

static int load_weight(struct master *m, const char *role, ProtobufCMessage *message,
                       struct error *err)
{
    (void)role;
    return master_weight_load(m, (const Mesos__V1__WeightInfo *)message, err);
}

static int load_quota(struct master *m, const char *role, ProtobufCMessage *message,
                      struct error *err)
{
    (void)role;
    return master_quota_load(m, (const Mesos__V1__Quota__QuotaConfig *)message, err);
}

static int load_schedule(struct master *m, const char *rest, ProtobufCMessage *message,
                         struct error *err)
{
    (void)rest;
    return master_schedule_load(m, (const Mesos__V1__Maintenance__Schedule *)message, err);
}

// Those that are down.
static int load_machine(struct master *m, const char *key, ProtobufCMessage *message,
                        struct error *err)
{
    (void)key;
    return master_machine_load(m, (const Mesos__V1__MachineInfo *)message, err);
}

// Looked at before.
static int load_capability(struct master *m, const char *name, ProtobufCMessage *message,
                           struct error *err)
{
    (void)m, (void)name, (void)message, (void)err;
    return 0;
}

static const char capability_prefix[] = "capabilities/";

static const struct {
    const char *prefix;
    const ProtobufCMessageDescriptor *descriptor;
    load_fn *load;
} kinds[] = {
    {capability_prefix, &meseta__registry__minimum_capability__descriptor, load_capability},
    {"agents/", &mesos__v1__agent_info__descriptor, load_agent},
    {"unreachable/", &mesos__v1__time_info__descriptor, load_unreachable},
    {"gone/", &mesos__v1__time_info__descriptor, load_gone},
    {"drains/", &meseta__registry__deactivation__descriptor, load_deactivation},
    {"maintenance/schedule", &mesos__v1__maintenance__schedule__descriptor, load_schedule},
    {"machines/", &mesos__v1__machine_info__descriptor, load_machine},
    {"weights/", &mesos__v1__weight_info__descriptor, load_weight},
    {"quotas/", &mesos__v1__quota__quota_config__descriptor, load_quota},
};

static bool is_of_kind(const struct master_item *item, size_t kind)
{
    return text_starts_with(item->key, kinds[kind].prefix);
}

static int check_known(const struct master_item *item, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (is_of_kind(item, i))
            return 0;
    }
    return error_set(err, -EBADMSG, "The registry has an entry %s, which this master does not know",
                     item->key);
}

static int load_item(struct master *m, const struct master_item *item, size_t kind,
                     struct error *err)
{
    ProtobufCMessage *message;
    int r = wire_decode(kinds[kind].descriptor, m->scratch, item->value, item->size, &message, err);
    if (r == 0)
        r = kinds[kind].load(m, item->key + strlen(kinds[kind].prefix), message, err);
    return r < 0 ? error_wrap(err, r, "Cannot read registry entry %s", item->key) : 0;
}

static bool has_capability(const struct master *m, const char *name)
{
    for (size_t i = 0; i < m->info->n_capabilities; i++) {
        const char *own = wire_enum_name(&mesos__v1__master_info__capability__type__descriptor,
                                         (int)m->info->capabilities[i]->type);
        if (text_is_equal(own, name))
            return true;
    }
    return false;
}

// Before anything is read: the rest may mean what this master does not know.
static int check_capabilities(struct master *m, const struct master_item *items, size_t count,
                              struct error *err)
{
    const char *missing = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!text_starts_with(items[i].key, capability_prefix))
            continue;
        const char *name = items[i].key + strlen(capability_prefix);
        if (!has_capability(m, name))
            missing = missing == NULL ? name : arena_printf(m->scratch, "%s, %s", missing, name);
    }
    if (missing == NULL)
        return 0;
    return error_set(err, -ENOTSUP,
                     "Master is missing the following minimum capabilities: %s. A newer master "
                     "wrote the registry; only one that has them can take it over",
                     missing);
}

struct master_item master_capability_item(struct master *m, const char *name, bool is_needed)
{
    const char *key = arena_printf(m->scratch, "%s%s", capability_prefix, name);
    Meseta__Registry__MinimumCapability message = MESETA__REGISTRY__MINIMUM_CAPABILITY__INIT;
    message.name = arena_strdup(m->scratch, name);
    return is_needed ? master_item_put(m, key, &message.base) : (struct master_item){.key = key};
}

int master_recover(struct master *m, const struct master_item *items, size_t count,
                   struct instant now, struct error *err)
{
    master_enter(m, now);
    int r = check_capabilities(m, items, count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count && r == 0; i++)
        r = check_known(&items[i], err);
    // In the order of kinds, whatever that of the entries is.
    for (size_t kind = 0; kind < ARRAY_COUNT(kinds) && r == 0; kind++) {
        for (size_t i = 0; i < count && r == 0; i++) {
            if (is_of_kind(&items[i], kind))
                r = load_item(m, &items[i], kind, err);
        }
    }
    if (r < 0)
        return r;
    master_weights_recovered(m);
    m->recovered_count = m->recovered.count;
    size_t expected =
        (size_t)((double)m->recovered_count * m->options.allocator_agent_recovery_factor);
    if (expected > 0 && allocator_has_quotas(m->allocator)) {
        log_info("Offers wait until %zu agents are back, or for the recovery timeout", expected);
        allocator_pause(m->allocator, expected,
                        now.mono + m->options.allocator_recovery_timeout_ns);
    }
    if (m->recovered_count > 0)
        timer_set(&m->timers, &m->recovery, now.mono + m->options.agent_reregister_timeout_ns);
    return 0;
}
