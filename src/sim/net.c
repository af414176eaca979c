// SPDX-License-Identifier: Apache-2.0
//
// The network. Each connection has two pipes, one per direction; a pipe is a queue of frames whose
// last one may be the end of the connection. Invariant: an end that is gone is never called, and a
// connection is freed from a timer of its own once both are, never below a caller.

#include "sim/net.h"

#include <string.h>

#include "sim/sim.h"

struct frame {
    struct list link;
    int64_t due;
    bool is_end;
    size_t size;
    uint8_t data[];
};

// From ends[i] to ends[1 - i].
struct pipe {
    struct conn *conn;
    struct list frames;
    struct timer pump;     // the first frame arrives
    struct timer watchdog; // set while the direction is blocked: the receiver gives up
    int64_t last_due;
    bool is_cut; // what is sent from now on is lost
};

struct conn {
    struct sim *sim;
    struct list link;
    uint64_t id;
    size_t hosts[2];
    struct end ends[2];
    struct pipe pipes[2];
    struct timer connect, reap;
    int64_t limit_ns;
    bool is_open;
};

static void free_conn(struct conn *c)
{
    struct timers *timers = &c->sim->timers;
    timer_cancel(timers, &c->connect);
    timer_cancel(timers, &c->reap);
    for (size_t i = 0; i < 2; i++) {
        timer_cancel(timers, &c->pipes[i].pump);
        timer_cancel(timers, &c->pipes[i].watchdog);
        LIST_FOREACH (&c->pipes[i].frames, struct frame, link, frame)
            mem_free(frame);
    }
    list_remove(&c->link);
    mem_free(c);
}

static void reap(struct timer *timer, struct instant now)
{
    (void)now;
    free_conn(CONTAINER_OF(timer, struct conn, reap));
}

static void end_is_gone(struct end *end)
{
    struct conn *c = end->conn;
    end->is_gone = true;
    if (c->ends[0].is_gone && c->ends[1].is_gone)
        after(c->sim, &c->reap, 0);
}

static size_t side_of(const struct end *end)
{
    return end == &end->conn->ends[1] ? 1 : 0;
}

static void tell_closed(struct end *end)
{
    if (end->is_gone)
        return;
    end_is_gone(end);
    end->ops->closed(end->ctx);
}

// ---- pipes ----

static bool is_blocked(const struct conn *c, size_t side)
{
    return c->sim->net.blocked[c->hosts[side]][c->hosts[1 - side]] > 0;
}

static void arm_pump(struct pipe *p)
{
    struct conn *c = p->conn;
    size_t side = (size_t)(p - c->pipes);
    if (list_is_empty(&p->frames) || !c->is_open)
        return;
    if (is_blocked(c, side)) {
        timer_cancel(&c->sim->timers, &p->pump);
        return;
    }
    int64_t due = LIST_ENTRY(p->frames.next, struct frame, link)->due;
    int64_t paused = c->sim->net.paused_until[c->hosts[1 - side]];
    due = due > paused ? due : paused;
    due = due > c->sim->now.mono ? due : c->sim->now.mono;
    timer_set(&c->sim->timers, &p->pump, due);
}

static void push(struct pipe *p, const void *data, size_t size, bool is_end, int64_t delay_ns)
{
    struct conn *c = p->conn;
    if (p->is_cut)
        return;
    struct frame *frame = mem_alloc(sizeof(*frame) + size);
    int64_t due = c->sim->now.mono + delay_ns;
    p->last_due = frame->due = due > p->last_due ? due : p->last_due;
    frame->is_end = is_end;
    frame->size = size;
    if (size > 0)
        memcpy(frame->data, data, size);
    p->is_cut = is_end;
    list_append(&p->frames, &frame->link);
    if (p->frames.next == &frame->link)
        arm_pump(p);
    if (is_blocked(c, (size_t)(p - c->pipes)))
        mark(c->sim, MARK_FRAME_HELD_BY_PARTITION);
}

static void pump(struct timer *timer, struct instant now)
{
    struct pipe *p = CONTAINER_OF(timer, struct pipe, pump);
    struct conn *c = p->conn;
    size_t side = (size_t)(p - c->pipes);
    struct end *to = &c->ends[1 - side];
    struct frame *frame = LIST_ENTRY(p->frames.next, struct frame, link);
    if (c->sim->net.paused_until[c->hosts[1 - side]] > now.mono) {
        arm_pump(p);
        return;
    }
    list_remove(&frame->link);
    arm_pump(p);
    sim_digest(c->sim, frame->data, frame->size);
    if (frame->is_end)
        tell_closed(to);
    else if (!to->is_gone)
        to->ops->frame(to->ctx, frame->data, frame->size);
    mem_free(frame);
}

static void give_up(struct timer *timer, struct instant now)
{
    (void)now;
    struct pipe *p = CONTAINER_OF(timer, struct pipe, watchdog);
    struct conn *c = p->conn;
    size_t receiver = 1 - (size_t)(p - c->pipes);
    if (c->ends[receiver].is_gone || !c->is_open)
        return;
    TRACE(c->sim, "connection %llu: host %zu hears nothing and gives it up",
          (unsigned long long)c->id, c->hosts[receiver]);
    mark(c->sim, MARK_CONNECTION_SILENT);
    push(&c->pipes[receiver], NULL, 0, true, c->sim->config.delay_ns);
    tell_closed(&c->ends[receiver]);
}

static void watch(struct conn *c, size_t side)
{
    struct pipe *p = &c->pipes[side];
    if (is_blocked(c, side) && !timer_is_set(&p->watchdog))
        after(c->sim, &p->watchdog, draw_between(c->sim, c->limit_ns, c->limit_ns * 5 / 4));
}

// ---- connecting ----

static int64_t draw_delay(struct sim *sim)
{
    return draw_between(sim, sim->config.delay_ns, sim->config.delay_ns * 3);
}

static void connected(struct timer *timer, struct instant now)
{
    struct conn *c = CONTAINER_OF(timer, struct conn, connect);
    struct sim *sim = c->sim;
    size_t to = c->hosts[1];
    if (sim->net.paused_until[to] > now.mono) {
        timer_set(&sim->timers, timer, sim->net.paused_until[to]);
        return;
    }
    if (c->ends[0].is_gone) {
        end_is_gone(&c->ends[1]);
        return;
    }
    bool is_blocked_any = is_blocked(c, 0) || is_blocked(c, 1);
    if (is_blocked_any || !sim->net.has_listener[to]) {
        mark(sim, is_blocked_any ? MARK_CONNECT_TIMED_OUT : MARK_CONNECTION_REFUSED);
        c->ends[1].is_gone = true;
        tell_closed(&c->ends[0]);
        return;
    }
    c->is_open = true;
    net_accept(sim, to, &c->ends[1]);
    CHECK(c->ends[1].ops != NULL);
    arm_pump(&c->pipes[0]);
    c->ends[0].ops->opened(c->ends[0].ctx);
}

struct end *net_connect(struct sim *sim, size_t from, size_t to, int64_t limit_ns,
                        const struct end_ops *ops, void *ctx)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    c->sim = sim;
    c->id = ++sim->net.next_id;
    c->hosts[0] = from;
    c->hosts[1] = to;
    c->limit_ns = limit_ns;
    c->ends[0] = (struct end){.conn = c, .ops = ops, .ctx = ctx};
    c->ends[1] = (struct end){.conn = c};
    for (size_t i = 0; i < 2; i++) {
        c->pipes[i].conn = c;
        c->pipes[i].pump.run = pump;
        c->pipes[i].watchdog.run = give_up;
        list_init(&c->pipes[i].frames);
    }
    c->connect.run = connected;
    c->reap.run = reap;
    list_append(&sim->net.conns, &c->link);
    bool is_blocked_any = is_blocked(c, 0) || is_blocked(c, 1);
    after(sim, &c->connect, is_blocked_any ? 15 * NS_PER_S : draw_delay(sim));
    return &c->ends[0];
}

void net_send(struct end *end, const void *data, size_t size)
{
    CHECK(!end->is_gone);
    struct conn *c = end->conn;
    push(&c->pipes[side_of(end)], data, size, false, draw_delay(c->sim));
}

static bool is_passable(const struct conn *c, size_t side)
{
    return !c->pipes[side].is_cut && !is_blocked(c, side) && !c->ends[1 - side].is_gone;
}

bool net_is_heard(const struct end *end)
{
    return is_passable(end->conn, side_of(end));
}

bool net_hears(const struct end *end)
{
    return is_passable(end->conn, 1 - side_of(end));
}

void net_close(struct end *end)
{
    CHECK(!end->is_gone);
    struct conn *c = end->conn;
    push(&c->pipes[side_of(end)], NULL, 0, true, draw_delay(c->sim));
    end_is_gone(end);
}

// ---- faults ----

// Loses a part of what is under way, from the back.
static void lose_tail(struct pipe *p)
{
    size_t count = 0, kept;
    LIST_FOREACH (&p->frames, struct frame, link, frame) {
        (void)frame;
        count++;
    }
    kept = draw(p->conn->sim, count + 1);
    while (count-- > kept) {
        struct frame *last = LIST_ENTRY(p->frames.previous, struct frame, link);
        if (!last->is_end)
            mark(p->conn->sim, MARK_FRAMES_LOST);
        list_remove(&last->link);
        mem_free(last);
    }
    if (list_is_empty(&p->frames))
        timer_cancel(&p->conn->sim->timers, &p->pump);
    p->is_cut = false;
}

static void cut(struct conn *c, bool is_silent)
{
    for (size_t side = 0; side < 2; side++) {
        struct pipe *p = &c->pipes[side];
        lose_tail(p);
        // Most times both ends learn at once; now and then one hears nothing for a while.
        int64_t delay = is_silent || chance(c->sim, 0.2)
                            ? draw_between(c->sim, c->limit_ns, c->limit_ns * 5 / 4)
                            : draw_between(c->sim, 0, 10 * NS_PER_MS);
        push(p, NULL, 0, true, delay);
    }
}

bool net_break_one(struct sim *sim)
{
    size_t count = 0;
    LIST_FOREACH (&sim->net.conns, struct conn, link, c)
        count += c->is_open && !c->ends[0].is_gone && !c->ends[1].is_gone;
    if (count == 0)
        return false;
    size_t skip = draw(sim, count);
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        if (!c->is_open || c->ends[0].is_gone || c->ends[1].is_gone || skip-- > 0)
            continue;
        TRACE(sim, "connection %llu between hosts %zu and %zu breaks", (unsigned long long)c->id,
              c->hosts[0], c->hosts[1]);
        mark(sim, MARK_CONNECTION_BROKEN);
        cut(c, false);
        break;
    }
    return true;
}

bool net_stall_one(struct sim *sim, int64_t delay_ns)
{
    size_t count = 0;
    LIST_FOREACH (&sim->net.conns, struct conn, link, counted)
        count += counted->is_open;
    if (count == 0)
        return false;
    size_t skip = draw(sim, count), side = draw(sim, 2);
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        if (!c->is_open || skip-- > 0)
            continue;
        struct pipe *p = &c->pipes[side];
        LIST_FOREACH (&p->frames, struct frame, link, frame)
            frame->due += delay_ns;
        p->last_due = sim->now.mono + delay_ns > p->last_due + delay_ns ? sim->now.mono + delay_ns
                                                                        : p->last_due + delay_ns;
        arm_pump(p);
        TRACE(sim, "connection %llu: what host %zu sends comes %.3f s late",
              (unsigned long long)c->id, c->hosts[side], (double)delay_ns / (double)NS_PER_S);
        mark(sim, MARK_CONNECTION_STALLED);
        break;
    }
    return true;
}

void net_leave_host(struct sim *sim, size_t host)
{
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        for (size_t side = 0; side < 2; side++) {
            if (c->hosts[side] == host && !c->ends[side].is_gone && (side == 0 || c->is_open))
                net_close(&c->ends[side]);
        }
    }
}

void net_crash_host(struct sim *sim, size_t host, bool silent)
{
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        for (size_t side = 0; side < 2; side++) {
            // Nobody was asked yet for a connection that is not open.
            if (c->hosts[side] != host || c->ends[side].is_gone || (side == 1 && !c->is_open))
                continue;
            if (c->is_open)
                cut(c, silent);
            end_is_gone(&c->ends[side]);
        }
    }
}

void net_block(struct sim *sim, size_t from, size_t to)
{
    sim->net.blocked[from][to]++;
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        for (size_t side = 0; side < 2; side++) {
            watch(c, side);
            arm_pump(&c->pipes[side]);
        }
    }
}

void net_unblock(struct sim *sim, size_t from, size_t to)
{
    CHECK(sim->net.blocked[from][to] > 0);
    sim->net.blocked[from][to]--;
    LIST_FOREACH (&sim->net.conns, struct conn, link, c) {
        for (size_t side = 0; side < 2; side++) {
            if (is_blocked(c, side))
                continue;
            timer_cancel(&sim->timers, &c->pipes[side].watchdog);
            arm_pump(&c->pipes[side]);
        }
    }
}

void net_pause(struct sim *sim, size_t host, int64_t until)
{
    int64_t *paused = &sim->net.paused_until[host];
    *paused = until > *paused ? until : *paused;
}

void net_init(struct sim *sim)
{
    list_init(&sim->net.conns);
}

void net_free(struct sim *sim)
{
    LIST_FOREACH (&sim->net.conns, struct conn, link, c)
        free_conn(c);
}
