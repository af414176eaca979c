// SPDX-License-Identifier: Apache-2.0
//
// A framework that launches many `true` command tasks and measures. It keeps `--in_flight` tasks
// running until `--tasks` have ended, or (`--in_flight=0`) launches all of them in a single ACCEPT.
// It prints one line of JSON: tasks per second from the first ACCEPT to the last terminal update,
// percentiles of the time from a task's ACCEPT to its TASK_RUNNING, and with one task in flight
// those of the turn-round: from the end of a task, by the executor's clock, to TASK_RUNNING of the
// next. bench/bench_tasks.py starts it beside a real master and agent and adds their CPU time.

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/flags.h"
#include "base/mem.h"
#include "client/scheduler.h"
#include "env/env.h"
#include "model/resources.h"
#include "model/task_state.h"

enum { FAILURES_SHOWN_MAX = 5 };

struct bench_flags {
    char *master;
    char *command;
    char *task_resources;
    uint64_t tasks;
    uint64_t in_flight;
    int64_t timeout;
    bool checkpoint;
};

static const struct flag BENCH_FLAGS[] = {
    FLAG_ROW(struct bench_flags, master, "master", NULL, FLAG_TEXT, NULL, FLAG_REQUIRED,
             "The master's address, host:port."),
    FLAG_ROW(struct bench_flags, command, "command", NULL, FLAG_TEXT, "true", 0,
             "What each task runs."),
    FLAG_ROW(struct bench_flags, task_resources, "task_resources", NULL, FLAG_TEXT,
             "cpus:0.01;mem:32", 0, "What each task asks for."),
    FLAG_ROW(struct bench_flags, tasks, "tasks", NULL, FLAG_SIZE, "1000", 0,
             "Tasks to run, in all."),
    FLAG_ROW(struct bench_flags, in_flight, "in_flight", NULL, FLAG_SIZE, "64", 0,
             "Most tasks at once; 0: all in a single ACCEPT."),
    FLAG_ROW(struct bench_flags, timeout, "timeout", NULL, FLAG_DURATION, "120secs", 0,
             "Gives up after this long."),
    FLAG_ROW(struct bench_flags, checkpoint, "checkpoint", NULL, FLAG_BOOL, "false", 0,
             "Whether the framework wants its tasks to outlive the agent."),
};

static const struct flag_table BENCH_TABLE = {BENCH_FLAGS, ARRAY_COUNT(BENCH_FLAGS)};

// What is known of one task; its id is its number.
struct task_times {
    int64_t accepted; // monotonic ns; 0 while not launched
    int64_t running;  // 0 while not seen
    int64_t turn;     // since the end of the task before it, in ns; 0 without one
    bool ended;
};

struct bench {
    struct env *env;
    struct scheduler *scheduler;
    struct bench_flags flags;
    struct task_times *tasks;
    struct resources *need; // of one task
    struct arena *offer_arena;
    Mesos__V1__Offer *offer; // held until a slot is free; in offer_arena, or NULL
    uint64_t launched;
    uint64_t finished;
    uint64_t failed; // ended in another state than TASK_FINISHED
    int64_t first_accept;
    int64_t last_end;
    double last_end_time; // as the terminal update says, in seconds since the epoch
    struct timer deadline;
};

static Mesos__V1__CommandInfo *bench_make_command(struct arena *arena, const char *text)
{
    Mesos__V1__CommandInfo *command =
        WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);

    command->value = arena_strdup(arena, text);
    return command;
}

static Mesos__V1__TaskInfo *bench_make_task(struct bench *b, struct arena *arena, uint64_t number,
                                            Mesos__V1__AgentID *agent_id)
{
    Mesos__V1__TaskInfo *task = WIRE_NEW(arena, Mesos__V1__TaskInfo, mesos__v1__task_info);

    task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    task->task_id->value = arena_printf(arena, "%llu", (unsigned long long)number);
    task->name = task->task_id->value;
    task->agent_id = agent_id;
    task->command = bench_make_command(arena, b->flags.command);
    task->n_resources =
        resources_to_proto(b->need, arena, RESOURCES_OLD_FORM, false, &task->resources);
    return task;
}

// How many tasks fit into an offer.
static uint64_t bench_fit(const struct bench *b, const Mesos__V1__Offer *offer)
{
    AUTO_RESOURCES struct resources *free_amount = NULL;
    struct error err = {0};
    uint64_t fit = UINT64_MAX;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const char **names;

    CHECK(resources_from_proto(offer->resources, offer->n_resources, &free_amount, &err) == 0);
    size_t count = resources_scalar_names(b->need, arena, &names);
    for (size_t i = 0; i < count; i++) {
        int64_t need = resources_scalar(b->need, names[i]);
        uint64_t n = (uint64_t)(resources_scalar(free_amount, names[i]) / need);

        if (n < fit)
            fit = n;
    }
    return fit;
}

static void bench_send(struct bench *b, const Mesos__V1__Scheduler__Call *call)
{
    struct error err = {0};

    if (scheduler_send(b->scheduler, call, &err) != 0) {
        fprintf(stderr, "Cannot send a call: %s\n", err.text);
        env_stop(b->env, 2);
    }
}

// Sends an ACCEPT with `count` tasks; 0 gives the offer back for good.
static void bench_accept(struct bench *b, Mesos__V1__Offer *offer, uint64_t count)
{
    AUTO_ARENA struct arena *arena = arena_new(1 << 16, 0);
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Accept accept = MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation *operations[] = {&operation};
    Mesos__V1__Offer__Operation__Launch launch = MESOS__V1__OFFER__OPERATION__LAUNCH__INIT;
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    int64_t now = env_refresh_now(b->env).mono;

    launch.task_infos = arena_calloc(arena, count + 1, sizeof(*launch.task_infos));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = b->launched++;

        b->tasks[number].accepted = now;
        launch.task_infos[launch.n_task_infos++] =
            bench_make_task(b, arena, number, offer->agent_id);
    }
    if (count > 0 && b->first_accept == 0)
        b->first_accept = now;
    operation.has_type = 1;
    operation.type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH;
    operation.launch = &launch;
    filters.has_refuse_seconds = 1;
    filters.refuse_seconds = b->launched < b->flags.tasks ? 0 : 3600;
    accept.n_offer_ids = 1;
    accept.offer_ids = &offer->id;
    accept.n_operations = count > 0;
    accept.operations = operations;
    accept.filters = &filters;
    call.has_type = 1;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT;
    call.accept = &accept;
    bench_send(b, &call);
}

// Uses the offer that is held as far as tasks may be launched; keeps it while none may.
static void bench_use_offer(struct bench *b)
{
    uint64_t running = b->launched - b->finished - b->failed;
    uint64_t left = b->flags.tasks - b->launched;
    uint64_t slots = b->flags.in_flight == 0 ? left : b->flags.in_flight - running;

    if (b->offer == NULL || (slots == 0 && left > 0))
        return;
    uint64_t count = bench_fit(b, b->offer);

    if (b->flags.in_flight == 0 && count < left) {
        fprintf(stderr, "The offer holds only %llu tasks\n", (unsigned long long)count);
        env_stop(b->env, 2);
        return;
    }
    count = count < slots ? count : slots;
    bench_accept(b, b->offer, count < left ? count : left);
    b->offer = NULL;
    arena_reset(b->offer_arena);
}

// One offer is held at most: the agent's newest. A second one (the agent freed more while the first
// was held) is given back at once and comes again with what the first leaves.
static void bench_on_offers(struct bench *b, const Mesos__V1__Scheduler__Event__Offers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        if (b->offer != NULL) {
            bench_accept(b, b->offer, 0);
            arena_reset(b->offer_arena);
        }
        b->offer = WIRE_COPY(b->offer_arena, Mesos__V1__Offer, offers->offers[i]);
        bench_use_offer(b);
    }
}

static void bench_on_rescind(struct bench *b, const Mesos__V1__Scheduler__Event__Rescind *rescind)
{
    if (b->offer != NULL && strcmp(b->offer->id->value, rescind->offer_id->value) == 0) {
        b->offer = NULL;
        arena_reset(b->offer_arena);
    }
}

static void bench_acknowledge(struct bench *b, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Acknowledge body = MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;

    body.agent_id = status->agent_id;
    body.task_id = status->task_id;
    body.uuid = status->uuid;
    call.has_type = 1;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE;
    call.acknowledge = &body;
    bench_send(b, &call);
}

static void bench_on_update(struct bench *b, const Mesos__V1__TaskStatus *status)
{
    uint64_t number = strtoull(status->task_id->value, NULL, 10);
    struct instant instant = env_refresh_now(b->env);
    int64_t now = instant.mono;

    CHECK(number < b->flags.tasks);
    if (status->has_uuid)
        bench_acknowledge(b, status);
    struct task_times *task = &b->tasks[number];

    if (status->state == MESOS__V1__TASK_STATE__TASK_RUNNING && task->running == 0) {
        task->running = now;
        if (b->last_end_time > 0)
            task->turn = instant.wall - (int64_t)(b->last_end_time * 1e9);
    }
    if (!task_state_is_terminal(status->state) || task->ended)
        return;
    task->ended = true;
    if (status->state == MESOS__V1__TASK_STATE__TASK_FINISHED) {
        b->finished++;
    } else {
        if (b->failed++ < FAILURES_SHOWN_MAX)
            fprintf(stderr, "Task %s: %s: %s\n", status->task_id->value,
                    task_state_name(status->state), status->message ? status->message : "");
    }
    b->last_end = now;
    b->last_end_time = status->timestamp;
    bench_use_offer(b);
    if (b->finished + b->failed == b->flags.tasks)
        env_stop(b->env, b->failed == 0 ? 0 : 1);
}

static void bench_on_event(void *ctx, const Mesos__V1__Scheduler__Event *event)
{
    struct bench *b = ctx;

    if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS)
        bench_on_offers(b, event->offers);
    else if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE)
        bench_on_update(b, event->update->status);
    else if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND)
        bench_on_rescind(b, event->rescind);
}

static void bench_on_disconnected(void *ctx, const struct error *why)
{
    (void)ctx;
    fprintf(stderr, "Disconnected: %s\n", why->text);
}

static void bench_on_refused(void *ctx, const struct error *why)
{
    struct bench *b = ctx;

    fprintf(stderr, "Refused: %s\n", why->text);
    env_stop(b->env, 2);
}

static void bench_on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                                  const char *text)
{
    struct bench *b = ctx;

    fprintf(stderr, "Call %d answered %d: %s\n", type, status, text);
    env_stop(b->env, 2);
}

static void bench_on_deadline(struct timer *timer, struct instant now)
{
    struct bench *b = CONTAINER_OF(timer, struct bench, deadline);

    (void)now;
    fprintf(stderr, "Gave up: %llu launched, %llu finished, %llu failed\n",
            (unsigned long long)b->launched, (unsigned long long)b->finished,
            (unsigned long long)b->failed);
    env_stop(b->env, 1);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

// Sorts `times` (ns, with room for one more than `count`) and prints percentiles in ms.
static void bench_print_times(const char *name, int64_t *times, size_t count)
{
    times[count] = 0; // so that nothing measured reads as 0
    qsort(times, count, sizeof(*times), compare_i64);
    printf(", \"%s\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"max\": %.2f}", name,
           (double)times[count / 2] / 1e6, (double)times[count * 9 / 10] / 1e6,
           (double)times[count * 99 / 100] / 1e6, (double)times[count > 0 ? count - 1 : 0] / 1e6);
}

static void bench_report(const struct bench *b)
{
    int64_t *times = mem_calloc(b->flags.tasks + 1, sizeof(*times));
    size_t count = 0;
    double seconds = (double)(b->last_end - b->first_accept) / 1e9;

    printf("{\"tasks\": %llu, \"in_flight\": %llu, \"finished\": %llu, \"failed\": %llu, "
           "\"seconds\": %.3f, \"tasks_per_second\": %.1f",
           (unsigned long long)b->flags.tasks, (unsigned long long)b->flags.in_flight,
           (unsigned long long)b->finished, (unsigned long long)b->failed, seconds,
           seconds > 0 ? (double)(b->finished + b->failed) / seconds : 0.0);
    for (uint64_t i = 0; i < b->flags.tasks; i++) {
        if (b->tasks[i].running != 0)
            times[count++] = b->tasks[i].running - b->tasks[i].accepted;
    }
    bench_print_times("accept_to_running_ms", times, count);
    count = 0;
    for (uint64_t i = 0; i < b->flags.tasks && b->flags.in_flight == 1; i++) {
        if (b->tasks[i].turn != 0)
            times[count++] = b->tasks[i].turn;
    }
    if (b->flags.in_flight == 1)
        bench_print_times("turn_round_ms", times, count);
    printf("}\n");
    mem_free(times);
}

static int bench_run(struct bench *b, struct error *err)
{
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    struct scheduler_options options = {
        .master = b->flags.master, .content = CONTENT_PROTOBUF, .framework_info = &info};
    static const struct scheduler_callbacks callbacks = {
        .on_event = bench_on_event,
        .on_disconnected = bench_on_disconnected,
        .on_refused = bench_on_refused,
        .on_call_refused = bench_on_call_refused,
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    int r = resources_parse(b->flags.task_resources, "*", &b->need, err);

    if (r != 0)
        return r;
    const struct passwd *user = getpwuid(geteuid()); // an agent that is not root's runs no other's
    info.user = arena_strdup(arena, user != NULL ? user->pw_name : "root");
    info.name = arena_strdup(arena, "task-bench");
    info.has_checkpoint = true;
    info.checkpoint = b->flags.checkpoint;
    b->offer_arena = arena_new(0, 0);
    b->tasks = mem_calloc(b->flags.tasks, sizeof(*b->tasks));
    r = scheduler_new(b->env, &options, &callbacks, b, &b->scheduler, err);
    if (r != 0)
        return r;
    b->deadline.run = bench_on_deadline;
    env_timer_set(b->env, &b->deadline, b->flags.timeout);
    return env_run(b->env);
}

int main(int argc, char *argv[])
{
    struct bench b = {0};
    struct error err = {0};
    int r = flags_parse(&BENCH_TABLE, 1, &b.flags, argc, argv, NULL, "", NULL, &err);

    if (r == FLAGS_HELP) {
        AUTO_BUF struct buf help = BUF_INIT;

        flags_put_help(&BENCH_TABLE, 1, "task_bench", &help);
        fputs(help.data, stdout);
        return 0;
    }
    if (r == 0)
        r = env_new(&b.env, &err);
    if (r == 0)
        r = bench_run(&b, &err);
    if (r < 0) {
        fprintf(stderr, "task_bench: %s\n", err.text);
        return 2;
    }
    if (b.finished + b.failed > 0)
        bench_report(&b);
    fflush(stdout);
    // The framework goes with its connection (failover_timeout 0); nothing else is left to undo.
    _exit(r);
}
