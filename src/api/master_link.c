// SPDX-License-Identifier: Apache-2.0
//
// The master's end of the agent link. One connection may carry many agents, each on a channel of
// its own; the record of a channel is made when an agent registers on it.
//
// A frame without a payload closes its channel, in both directions. When the core lets go of an
// agent, its connection is closed if no other agent uses it; otherwise such a frame tells the agent
// to begin anew. What else it had sent by then is dropped.

#include <string.h>

#include "api/master_internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/link.h"
#include "wire/wire.h"

// No machine has as many agents behind one connection.
enum { CHANNEL_COUNT_MAX = 256 * 1024 };

// Channels with lower numbers, as all should be, are found by their number.
enum { NEAR_MAX = 4096 };

struct agent_link {
    struct master_server *server;
    struct link *net;
    struct list link;            // server->links
    uint64_t age;                // master_number_link
    struct agent_channel **near; // by number
    uint32_t near_size;
    uint32_t channel_count; // all
    struct map far;         // channel_key -> struct agent_channel
};

struct agent_channel {
    struct master_channel base;
    struct agent_link *owner;
    uint32_t number;
};

// Six bits a letter.
static const char *channel_key(char text[16], uint32_t number)
{
    size_t size = 0;
    do {
        text[size++] = (char)('0' + (number & 63));
        number >>= 6;
    } while (number != 0);
    text[size] = '\0';
    return text;
}

static struct agent_channel *channel_find(const struct agent_link *l, uint32_t number)
{
    if (number < NEAR_MAX)
        return number < l->near_size ? l->near[number] : NULL;
    char key[16];
    return map_get(&l->far, channel_key(key, number));
}

static void channel_put(struct agent_link *l, struct agent_channel *c)
{
    l->channel_count++;
    if (c->number >= NEAR_MAX) {
        char key[16];
        map_put(&l->far, channel_key(key, c->number), c);
        return;
    }
    if (c->number >= l->near_size) {
        uint32_t size = c->number < 2 ? 2 : 2 * c->number;
        l->near = mem_realloc_array(l->near, size, sizeof(l->near[0]));
        memset(l->near + l->near_size, 0, (size - l->near_size) * sizeof(l->near[0]));
        l->near_size = size;
    }
    l->near[c->number] = c;
}

// Calls `visit` with each channel that there is.
static void visit_channels(struct agent_link *l, void (*visit)(struct agent_channel *c))
{
    for (uint32_t i = 0; i < l->near_size; i++) {
        if (l->near[i] != NULL)
            visit(l->near[i]);
    }
    MAP_FOREACH (&l->far, entry)
        visit(entry->value);
}

static void channel_free(struct agent_channel *c)
{
    mem_free(c);
}

static void link_drop(struct agent_link *l)
{
    visit_channels(l, channel_free);
    mem_free(l->near);
    map_free(&l->far);
    list_remove(&l->link);
    mem_free(l);
}

void master_link_send(void *ctx, struct master_channel *channel,
                      const Meseta__Link__ToAgent *message)
{
    (void)ctx;
    struct agent_channel *c = CONTAINER_OF(channel, struct agent_channel, base);
    const void *data;
    size_t size = wire_pack(&message->base, &data);
    link_send(c->owner->net, c->number, data, size);
}

static void channel_drop(struct agent_channel *c)
{
    struct agent_link *l = c->owner;
    char key[16];
    l->channel_count--;
    if (c->number < NEAR_MAX)
        l->near[c->number] = NULL;
    else
        map_remove(&l->far, channel_key(key, c->number));
    channel_free(c);
}

void master_link_close(void *ctx, struct master_channel *channel)
{
    (void)ctx;
    struct agent_channel *c = CONTAINER_OF(channel, struct agent_channel, base);
    struct agent_link *l = c->owner;
    uint32_t number = c->number;
    channel_drop(c);
    if (l->channel_count > 0) {
        link_send(l->net, number, NULL, 0);
        return;
    }
    link_free(l->net);
    link_drop(l);
}

static bool is_registration(const Meseta__Link__ToMaster *message)
{
    return message->type == MESETA__LINK__TO_MASTER__TYPE__REGISTER ||
           message->type == MESETA__LINK__TO_MASTER__TYPE__REREGISTER;
}

// The channel's record, made now if this is how an agent begins; NULL: it is closed.
static struct agent_channel *channel_get(struct agent_link *l, uint32_t number,
                                         const Meseta__Link__ToMaster *message)
{
    struct agent_channel *c = channel_find(l, number);
    if (c != NULL || !is_registration(message) || l->channel_count >= CHANNEL_COUNT_MAX)
        return c;
    c = mem_zalloc(sizeof(*c));
    c->owner = l;
    c->number = number;
    c->base.number = l->age;
    channel_put(l, c);
    return c;
}

static void close_channel(struct agent_link *l, uint32_t number)
{
    struct agent_channel *c = channel_find(l, number);
    if (c == NULL)
        return;
    master_channel_closed(l->server->core, &c->base, env_now(l->server->env));
    channel_drop(c);
    master_server_touch(l->server);
}

static void on_frame(void *ctx, struct link *net, uint32_t number, const void *data, size_t size)
{
    struct agent_link *l = ctx;
    struct master_server *server = l->server;
    if (size == 0) {
        close_channel(l, number);
        return;
    }
    ProtobufCMessage *message;
    struct error err;
    arena_reset(server->frame_arena);
    if (wire_decode_pinned(&meseta__link__to_master__descriptor, server->frame_arena, data, size,
                           MASTER_AGENT_MESSAGE_PINNED, &message, &err) < 0) {
        log_warning("Dropping a frame of %zu bytes from agent link %s: %s", size, link_peer(net),
                    err.text);
        return;
    }
    struct agent_channel *c = channel_get(l, number, (Meseta__Link__ToMaster *)message);
    if (c == NULL) {
        log_debug("Dropping a message on the closed channel %u of agent link %s", (unsigned)number,
                  link_peer(net));
        return;
    }
    server->frame_arena =
        master_agent_message_in(server->core, &c->base, (Meseta__Link__ToMaster *)message,
                                server->frame_arena, env_now(server->env));
    if (server->frame_arena == NULL)
        server->frame_arena = arena_new(0, 0);
    master_server_touch(server);
}

static void channel_is_closed(struct agent_channel *c)
{
    struct master_server *server = c->owner->server;
    master_channel_closed(server->core, &c->base, env_now(server->env));
}

static void on_close(void *ctx, struct link *net, const struct error *err)
{
    struct agent_link *l = ctx;
    struct master_server *server = l->server;
    log_info("Agent link %s is closed: %s", link_peer(net), err != NULL ? err->text : "");
    visit_channels(l, channel_is_closed);
    link_free(net);
    link_drop(l);
    master_server_touch(server);
}

void master_link_free_all(struct master_server *server)
{
    LIST_FOREACH (&server->links, struct agent_link, link, l) {
        link_free(l->net);
        link_drop(l);
    }
}

static void accept_link(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r))
        return;
    static const struct link_callbacks callbacks = {.on_frame = on_frame, .on_close = on_close};
    struct agent_link *l = mem_zalloc(sizeof(*l));
    l->age = master_number_link(server->core);
    l->server = server;
    list_append(&server->links, &l->link);
    l->net = link_accept(server->env, r, &callbacks, l);
    if (l->net == NULL)
        link_drop(l);
}

static const struct api_route routes[] = {
    {LINK_PATH, NULL, accept_link, "Where agents connect."},
};

void master_link_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
