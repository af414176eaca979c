// SPDX-License-Identifier: Apache-2.0
//
// The swarm's life: agents first, then frameworks, until the tasks have ended; then all of it is
// taken down in good order. Whatever went wrong is said at once and makes the exit status 1.

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "swarm/internal.h"

#define SECOND_NS NS_PER_S
#define SAMPLE_NS (100 * NS_PER_MS)
#define END_PATIENCE_NS (30 * NS_PER_S)
#define END_POLL_NS (20 * NS_PER_MS)

enum { FAILURES_SHOWN_MAX = 10 };

void swarm_say(const struct swarm *s, const char *format, ...)
{
    va_list args;
    double seconds = (double)(env_now(s->env).mono - s->began_at) / 1e9;
    fprintf(stderr, "%8.2f s  ", seconds);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void swarm_fail(struct swarm *s, const char *format, ...)
{
    s->status = EXIT_FAILURE;
    if (s->failures++ >= FAILURES_SHOWN_MAX)
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    swarm_say(s, "FAILED: %s", text);
}

bool swarm_is_warm(const struct swarm *s, int64_t now)
{
    return s->options->warm_up == 0 ||
           (s->first_accept_at != 0 && now - s->first_accept_at >= s->options->warm_up);
}

bool swarm_is_troubled(const struct swarm *s)
{
    const struct swarm_options *o = s->options;
    return o->survive_master || o->partitions > 0 || o->restarts > 0;
}

// ---- the end ----

static void poll_end(struct swarm *s, bool is_late)
{
    if (s->phase == SWARM_ENDS && (is_late || swarm_frameworks_pending(s) == 0)) {
        s->phase = SWARM_LEAVES;
        swarm_agents_unregister(s);
    }
    if (s->phase == SWARM_LEAVES && (is_late || swarm_links_queued(s) == 0)) {
        env_stop(s->env, s->status);
        return;
    }
    env_timer_set(s->env, &s->end_timer, END_POLL_NS);
}

static void begin_end(struct swarm *s)
{
    if (s->phase >= SWARM_ENDS)
        return;
    if (s->at_full.cpu_seconds == 0)
        s->at_full = watch_read(&s->watch);
    s->at_end = watch_read(&s->watch);
    s->phase = SWARM_ENDS;
    env_timer_cancel(s->env, &s->sample_timer);
    env_timer_cancel(s->env, &s->duration_timer);
    env_timer_cancel(s->env, &s->hold_timer);
    swarm_frameworks_tear_down(s);
    s->end_deadline = env_now(s->env).mono + END_PATIENCE_NS;
    env_timer_set(s->env, &s->end_timer, 0);
}

// Before the end this is the limit of patience; then it looks whether all is said.
static void end_due(struct timer *timer, struct instant now)
{
    struct swarm *s = CONTAINER_OF(timer, struct swarm, end_timer);
    if (s->phase >= SWARM_ENDS) {
        poll_end(s, now.mono > s->end_deadline);
        return;
    }
    if (s->phase == SWARM_STARTS)
        swarm_fail(s, "Only %zu of %zu agents registered in time", s->registered, s->agent_count);
    else
        swarm_frameworks_complain(s);
    if (s->failures == 0)
        swarm_fail(s, "It took too long");
    begin_end(s);
}

static void duration_due(struct timer *timer, struct instant now)
{
    (void)now;
    begin_end(CONTAINER_OF(timer, struct swarm, duration_timer));
}

static void on_signal(void *ctx, int number)
{
    struct swarm *s = CHECK_CAST(swarm, SWARM_MAGIC, ctx);
    bool is_endless =
        (s->options->hold && !s->is_released) || s->options->tasks == 0 || s->framework_count == 0;
    if (s->phase < SWARM_ENDS && !is_endless)
        swarm_fail(s, "Interrupted (signal %d)", number);
    begin_end(s);
}

void swarm_check_done(struct swarm *s)
{
    bool has_tasks = s->framework_count > 0 && s->options->tasks > 0;
    if (s->phase == SWARM_RUNS && has_tasks && s->frameworks_done == s->framework_count)
        begin_end(s);
}

// ---- settled, lost ----

static void begin_frameworks(struct swarm *s)
{
    struct error err;
    s->phase = SWARM_RUNS;
    s->registered_at = env_now(s->env).mono;
    s->at_registered = watch_read(&s->watch);
    if (s->agent_count > 0)
        swarm_say(s, "registered: %zu agents over %zu connections", s->agent_count, s->conn_count);
    bool has_tasks = s->framework_count > 0 && s->options->tasks > 0;
    if (has_tasks)
        env_timer_set(s->env, &s->end_timer, s->options->timeout);
    else
        env_timer_cancel(s->env, &s->end_timer);
    if (s->options->duration > 0)
        env_timer_set(s->env, &s->duration_timer, s->options->duration);
    env_timer_set(s->env, &s->sample_timer, SAMPLE_NS);
    if (swarm_frameworks_begin(s, &err) < 0) {
        swarm_fail(s, "%s", err.text);
        begin_end(s);
    }
}

static void hold_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct swarm *s = CONTAINER_OF(timer, struct swarm, hold_timer);
    s->is_released = true;
    swarm_say(s, "released: %llu tasks end", (unsigned long long)s->running);
    env_timer_set(s->env, &s->end_timer, s->options->timeout);
    swarm_tasks_release(s);
}

static void note_all_run(struct swarm *s)
{
    if (s->all_run_told || !s->options->hold || s->running < s->options->tasks ||
        s->framework_count == 0)
        return;
    s->all_run_told = true;
    s->at_full = watch_read(&s->watch);
    env_timer_cancel(s->env, &s->end_timer);
    swarm_say(s, "holding: %llu tasks run on %zu agents", (unsigned long long)s->running,
              s->agent_count);
    if (s->options->hold_for > 0)
        env_timer_set(s->env, &s->hold_timer, s->options->hold_for);
}

static void note_back(struct swarm *s, int64_t now)
{
    if (s->lost_at == 0)
        return;
    struct swarm_failover failover = {.lost_at = s->lost_at,
                                      .agents_at = s->agents_back_at,
                                      .frameworks_at = s->frameworks_back_at};
    if (s->failover_count < FAILOVERS_MAX)
        s->failovers[s->failover_count++] = failover;
    swarm_say(s, "back after %.3f s: agents after %.3f s, frameworks after %.3f s",
              (double)(now - s->lost_at) / 1e9, (double)(s->agents_back_at - s->lost_at) / 1e9,
              (double)(s->frameworks_back_at - s->lost_at) / 1e9);
    s->lost_at = 0;
}

void swarm_check_settled(struct swarm *s)
{
    int64_t now = env_now(s->env).mono;
    bool agents = s->registered + s->cut == s->agent_count;
    if (s->phase == SWARM_STARTS && agents)
        begin_frameworks(s);
    if (s->phase != SWARM_RUNS)
        return;
    note_all_run(s);
    bool frameworks = s->subscribed == s->framework_count;
    if (agents && s->agents_back_at == 0)
        s->agents_back_at = now;
    if (frameworks && s->frameworks_back_at == 0)
        s->frameworks_back_at = now;
    if (!agents || !frameworks || s->is_settled)
        return;
    s->is_settled = true;
    if (!s->was_settled) {
        s->was_settled = true;
        s->settled_at = now;
        swarm_say(s, "settled: %zu agents, %zu frameworks", s->agent_count, s->framework_count);
    }
    note_back(s, now);
}

void swarm_note_loss(struct swarm *s, const char *what)
{
    if (s->phase >= SWARM_ENDS)
        return;
    if (!s->options->survive_master)
        swarm_fail(s, "%s", what);
    if (s->lost_at != 0 || s->phase != SWARM_RUNS)
        return;
    s->lost_at = env_refresh_now(s->env).mono;
    s->is_settled = false;
    s->agents_back_at = 0;
    s->frameworks_back_at = 0;
    if (s->options->survive_master)
        swarm_say(s, "lost the master: %s", what);
}

// ---- rhythms ----

static void second_due(struct timer *timer, struct instant now)
{
    struct swarm *s = CONTAINER_OF(timer, struct swarm, second_timer);
    env_timer_set(s->env, timer, SECOND_NS);
    if (s->phase >= SWARM_ENDS)
        return;
    swarm_agents_each_second(s, now);
    swarm_frameworks_each_second(s, now);
    swarm_tasks_resend_due(s, now.mono);
}

static void sample_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct swarm *s = CONTAINER_OF(timer, struct swarm, sample_timer);
    env_timer_set(s->env, timer, SAMPLE_NS);
    swarm_frameworks_sample(s);
}

static void progress_due(struct timer *timer, struct instant now)
{
    struct swarm *s = CONTAINER_OF(timer, struct swarm, progress_timer);
    env_timer_set(s->env, timer, s->options->progress);
    swarm_print_progress(s, now);
}

// ---- running ----

static void swarm_init_timers(struct swarm *s)
{
    s->second_timer.run = second_due;
    s->sample_timer.run = sample_due;
    s->progress_timer.run = progress_due;
    s->end_timer.run = end_due;
    s->duration_timer.run = duration_due;
    s->hold_timer.run = hold_due;
    env_timer_set(s->env, &s->second_timer, SECOND_NS);
    env_timer_set(s->env, &s->end_timer, s->options->timeout);
    if (s->options->progress > 0)
        env_timer_set(s->env, &s->progress_timer, s->options->progress);
    env_on_signal(s->env, SIGINT, on_signal, s);
    env_on_signal(s->env, SIGTERM, on_signal, s);
}

static int swarm_init(struct swarm *s, struct error *err)
{
    int r = env_new(&s->env, err);
    if (r < 0)
        return r;
    s->began_at = env_now(s->env).mono;
    s->progress_at = s->began_at;
    s->scratch = arena_new(1 << 16, 0);
    s->arena = arena_new(0, 0);
    list_init(&s->connecting);
    list_init(&s->to_register);
    list_init(&s->registering);
    for (size_t i = 0; i < SWARM_RESEND_STEPS; i++)
        list_init(&s->unacked[i]);
    r = watch_begin(&s->watch, (int)s->options->master_pid, err);
    if (r == 0)
        r = swarm_agents_init(s, err);
    if (r == 0)
        r = swarm_frameworks_init(s, err);
    if (r == 0)
        r = swarm_links_init(s, err);
    if (r < 0)
        return r;
    s->at_start = watch_read(&s->watch);
    swarm_init_timers(s);
    if (s->agent_count == 0)
        swarm_check_settled(s);
    return 0;
}

static void swarm_finish(struct swarm *s)
{
    if (s->env == NULL)
        return;
    struct timer *timers[] = {&s->second_timer, &s->sample_timer,   &s->progress_timer,
                              &s->end_timer,    &s->duration_timer, &s->hold_timer};
    for (size_t i = 0; i < ARRAY_COUNT(timers); i++)
        env_timer_cancel(s->env, timers[i]);
    swarm_frameworks_free(s);
    swarm_links_free(s);
    swarm_agents_free(s);
    watch_end(&s->watch);
    buf_free(&s->frame);
    arena_free(s->scratch);
    arena_free(s->arena);
    s->env = env_free(s->env);
}

static int write_report(const struct swarm *s)
{
    AUTO_BUF struct buf report = BUF_INIT;
    swarm_put_report(s, &report);
    fputs(report.data, stdout);
    if (s->options->json == NULL)
        return 0;
    FILE *file = fopen(s->options->json, "we");
    bool good = file != NULL && fputs(report.data, file) >= 0;
    if (file != NULL && fclose(file) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "Cannot write %s\n", s->options->json);
    return good ? 0 : -1;
}

int swarm_run(const struct swarm_options *options)
{
    struct error err;
    struct swarm *s = mem_zalloc(sizeof(*s));
    s->magic = SWARM_MAGIC;
    s->options = options;
    s->status = EXIT_SUCCESS;
    int status = EXIT_FAILURE;
    if (swarm_init(s, &err) < 0) {
        fprintf(stderr, "mesos-swarm: %s\n", err.text);
    } else {
        status = env_run(s->env);
        if (write_report(s) < 0)
            status = EXIT_FAILURE;
    }
    swarm_finish(s);
    mem_free(s);
    return status;
}
