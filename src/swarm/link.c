// SPDX-License-Identifier: Apache-2.0
//
// The swarm's connections to the leading master. A process on loopback gives each an address of its
// own, so that ports suffice for any number. Few are opened at a time, and after a refusal none for
// a moment: thousands that lost their master together do not storm the next one.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "client/address.h"
#include "swarm/internal.h"
#include "wire/wire.h"

#define PAUSE_NS (50 * NS_PER_MS)

enum { OPENING_MAX = 256 };

static void open_next(struct swarm *s);

static void wait_for_turn(struct swarm_conn *conn)
{
    list_append(&conn->swarm->connecting, &conn->waiting);
    if (!timer_is_set(&conn->swarm->connect_timer))
        env_timer_set(conn->swarm->env, &conn->swarm->connect_timer, 0);
}

static struct swarm_agent *agent_at(const struct swarm_conn *conn, size_t index)
{
    return conn->agents + index * conn->swarm->conn_count;
}

static void on_open(void *ctx, struct link *link)
{
    (void)link;
    struct swarm_conn *conn = ctx;
    conn->is_open = true;
    conn->swarm->opening--;
    for (size_t i = 0; i < conn->agent_count; i++)
        swarm_agent_opened(agent_at(conn, i));
    open_next(conn->swarm);
}

static void on_frame(void *ctx, struct link *link, uint32_t channel, const void *data, size_t size)
{
    (void)link;
    struct swarm_conn *conn = ctx;
    struct swarm *s = conn->swarm;
    if (channel == 0 || channel > conn->agent_count)
        return;
    struct swarm_agent *a = agent_at(conn, channel - 1);
    if (size == 0) {
        swarm_agent_channel_closed(a);
        return;
    }
    ProtobufCMessage *message;
    struct error err;
    arena_reset(s->scratch);
    if (wire_decode(&meseta__link__to_agent__descriptor, s->scratch, data, size, &message, &err) <
        0) {
        swarm_fail(s, "A message of the master to agent %u cannot be read: %s", a->number,
                   err.text);
        return;
    }
    swarm_agent_message(a, (const Meseta__Link__ToAgent *)(const void *)message);
}

// The connection is no more; a new one waits for its turn.
static void conn_lost(struct swarm_conn *conn)
{
    bool was_open = conn->is_open;
    if (!was_open)
        conn->swarm->opening--;
    conn->link = link_free(conn->link);
    conn->is_open = false;
    for (size_t i = 0; was_open && i < conn->agent_count; i++)
        swarm_agent_lost(agent_at(conn, i));
    wait_for_turn(conn);
}

static void on_close(void *ctx, struct link *link, const struct error *err)
{
    (void)link;
    struct swarm_conn *conn = ctx;
    struct swarm *s = conn->swarm;
    bool was_open = conn->is_open;
    struct error why = *err;
    if (was_open && s->phase < SWARM_LEAVES) {
        char what[ERROR_TEXT_SIZE + 64];
        snprintf(what, sizeof(what), "The connection of agent %u broke: %s", conn->agents->number,
                 why.text);
        swarm_note_loss(s, what);
    }
    conn_lost(conn);
    // With an election its outcome counts, not what a master that does not lead yet has heard.
    if (why.code == -EREMCHG && s->election == NULL) {
        struct address leader;
        if (address_parse_master(why.text, &leader, NULL) == 0) {
            snprintf(s->host, sizeof(s->host), "%s", leader.host);
            s->port = leader.port;
        }
        return;
    }
    if (!was_open) {
        // Where the master was there is none now; begin with what --master says.
        s->connect_after = env_now(s->env).mono + PAUSE_NS;
        env_timer_set(s->env, &s->connect_timer, PAUSE_NS);
        struct address address;
        if (s->election == NULL && address_parse_master(s->options->master, &address, NULL) == 0) {
            snprintf(s->host, sizeof(s->host), "%s", address.host);
            s->port = address.port;
        }
    }
}

void swarm_conn_drop(struct swarm_conn *conn)
{
    if (conn->link != NULL)
        conn_lost(conn);
}

static void conn_open(struct swarm_conn *conn)
{
    static const struct link_callbacks callbacks = {
        .on_open = on_open, .on_frame = on_frame, .on_close = on_close};
    struct swarm *s = conn->swarm;
    s->opening++;
    bool is_loopback = strncmp(s->host, "127.", 4) == 0;
    conn->link = is_loopback
                     ? link_connect_from(s->env, conn->source, s->host, s->port, &callbacks, conn)
                     : link_connect(s->env, s->host, s->port, &callbacks, conn);
}

static void open_next(struct swarm *s)
{
    int64_t now = env_now(s->env).mono;
    if (s->host[0] == '\0' || s->phase == SWARM_LEAVES)
        return;
    if (now < s->connect_after) {
        env_timer_set(s->env, &s->connect_timer, s->connect_after - now);
        return;
    }
    while (s->opening < OPENING_MAX && !list_is_empty(&s->connecting)) {
        struct swarm_conn *conn = LIST_ENTRY(s->connecting.next, struct swarm_conn, waiting);
        list_remove(&conn->waiting);
        conn_open(conn);
    }
}

static void connect_due(struct timer *timer, struct instant now)
{
    (void)now;
    open_next(CONTAINER_OF(timer, struct swarm, connect_timer));
}

// ---- who leads ----

static void leader_changed(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    (void)is_self;
    struct swarm *s = CHECK_CAST(swarm, SWARM_MAGIC, ctx);
    char host[256];
    uint16_t port;
    if (leader == NULL || !election_address(leader, host, &port))
        return; // the connections end when that master does
    bool is_first = s->host[0] == '\0';
    memcpy(s->host, host, sizeof(host));
    s->port = port;
    s->connect_after = 0;
    if (!is_first)
        swarm_note_loss(s, "Another master leads");
    for (size_t i = 0; i < s->conn_count && !is_first; i++)
        swarm_conn_drop(&s->conns[i]);
    env_timer_set(s->env, &s->connect_timer, 0);
}

static void election_failed(void *ctx, const struct error *why)
{
    struct swarm *s = CHECK_CAST(swarm, SWARM_MAGIC, ctx);
    swarm_fail(s, "Cannot look for the leading master: %s", why->text);
}

static int find_master(struct swarm *s, struct error *err)
{
    static const struct election_callbacks callbacks = {.on_leader = leader_changed,
                                                        .on_failed = election_failed};
    if (!election_is_url(s->options->master)) {
        struct address address;
        int r = address_parse_master(s->options->master, &address, err);
        if (r < 0)
            return r;
        snprintf(s->host, sizeof(s->host), "%s", address.host);
        s->port = address.port;
        return 0;
    }
    struct election_options options = {.url = s->options->master,
                                       .session_timeout_ns = 10 * NS_PER_S};
    return election_new(s->env, &options, &callbacks, s, &s->election, err);
}

int swarm_links_init(struct swarm *s, struct error *err)
{
    size_t count = s->options->connections;
    if (count == 0)
        count = s->agent_count < SWARM_CONNECTIONS_MAX ? s->agent_count : SWARM_CONNECTIONS_MAX;
    if (count > s->agent_count)
        count = s->agent_count;
    s->connect_timer.run = connect_due;
    s->conn_count = count;
    s->conns = mem_calloc(count + 1, sizeof(*s->conns));
    for (size_t i = 0; i < count; i++) {
        struct swarm_conn *conn = &s->conns[i];
        uint32_t number = s->agents[i].number;
        conn->swarm = s;
        conn->agents = &s->agents[i];
        conn->agent_count = (s->agent_count - i + count - 1) / count;
        snprintf(conn->source, sizeof(conn->source), "127.%u.%u.%u", 1 + number / 62500 % 250,
                 number / 250 % 250, 1 + number % 250);
        list_init(&conn->waiting);
        wait_for_turn(conn);
    }
    for (size_t i = 0; i < s->agent_count; i++) {
        s->agents[i].conn = &s->conns[i % count];
        s->agents[i].channel = (uint32_t)(1 + i / count);
    }
    return find_master(s, err);
}

void swarm_links_free(struct swarm *s)
{
    env_timer_cancel(s->env, &s->connect_timer);
    for (size_t i = 0; i < s->conn_count; i++)
        link_free(s->conns[i].link);
    mem_free(s->conns);
    s->conn_count = 0;
    s->election = election_free(s->election);
}

size_t swarm_links_queued(const struct swarm *s)
{
    size_t size = 0;
    for (size_t i = 0; i < s->conn_count; i++)
        size += s->conns[i].link != NULL ? link_queued(s->conns[i].link) : 0;
    return size;
}

// ---- what agents say ----

void swarm_agent_send(struct swarm_agent *a, const Meseta__Link__ToMaster *message)
{
    struct swarm *s = a->swarm;
    if (!a->conn->is_open || a->state == AGENT_CUT)
        return;
    buf_clear(&s->frame);
    wire_encode(&message->base, &s->frame);
    link_send(a->conn->link, a->channel, s->frame.data, s->frame.size);
}

void swarm_agent_close_channel(struct swarm_agent *a)
{
    if (a->conn->is_open)
        link_send(a->conn->link, a->channel, NULL, 0);
}
