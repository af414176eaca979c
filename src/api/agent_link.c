// SPDX-License-Identifier: Apache-2.0
//
// The agent's end of the link: finds the leading master and keeps a connection to it. A master that
// does not lead names the leader, and the link goes there; whenever it breaks, it starts anew with
// what --master says, at once at first and then with back-off. Where --master is a ZooKeeper URL,
// the leader of the election stands for it, and the link moves when another one leads; redirects
// are not followed then.

#include <errno.h>
#include <string.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/text.h"
#include "election/election.h"
#include "net/link.h"
#include "wire/wire.h"

#define RETRY_MIN_NS (50 * NS_PER_MS)
#define RETRY_MAX_NS (1 * NS_PER_S)

enum { CHANNEL = 1, REDIRECTS_MAX = 4 };

struct agent_link {
    struct env *env;
    struct agent_link_callbacks callbacks;
    void *ctx;
    struct election *election; // NULL: --master is an address
    char *host;                // of --master, or of the elected leader; NULL: none is known
    uint16_t port;
    char *leader;      // "host:port" to go to next, or NULL
    size_t redirects;  // in a row
    struct link *link; // NULL while waiting for the next try
    bool is_open;
    bool is_stopping;  // no more tries
    unsigned failures; // since the last open connection
    struct timer retry;
    struct env_hook dropped; // on_close after agent_link_reconnect
    int64_t delay_ns;
    struct prng prng;
    struct buf frame;
};

static int split_address(const char *text, char **ret_host, uint16_t *ret_port, struct error *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || colon == text || text_parse_u64(colon + 1, &port, NULL) < 0 || port == 0 ||
        port > 65535) {
        return error_set(err, -EINVAL, "Cannot parse '%s' as the master's host:port", text);
    }
    bool is_bracketed = text[0] == '[' && colon[-1] == ']';
    *ret_host = is_bracketed ? mem_strndup(text + 1, (size_t)(colon - text - 2))
                             : mem_strndup(text, (size_t)(colon - text));
    *ret_port = (uint16_t)port;
    return 0;
}

static void connect_now(struct agent_link *l);

// Between half of the delay and all of it.
static void retry_later(struct agent_link *l)
{
    if (l->is_stopping) {
        return;
    }
    int64_t half = l->delay_ns / 2;
    env_timer_set(l->env, &l->retry, half + (int64_t)(prng_unit(&l->prng) * (double)half));
    l->delay_ns = l->delay_ns * 2 < RETRY_MAX_NS ? l->delay_ns * 2 : RETRY_MAX_NS;
}

static void on_open(void *ctx, struct link *link)
{
    struct agent_link *l = ctx;
    l->is_open = true;
    l->failures = 0;
    l->redirects = 0;
    l->delay_ns = RETRY_MIN_NS;
    log_info("Connected to the master at %s", link_peer(link));
    l->callbacks.on_open(l->ctx, link_local_ip(link));
}

static void on_frame(void *ctx, struct link *link, uint32_t channel, const void *data, size_t size)
{
    struct agent_link *l = ctx;
    if (channel != CHANNEL) {
        return;
    }
    if (size == 0) {
        log_warning("The master at %s has let go of this agent: connecting anew", link_peer(link));
        agent_link_reconnect(l);
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    ProtobufCMessage *message;
    struct error err;
    if (wire_decode(&meseta__link__to_agent__descriptor, arena, data, size, &message, &err) < 0) {
        log_error("Dropping a message of the master %s: %s", link_peer(link), err.text);
        return;
    }
    l->callbacks.on_message(l->ctx, (Meseta__Link__ToAgent *)(void *)message);
}

static void on_close(void *ctx, struct link *link, const struct error *err)
{
    struct agent_link *l = ctx;
    bool was_open = l->is_open;
    link_free(link);
    l->link = NULL;
    l->is_open = false;
    // What is known of an election is newer than what a master that does not lead yet has heard.
    if (err != NULL && err->code == -EREMCHG && l->election == NULL &&
        l->redirects < REDIRECTS_MAX) {
        l->redirects++;
        mem_free(l->leader);
        l->leader = mem_strdup(err->text);
        log_info("The leading master is %s", l->leader);
        env_timer_set(l->env, &l->retry, 0);
        return;
    }
    l->redirects = 0;
    // A master that stays away is told of ever more rarely.
    if ((l->failures & (l->failures - 1)) == 0) {
        log_warning("No connection to the master: %s%s",
                    err != NULL && err->code == -EREMCHG ? "it takes for the leader " : "",
                    err != NULL ? err->text : "it was closed");
    }
    l->failures++;
    if (was_open) {
        l->callbacks.on_close(l->ctx);
    }
    retry_later(l);
}

static void connect_now(struct agent_link *l)
{
    static const struct link_callbacks callbacks = {
        .on_open = on_open,
        .on_frame = on_frame,
        .on_close = on_close,
    };
    if (l->host == NULL) {
        return; // until one is elected
    }
    AUTO_FREE char *host = NULL;
    uint16_t port = l->port;
    if (l->leader != NULL && split_address(l->leader, &host, &port, NULL) < 0) {
        log_error("Ignoring the redirection to '%s'", l->leader);
    }
    mem_free(l->leader);
    l->leader = NULL;
    l->link = link_connect(l->env, host != NULL ? host : l->host, port, &callbacks, l);
}

static void retry_due(struct timer *timer, struct instant now)
{
    (void)now;
    connect_now(CONTAINER_OF(timer, struct agent_link, retry));
}

static void dropped_due(struct env_hook *hook, struct instant now)
{
    struct agent_link *l = CONTAINER_OF(hook, struct agent_link, dropped);
    (void)now;
    l->callbacks.on_close(l->ctx);
}

static void leader_changed(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    struct agent_link *l = ctx;
    (void)is_self;
    char host[256];
    uint16_t port;
    if (leader == NULL) {
        // The connection stays: it ends when that master does.
        log_info("No master leads");
        return;
    }
    if (!election_address(leader, host, &port)) {
        log_error("The leading master %s names no address", leader->id);
        return;
    }
    log_info("The leading master is %s:%u", host, (unsigned)port);
    mem_free(l->host);
    l->host = mem_strdup(host);
    l->port = port;
    agent_link_reconnect(l);
    if (!l->is_stopping) {
        env_timer_set(l->env, &l->retry, 0);
    }
}

static void election_failed(void *ctx, const struct error *why)
{
    (void)ctx;
    log_error("Cannot look for the leading master: %s", why->text);
}

static int find_master(struct agent_link *l, const char *master, int64_t zk_session_timeout_ns,
                       struct error *err)
{
    if (!election_is_url(master)) {
        env_timer_set(l->env, &l->retry, 0);
        return split_address(master, &l->host, &l->port, err);
    }
    static const struct election_callbacks callbacks = {
        .on_leader = leader_changed,
        .on_failed = election_failed,
    };
    struct election_options options = {
        .url = master,
        .session_timeout_ns = zk_session_timeout_ns,
    };
    int r = election_new(l->env, &options, &callbacks, l, &l->election, err);
    return r < 0 ? error_wrap(err, r, "--master") : 0;
}

int agent_link_new(struct env *env, const char *master, int64_t zk_session_timeout_ns,
                   const struct agent_link_callbacks *callbacks, void *ctx,
                   struct agent_link **ret_link, struct error *err)
{
    struct agent_link *l = mem_zalloc(sizeof(*l));
    l->env = env;
    l->callbacks = *callbacks;
    l->ctx = ctx;
    l->delay_ns = RETRY_MIN_NS;
    l->retry.run = retry_due;
    l->dropped.run = dropped_due;
    list_init(&l->dropped.link);
    prng_seed(&l->prng, env_random_u64());
    int r = find_master(l, master, zk_session_timeout_ns, err);
    if (r < 0) {
        agent_link_free(l);
        return r;
    }
    *ret_link = l;
    return 0;
}

struct agent_link *agent_link_free(struct agent_link *l)
{
    if (l == NULL) {
        return NULL;
    }
    election_free(l->election);
    env_timer_cancel(l->env, &l->retry);
    env_hook_cancel(&l->dropped);
    if (l->link != NULL) {
        link_free(l->link);
    }
    buf_free(&l->frame);
    mem_free(l->host);
    mem_free(l->leader);
    mem_free(l);
    return NULL;
}

void agent_link_send(struct agent_link *l, const Meseta__Link__ToMaster *message)
{
    if (!l->is_open) {
        return;
    }
    buf_clear(&l->frame);
    wire_encode(&message->base, &l->frame);
    link_send(l->link, CHANNEL, l->frame.data, l->frame.size);
}

void agent_link_stop(struct agent_link *l)
{
    l->is_stopping = true;
    env_timer_cancel(l->env, &l->retry);
}

void agent_link_reconnect(struct agent_link *l)
{
    if (l->link != NULL) {
        link_free(l->link);
        l->link = NULL;
    }
    if (l->is_open) {
        l->is_open = false;
        env_at_turn_end(l->env, &l->dropped);
    }
    l->delay_ns = RETRY_MIN_NS;
    retry_later(l);
}
