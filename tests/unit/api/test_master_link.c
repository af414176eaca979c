// SPDX-License-Identifier: Apache-2.0
//
// Several agents behind one connection to a real master server: each is told when it is let go of,
// and the others notice nothing.

#include "../net/harness.h"

#include <stdio.h>
#include <string.h>

#include "api/master_server.h"
#include "base/mem.h"
#include "master/records.h"
#include "net/link.h"
#include "store/store.h"
#include "wire/wire.h"

enum { CHANNELS = 4 };

struct peer {
    struct link *link;
    bool open;
    bool closed;
    unsigned registered[CHANNELS]; // by channel
    unsigned ended[CHANNELS];
    char id[CHANNELS][128];
};

struct world {
    struct harness h;
    struct store *store;
    struct master_server *server;
    struct master *core;
};

static void on_open(void *ctx, struct link *link)
{
    (void)link;
    ((struct peer *)ctx)->open = true;
}

static void on_frame(void *ctx, struct link *link, uint32_t channel, const void *data, size_t size)
{
    (void)link;
    struct peer *p = ctx;
    assert_true(channel < CHANNELS);
    if (size == 0) {
        p->ended[channel]++;
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message;
    assert_int_equal(
        wire_decode(&meseta__link__to_agent__descriptor, arena, data, size, &message, NULL), 0);
    const Meseta__Link__ToAgent *to_agent = (Meseta__Link__ToAgent *)message;
    if (to_agent->registered != NULL) {
        p->registered[channel]++;
        snprintf(p->id[channel], sizeof(p->id[channel]), "%s",
                 to_agent->registered->agent_id->value);
    }
}

static void on_close(void *ctx, struct link *link, const struct error *err)
{
    (void)err;
    struct peer *p = ctx;
    p->link = link_free(link);
    p->closed = true;
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    harness_init(&w->h, NULL);
    w->store = store_memory_new();
    struct master_server_options options = {
        .env = w->h.env, .store = w->store, .listen_ip = "127.0.0.1"};
    master_options_init(&options.master);
    options.master.id = "M";
    options.master.ip = "127.0.0.1";
    options.master.hostname = "localhost";
    struct error err;
    if (master_server_new(&options, &w->server, &err) < 0)
        fail_msg("%s", err.text);
    w->core = master_server_core(w->server);
    harness_turn(&w->h);
}

static void world_free(struct world *w)
{
    master_check(w->core);
    w->server = master_server_free(w->server);
    store_free(w->store);
    harness_free(&w->h);
}

static void peer_open(struct world *w, struct peer *p)
{
    static const struct link_callbacks callbacks = {on_open, on_frame, on_close};
    memset(p, 0, sizeof(*p));
    p->link = link_connect(w->h.env, "127.0.0.1", master_server_port(w->server), &callbacks, p);
    HARNESS_UNTIL(&w->h, p->open);
}

static void peer_send(struct peer *p, uint32_t channel, const char *json)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf frame = BUF_INIT;
    ProtobufCMessage *message;
    assert_int_equal(wire_json_decode(&meseta__link__to_master__descriptor, arena, json,
                                      strlen(json), &message, NULL),
                     0);
    wire_encode(message, &frame);
    link_send(p->link, channel, frame.data, frame.size);
}

static void peer_register(struct world *w, struct peer *p, uint32_t channel, int port)
{
    char json[512];
    snprintf(json, sizeof(json),
             "{\"type\":\"REGISTER\",\"register\":{\"agent\":{\"info\":{\"hostname\":\"h\"},"
             "\"version\":\"1.11.0\",\"pid\":\"slave(1)@10.0.0.1:%d\"}}}",
             port);
    unsigned before = p->registered[channel];
    peer_send(p, channel, json);
    HARNESS_UNTIL(&w->h, p->registered[channel] > before);
}

static void test_let_go_on_a_shared_link(void **state)
{
    (void)state;
    struct world w;
    struct peer p, other;
    world_init(&w);
    peer_open(&w, &p);
    peer_register(&w, &p, 1, 7001);
    peer_register(&w, &p, 2, 7002);
    assert_int_equal(w.core->agents.count, 2);
    // Another agent begins at the address of the second.
    peer_open(&w, &other);
    peer_register(&w, &other, 3, 7002);
    HARNESS_UNTIL(&w.h, p.ended[2] == 1);
    assert_int_equal(p.ended[1], 0);
    assert_false(p.closed);
    assert_int_equal(w.core->agents.count, 2);
    // What it sends before it begins anew concerns nobody; then it may.
    peer_send(&p, 2, "{\"type\":\"PONG\"}");
    peer_register(&w, &p, 2, 7004);
    assert_int_equal(p.ended[2], 1);
    assert_int_equal(w.core->agents.count, 3);
    // The last one on a link takes the link with it.
    peer_send(&other, 3, "{\"type\":\"UNREGISTER\"}");
    HARNESS_UNTIL(&w.h, other.closed);
    assert_int_equal(w.core->agents.count, 2);
    p.link = link_free(p.link);
    harness_turn(&w.h);
    world_free(&w);
}

static void test_agent_goes_from_a_shared_link(void **state)
{
    (void)state;
    struct world w;
    struct peer p;
    world_init(&w);
    peer_open(&w, &p);
    peer_register(&w, &p, 1, 7001);
    peer_register(&w, &p, 2, 7002);
    struct agent *first = map_get(&w.core->agents, p.id[1]);
    struct agent *second = map_get(&w.core->agents, p.id[2]);
    link_send(p.link, 1, NULL, 0);
    link_send(p.link, 1, NULL, 0); // twice is once
    HARNESS_UNTIL(&w.h, first->channel == NULL);
    assert_false(first->active);
    assert_non_null(second->channel);
    // It comes back on the same link, on another channel.
    char json[512];
    snprintf(json, sizeof(json),
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"%s\"},\"hostname\":\"h\"},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:7001\"}}}",
             p.id[1]);
    peer_send(&p, 3, json);
    HARNESS_UNTIL(&w.h, p.registered[3] == 1);
    assert_true(first->active);
    p.link = link_free(p.link);
    HARNESS_UNTIL(&w.h, first->channel == NULL && second->channel == NULL);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_let_go_on_a_shared_link),
        cmocka_unit_test(test_agent_goes_from_a_shared_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
