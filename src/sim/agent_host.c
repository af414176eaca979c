// SPDX-License-Identifier: Apache-2.0
//
// An agent's shell in the simulated world: its link to the master, which is made again with
// back-off as the real one is, its timers, its removals of sandboxes, and its life: it is killed in
// the midst of a turn or between two, leaves, is stopped for good by an operator, its machine is
// rebooted; and it starts anew with what its disk has kept.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/ledger.h"

#define LINK_RETRY_MIN_NS (50 * NS_PER_MS)
#define LINK_RETRY_MAX_NS NS_PER_S
#define LINK_SILENCE_NS (60 * NS_PER_S)

struct removal {
    struct timer timer;
    struct agent_host *host;
    unsigned generation;
};

// ---- the turn ----

void agent_host_touch(struct agent_host *a)
{
    struct sim *sim = a->sim;
    if (a->core == NULL)
        return;
    const char *id = agent_host_id(a) != NULL ? agent_host_id(a) : "";
    if (!agent_disk_end_turn(a)) {
        after(sim, &a->death, 0);
        return;
    }
    if (strcmp(a->id, id) != 0) {
        if (a->id[0] != '\0')
            ledger_agent_died(sim->ledger, a->id);
        snprintf(a->id, sizeof(a->id), "%s", id);
        TRACE(sim, "agent %zu is %s", a->index, id[0] != '\0' ? id : "nobody");
    }
    int64_t next = agent_next_deadline(a->core);
    if (next == INT64_MAX) {
        timer_cancel(&sim->timers, &a->step);
        return;
    }
    int64_t paused = sim->net.paused_until[host_of_agent(sim, a->index)];
    next = next > sim->now.mono ? next : sim->now.mono;
    timer_set(&sim->timers, &a->step, next > paused ? next : paused);
}

static void step(struct timer *timer, struct instant now)
{
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, step);
    agent_run_timers(a->core, now);
    agent_host_look(a);
    agent_host_touch(a);
}

// ---- the link ----

static void retry_later(struct agent_host *a)
{
    if (a->core == NULL || a->is_ending)
        return;
    after(a->sim, &a->retry, draw_between(a->sim, a->retry_ns / 2, a->retry_ns));
    a->retry_ns = a->retry_ns * 2 < LINK_RETRY_MAX_NS ? a->retry_ns * 2 : LINK_RETRY_MAX_NS;
}

static void link_opened(void *ctx)
{
    struct agent_host *a = ctx;
    a->link_is_open = true;
    a->retry_ns = LINK_RETRY_MIN_NS;
    agent_link_opened(a->core, a->sim->now);
    agent_host_touch(a);
}

static void link_frame(void *ctx, const void *data, size_t size)
{
    struct agent_host *a = ctx;
    struct sim *sim = a->sim;
    ProtobufCMessage *message;
    struct error err;
    if (wire_decode(&meseta__link__to_agent__descriptor, sim->scratch, data, size, &message, &err) <
        0)
        sim_fail(sim, "a message to an agent cannot be read: %s", err.text);
    const Meseta__Link__ToAgent *to_agent = (const void *)message;
    const Meseta__Link__ToAgent__Acknowledge *acknowledge = to_agent->acknowledge;
    if (acknowledge != NULL && !a->is_ending) // one that is to end listens no more
        agent_disk_note_acknowledged(a, acknowledge->framework_id->value,
                                     acknowledge->task_id->value, acknowledge->uuid.data);
    if (to_agent->acknowledge_operation != NULL && !a->is_ending)
        agent_disk_note_operation(a, to_agent->acknowledge_operation);
    if (to_agent->shutdown_framework != NULL)
        ledger_framework_shut_down(sim->ledger, to_agent->shutdown_framework->framework_id->value,
                                   a->id);
    agent_receive(a->core, to_agent, sim->now);
    if (to_agent->run_task != NULL || to_agent->run_task_group != NULL ||
        to_agent->apply_operation != NULL)
        agent_host_check(a);
    else
        agent_host_look(a);
    agent_host_touch(a);
}

static void link_closed(void *ctx)
{
    struct agent_host *a = ctx;
    bool was_open = a->link_is_open;
    a->link = NULL;
    a->link_is_open = false;
    if (was_open) {
        agent_link_closed(a->core, a->sim->now);
        agent_host_touch(a);
    }
    retry_later(a);
}

static void connect_now(struct timer *timer, struct instant now)
{
    (void)now;
    static const struct end_ops ops = {
        .opened = link_opened, .frame = link_frame, .closed = link_closed};
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, retry);
    CHECK(a->link == NULL && a->core != NULL);
    if (a->detector.knows)
        a->link = net_connect(a->sim, host_of_agent(a->sim, a->index),
                              host_of_master(a->detector.leader), LINK_SILENCE_NS, &ops, a);
}

static void dropped(struct timer *timer, struct instant now)
{
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, dropped);
    agent_link_closed(a->core, now);
    agent_host_touch(a);
}

// Closes the link, and connects to whom the election says.
static void connect_anew(struct agent_host *a)
{
    if (a->link != NULL)
        net_close(a->link);
    a->link = NULL;
    if (a->link_is_open)
        after(a->sim, &a->dropped, 0);
    a->link_is_open = false;
    a->retry_ns = LINK_RETRY_MIN_NS;
    retry_later(a);
}

static void reconnect(void *ctx)
{
    struct agent_host *a = ctx;
    mark(a->sim, MARK_AGENT_SILENT_MASTER);
    connect_anew(a);
}

static void leader_changed(void *ctx)
{
    struct agent_host *a = ctx;
    if (!a->detector.knows)
        return; // the connection ends when that master does
    connect_anew(a);
    if (!a->is_ending)
        after(a->sim, &a->retry, 0);
}

static void send_to_master(void *ctx, const Meseta__Link__ToMaster *message)
{
    struct agent_host *a = ctx;
    if (!agent_disk_may_act(a))
        return;
    if (message->status_update != NULL)
        ledger_update_sent(a->sim->ledger, message->status_update);
    if (message->reregister != NULL)
        operations_named(ledger_operations(a->sim->ledger), message->reregister);
    if (message->operation_status != NULL)
        operations_sent(ledger_operations(a->sim->ledger), a->id, message->operation_status);
    if (!a->link_is_open)
        return;
    AUTO_BUF struct buf bytes = BUF_INIT;
    buf_putc(&bytes, 'A');
    wire_encode(&message->base, &bytes);
    net_send(a->link, bytes.data, bytes.size);
}

// ---- other effects ----

static void removed(struct timer *timer, struct instant now)
{
    (void)now;
    struct removal *removal = CONTAINER_OF(timer, struct removal, timer);
    struct agent_host *a = removal->host;
    if (a->core != NULL && a->generation == removal->generation)
        agent_path_removed(a->core, chance(a->sim, 0.95));
    mem_free(removal);
}

static void remove_path(void *ctx, const char *path)
{
    struct agent_host *a = ctx;
    CHECK(path[0] == '/');
    mark(a->sim, MARK_SANDBOX_REMOVED);
    struct removal *removal = mem_zalloc(sizeof(*removal));
    removal->timer.run = removed;
    removal->host = a;
    removal->generation = a->generation;
    after(a->sim, &removal->timer, draw_spread(a->sim, NS_PER_MS, NS_PER_S));
}

static void watch_disk(struct timer *timer, struct instant now)
{
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, disk_watch);
    double usage = prng_unit(&a->sim->prng) * 0.5;
    if (!a->sim->calm && chance(a->sim, 0.2)) {
        usage = 0.99;
        mark(a->sim, MARK_DISK_FULL);
    }
    agent_disk_usage(a->core, usage, now);
    agent_host_touch(a);
    after(a->sim, timer, NS_PER_MIN);
}

static void send_event(void *ctx, void *stream, const Mesos__V1__Executor__Event *event)
{
    if (agent_disk_may_act(ctx))
        containers_send(ctx, stream, event);
}

static void close_stream(void *ctx, void *stream)
{
    containers_close_stream(ctx, stream);
}

static int container_launch(void *ctx, const struct agent_launch *launch, struct error *err)
{
    return agent_disk_may_act(ctx) ? containers_launch(ctx, launch, err) : 0;
}

static int container_update(void *ctx, const char *container_id, const struct resources *resources,
                            const struct hard_limits *limits, struct error *err)
{
    (void)resources, (void)limits;
    return containers_update(ctx, container_id, err);
}

static void checkpoint(void *ctx, const char *key, const ProtobufCMessage *message)
{
    agent_disk_put(ctx, key, message);
}

static void container_destroy(void *ctx, const char *container_id)
{
    if (agent_disk_may_act(ctx))
        containers_destroy(ctx, container_id);
}

// ---- life ----

// The process is gone, and all that was about it.
static void forget_core(struct agent_host *a, bool is_crash)
{
    struct timers *timers = &a->sim->timers;
    // Turns end with agent_host_touch: what is left here was cut off in the midst of one.
    a->is_doomed = true;
    a->doom_commits = false;
    agent_disk_end_turn(a);
    a->is_doomed = a->is_armed = false;
    detector_end(&a->detector, is_crash);
    if (a->id[0] != '\0')
        ledger_agent_crashed(a->sim->ledger, a->id);
    if (a->is_ending)
        ledger_agent_stops(a->sim->ledger, a->id);
    a->core = agent_free(a->core);
    a->down_since = a->sim->now.mono;
    timer_cancel(timers, &a->step);
    timer_cancel(timers, &a->retry);
    timer_cancel(timers, &a->dropped);
    timer_cancel(timers, &a->disk_watch);
    timer_cancel(timers, &a->death);
    a->link = NULL;
    a->link_is_open = false;
    a->is_ending = false;
}

// The process that was stopped has ended. Not within the effect that says so.
static void ended(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, start);
    size_t host = host_of_agent(a->sim, a->index);
    bool keeps_id = agent_host_id(a) != NULL;
    TRACE(a->sim, "agent %zu has ended", a->index);
    forget_core(a, false);
    // It would come back under its id, were it not that it forgot that: nothing may be left.
    if (a->id[0] != '\0')
        ledger_agent_died(a->sim->ledger, a->id);
    a->id[0] = '\0';
    REQUIRE(a->sim, list_is_empty(&a->containers), "agent %zu has ended and left containers",
            a->index);
    const char *leftover = agent_disk_leftover(a);
    REQUIRE(a->sim, leftover == NULL, "agent %zu has ended and left the record %s", a->index,
            leftover);
    // One that is gone must not come back, and tries to, until somebody takes its id away.
    if (keeps_id && (a->sim->calm || chance(a->sim, 0.5)))
        agent_disk_wipe(a);
    net_leave_host(a->sim, host);
    if (!a->stays_down)
        agent_host_start(a);
}

static void on_shut_down(void *ctx)
{
    struct agent_host *a = ctx;
    a->start.run = ended;
    after(a->sim, &a->start, NS_PER_MS);
}

static const struct agent_ops ops = {
    .checkpoint = checkpoint,
    .send_to_master = send_to_master,
    .send_event = send_event,
    .close_stream = close_stream,
    .container_launch = container_launch,
    .container_update = container_update,
    .container_destroy = container_destroy,
    .remove_path = remove_path,
    .reconnect = reconnect,
    .on_shut_down = on_shut_down,
};

// Once the machine was rebooted it may be that no agent of before is to go on.
static void recover(struct agent_host *a, struct instant now)
{
    struct sim *sim = a->sim;
    struct agent_record *records;
    struct agent_recovery recovery = {
        .count = agent_disk_load(a, sim->scratch, &records),
        .is_strict = true,
        .is_cleanup = a->cleans_up,
    };
    bool is_rebooted;
    struct error err;
    recovery.records = records;
    if (a->cleans_up)
        ledger_agent_stops(sim->ledger, a->id);
    a->cleans_up = false;
    if (agent_recover(a->core, &recovery, &is_rebooted, now, &err) < 0)
        sim_fail(sim, "agent %zu cannot recover: %s", a->index, err.text);
    if (recovery.count > 1)
        mark(sim, is_rebooted           ? MARK_RECOVERED_AFTER_REBOOT
                  : recovery.is_cleanup ? MARK_RECOVERED_TO_CLEAN_UP
                                        : MARK_RECOVERED_CHECKPOINTS);
    containers_recover(a);
    agent_recovery_start(a->core, now);
}

static void start(struct timer *timer, struct instant now)
{
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, start);
    struct sim *sim = a->sim;
    static char path[] = "PATH=/bin";
    static char *environment[] = {path, NULL};
    char boot_id[24];
    snprintf(boot_id, sizeof(boot_id), "boot-%u", a->boots);
    struct resources *total;
    CHECK(resources_parse(a->resources, "*", &total, NULL) == 0);
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    char hostname[32], ip[32];
    snprintf(hostname, sizeof(hostname), "agent-%zu", a->index);
    snprintf(ip, sizeof(ip), "10.0.1.%zu", a->index + 1);
    info.hostname = hostname;
    info.has_port = true;
    info.port = 5051;
    info.n_resources =
        resources_to_proto(total, sim->scratch, RESOURCES_NEW_FORM, false, &info.resources);
    resources_free(total);
    struct agent_options options = {
        .work_dir = "/work",
        .launcher_dir = "/libexec",
        .switch_user = true,
        .executor_registration_timeout_ns = 60 * NS_PER_S,
        .executor_shutdown_grace_period_ns = 5 * NS_PER_S,
        .registration_backoff_factor_ns = NS_PER_S,
        .gc_delay_ns = 3600 * NS_PER_S,
        .gc_disk_headroom = 0.1,
        .max_completed_executors = 3,
        .environment = environment,
        .recovery_timeout_ns = sim->config.recovery_timeout_ns,
        .executor_reregistration_timeout_ns = 2 * NS_PER_S,
        .info = &info,
        .ip = ip,
        .seed = prng_u64(&sim->prng),
        .boot_id = boot_id,
    };
    a->generation++;
    a->is_ending = false;
    a->link_is_open = false;
    a->retry_ns = LINK_RETRY_MIN_NS;
    TRACE(sim, "agent %zu begins", a->index);
    struct error err;
    a->core = agent_new(&options, &ops, a, now, &err);
    CHECK(a->core != NULL);
    recover(a, now);
    if (a->core == NULL)
        return;
    detector_start(&a->detector, sim, host_of_agent(sim, a->index));
    after(sim, &a->retry, 0);
    after(sim, &a->disk_watch, NS_PER_MIN);
    agent_host_touch(a);
}

static void killed(struct timer *timer, struct instant now);

void agent_host_init(struct sim *sim, size_t index)
{
    static const char *const amounts[] = {
        "cpus:2;mem:1024;disk:500",
        "cpus:4;mem:2048;disk:1000;ports:[31000-31009]",
        "cpus:8;mem:4096;disk:1000;ports:[31000-31001,31005-31007]",
        "cpus:1;cpus(a):2;mem:1024;mem(a):512;disk:100",
    };
    struct agent_host *a = &sim->agents[index];
    a->sim = sim;
    a->index = index;
    a->resources = amounts[draw(sim, ARRAY_COUNT(amounts))];
    a->step.run = step;
    a->retry.run = connect_now;
    a->start.run = start;
    a->dropped.run = dropped;
    a->detector.on_change = leader_changed;
    a->detector.ctx = a;
    a->disk_watch.run = watch_disk;
    a->death.run = killed;
    list_init(&a->containers);
    agent_disk_init(a);
}

void agent_host_start(struct agent_host *a)
{
    if (a->core != NULL || timer_is_set(&a->start))
        return;
    a->start.run = start;
    after(a->sim, &a->start, draw_spread(a->sim, NS_PER_MS, 5 * NS_PER_S));
}

static void die(struct agent_host *a, int64_t down_ns, bool is_reboot)
{
    timer_cancel(&a->sim->timers, &a->start);
    forget_core(a, true);
    containers_crash(a, is_reboot);
    net_crash_host(a->sim, host_of_agent(a->sim, a->index), chance(a->sim, 0.2));
    a->start.run = start;
    after(a->sim, &a->start, down_ns);
}

void agent_host_crash(struct agent_host *a, int64_t down_ns)
{
    if (a->core == NULL)
        return;
    TRACE(a->sim, "agent %zu crashes", a->index);
    mark(a->sim, MARK_AGENT_CRASHED);
    a->cleans_up = !a->sim->calm && chance(a->sim, 0.05);
    die(a, down_ns, false);
}

void agent_host_kill_in_turn(struct agent_host *a)
{
    a->is_armed = a->core != NULL && !a->is_doomed;
}

static void killed(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_host *a = CONTAINER_OF(timer, struct agent_host, death);
    TRACE(a->sim, "agent %zu is killed in a turn of which %s kept", a->index,
          a->doom_commits ? "everything was" : "nothing was");
    mark(a->sim, MARK_AGENT_KILLED_IN_TURN);
    die(a, draw_spread(a->sim, 10 * NS_PER_MS, 60 * NS_PER_S), false);
}

void agent_host_reboot(struct agent_host *a, int64_t down_ns)
{
    TRACE(a->sim, "the machine of agent %zu is rebooted", a->index);
    mark(a->sim, MARK_AGENT_REBOOTED);
    a->boots++;
    if (a->core != NULL)
        die(a, down_ns, true);
    else
        containers_crash(a, true);
}

void agent_host_leave(struct agent_host *a)
{
    if (a->core == NULL || a->is_ending || a->is_doomed)
        return;
    TRACE(a->sim, "agent %zu leaves", a->index);
    mark(a->sim, MARK_AGENT_LEFT);
    forget_core(a, false);
    containers_crash(a, false);
    net_leave_host(a->sim, host_of_agent(a->sim, a->index));
    a->start.run = start;
    after(a->sim, &a->start, draw_spread(a->sim, 10 * NS_PER_MS, 60 * NS_PER_S));
}

void agent_host_stop(struct agent_host *a)
{
    if (a->core == NULL || a->is_ending || a->is_doomed)
        return;
    TRACE(a->sim, "agent %zu is stopped", a->index);
    mark(a->sim, MARK_AGENT_STOPPED);
    a->is_ending = true;
    ledger_agent_stops(a->sim->ledger, a->id);
    timer_cancel(&a->sim->timers, &a->retry);
    agent_shutdown(a->core, "stopped by the simulator", a->sim->now);
    agent_host_touch(a);
}

void agent_host_free(struct agent_host *a)
{
    timer_cancel(&a->sim->timers, &a->start);
    if (a->core != NULL)
        forget_core(a, true);
    containers_crash(a, true);
    agent_disk_free(a);
}
