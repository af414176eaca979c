// SPDX-License-Identifier: Apache-2.0
//
// The way into the registry and out of it: batches under a token, what goes on when one is durable,
// and the reading of all entries by a new leader. proto/registry.proto lists the keys.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "master/internal.h"

// ---- writing ----

static char *token_text(char text[24], uint64_t token)
{
    snprintf(text, 24, "%" PRIu64, token);
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

struct master_item master_item_put(struct master *m, const char *key,
                                   const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    void *data = arena_alloc(m->scratch, size + 1);
    protobuf_c_message_pack(message, data);
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

static const struct {
    const char *prefix;
    const ProtobufCMessageDescriptor *descriptor;
    load_fn *load;
} kinds[] = {
    {"agents/", &mesos__v1__agent_info__descriptor, load_agent},
    {"unreachable/", &mesos__v1__time_info__descriptor, load_unreachable},
    {"gone/", &mesos__v1__time_info__descriptor, load_gone},
    {"drains/", &meseta__registry__deactivation__descriptor, load_deactivation},
};

static int load_item(struct master *m, const struct master_item *item, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (!text_starts_with(item->key, kinds[i].prefix))
            continue;
        ProtobufCMessage *message;
        int r =
            wire_decode(kinds[i].descriptor, m->scratch, item->value, item->size, &message, err);
        if (r == 0)
            r = kinds[i].load(m, item->key + strlen(kinds[i].prefix), message, err);
        return r < 0 ? error_wrap(err, r, "Cannot read registry entry %s", item->key) : 0;
    }
    return error_set(err, -EBADMSG, "The registry has an entry %s, which this master does not know",
                     item->key);
}

int master_recover(struct master *m, const struct master_item *items, size_t count,
                   struct instant now, struct error *err)
{
    master_enter(m, now);
    for (size_t i = 0; i < count; i++) {
        int r = load_item(m, &items[i], err);
        if (r < 0)
            return r;
    }
    m->recovered_count = m->recovered.count;
    if (m->recovered_count > 0)
        timer_set(&m->timers, &m->recovery, now.mono + m->options.agent_reregister_timeout_ns);
    return 0;
}
