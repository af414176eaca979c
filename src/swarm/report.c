// SPDX-License-Identifier: Apache-2.0
//
// What the swarm says: a line while it runs, an object of JSON in the end.

#include <stdio.h>

#include "model/task_state.h"
#include "swarm/internal.h"
#include "wire/json.h"

void swarm_print_progress(struct swarm *s, struct instant now)
{
    uint64_t ended = 0;
    for (size_t i = 0; i < s->framework_count; i++)
        ended += s->frameworks[i].ended;
    double seconds = (double)(now.mono - s->progress_at) / 1e9;
    double rate = seconds > 0 ? (double)(ended - s->ended_then) / seconds : 0;
    s->ended_then = ended;
    s->progress_at = now.mono;
    swarm_say(s,
              "agents %zu/%zu  frameworks %zu/%zu  tasks launched %llu running %llu ended %llu "
              "(%.0f/s)",
              s->registered, s->agent_count, s->subscribed, s->framework_count,
              (unsigned long long)s->launched, (unsigned long long)s->running,
              (unsigned long long)ended, rate);
}

static void put_number(struct buf *out, const char *name, double value, int digits)
{
    buf_printf(out, ", \"%s\": %.*f", name, digits, value);
}

static void put_count(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, ", \"%s\": %llu", name, (unsigned long long)value);
}

static void put_times(struct buf *out, const char *name, const struct histogram *h)
{
    if (h->count == 0) {
        buf_printf(out, ", \"%s\": null", name);
        return;
    }
    buf_printf(out,
               ", \"%s\": {\"count\": %llu, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
               "\"max\": %.3f}",
               name, (unsigned long long)h->count, (double)histogram_at(h, 0.5) / 1e6,
               (double)histogram_at(h, 0.9) / 1e6, (double)histogram_at(h, 0.99) / 1e6,
               (double)h->max / 1e6);
}

// In per cent of the ideal share, which is the same for all that would take any offer.
static void put_fairness(const struct swarm *s, struct buf *out)
{
    double worst = 0;
    for (size_t i = 0; i < s->framework_count; i++) {
        const struct swarm_framework *f = &s->frameworks[i];
        if (f->ratio_count == 0)
            continue;
        double mean = f->ratio_sum / (double)f->ratio_count;
        double off = mean > 1 ? mean - 1 : 1 - mean;
        worst = off > worst ? off : worst;
    }
    if (s->samples == 0)
        buf_puts(out, ", \"fairness\": null");
    else
        buf_printf(out,
                   ", \"fairness\": {\"samples\": %llu, \"max_deviation_percent\": %.2f, "
                   "\"max_deviation_at_once_percent\": %.2f}",
                   (unsigned long long)s->samples, 100 * worst, 100 * s->worst_ratio);
}

static void put_sample(struct buf *out, const char *name, const struct watch_sample *sample)
{
    buf_printf(out, "%s\"%s\": {\"cpu_seconds\": %.2f, \"user_seconds\": %.2f, \"resident\": %llu}",
               out->data[out->size - 1] == '{' ? "" : ", ", name, sample->cpu_seconds,
               sample->user_seconds, (unsigned long long)sample->resident_size);
}

static void put_master(const struct swarm *s, struct buf *out)
{
    if (s->watch.pid == 0) {
        buf_puts(out, ", \"master\": null");
        return;
    }
    const struct watch_sample *from = &s->at_first_accept, *to = &s->at_end;
    double tasks = (double)s->launched, agents = (double)s->agent_count;
    buf_puts(out, ", \"master\": {");
    put_sample(out, "at_start", &s->at_start);
    put_sample(out, "with_agents", &s->at_registered);
    put_sample(out, "with_tasks", &s->at_full);
    put_sample(out, "at_end", to);
    put_count(out, "resident_max", to->resident_size_max);
    if (tasks > 0 && to->cpu_seconds > from->cpu_seconds) {
        put_number(out, "cpu_us_per_task", 1e6 * (to->cpu_seconds - from->cpu_seconds) / tasks, 2);
        put_number(out, "user_us_per_task", 1e6 * (to->user_seconds - from->user_seconds) / tasks,
                   2);
    }
    if (agents > 0 && s->at_registered.resident_size > s->at_start.resident_size)
        put_number(out, "bytes_per_agent",
                   (double)(s->at_registered.resident_size - s->at_start.resident_size) / agents,
                   0);
    if (s->options->hold && tasks > 0 && s->at_full.resident_size > s->at_registered.resident_size)
        put_number(out, "bytes_per_task",
                   (double)(s->at_full.resident_size - s->at_registered.resident_size) / tasks, 0);
    if (s->watch.counter >= 0 && tasks > 0)
        put_number(out, "instructions_per_task",
                   (double)(to->instructions - from->instructions) / tasks, 0);
    else
        buf_printf(out, ", \"instructions_per_task\": null");
    buf_putc(out, '}');
}

static void put_states(const struct swarm *s, struct buf *out)
{
    bool first = true;
    buf_puts(out, ", \"ends\": {");
    for (size_t i = 0; i < ARRAY_COUNT(s->states); i++) {
        if (s->states[i] == 0)
            continue;
        buf_printf(out, "%s\"%s\": %llu", first ? "" : ", ",
                   task_state_name((Mesos__V1__TaskState)i), (unsigned long long)s->states[i]);
        first = false;
    }
    buf_putc(out, '}');
}

// Answered by the agent that answered the fewest.
static uint64_t least_pings(const struct swarm *s)
{
    uint64_t least = s->agent_count > 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < s->agent_count; i++)
        least = s->agents[i].pings < least ? s->agents[i].pings : least;
    return least;
}

static void put_failovers(const struct swarm *s, struct buf *out)
{
    buf_puts(out, ", \"failovers\": [");
    for (size_t i = 0; i < s->failover_count; i++) {
        const struct swarm_failover *f = &s->failovers[i];
        buf_printf(out, "%s{\"lost_at\": %.4f, \"agents_at\": %.4f, \"frameworks_at\": %.4f}",
                   i > 0 ? ", " : "", (double)f->lost_at / 1e9, (double)f->agents_at / 1e9,
                   (double)f->frameworks_at / 1e9);
    }
    buf_putc(out, ']');
}

void swarm_put_report(const struct swarm *s, struct buf *out)
{
    uint64_t ended = 0;
    double seconds = (double)(s->last_end_at - s->first_accept_at) / 1e9;
    for (size_t i = 0; i < s->framework_count; i++)
        ended += s->frameworks[i].ended;
    buf_printf(out, "{\"ok\": %s", s->status == 0 ? "true" : "false");
    put_count(out, "failures", s->failures);
    put_count(out, "agents", s->agent_count);
    put_count(out, "connections", s->conn_count);
    put_count(out, "frameworks", s->framework_count);
    put_count(out, "tasks", s->options->tasks);
    put_number(out, "seconds_to_register",
               s->registered_at > 0 ? (double)(s->registered_at - s->began_at) / 1e9 : 0, 3);
    put_count(out, "launched", s->launched);
    put_count(out, "started", s->started);
    put_count(out, "ended", ended);
    put_count(out, "running_max", s->running_max);
    put_states(s, out);
    put_number(out, "seconds", seconds > 0 ? seconds : 0, 3);
    put_number(out, "tasks_per_second", seconds > 0 ? (double)ended / seconds : 0, 1);
    put_times(out, "accept_to_running_ms", &s->accept_to_running);
    put_times(out, "slot_turn_round_ms", &s->turn_round);
    put_fairness(s, out);
    put_count(out, "pings", s->pings);
    put_count(out, "pings_min", least_pings(s));
    put_count(out, "updates_sent_again", s->resent);
    put_count(out, "offers_rescinded", s->rescinded);
    put_count(out, "calls_refused", s->refused_calls);
    put_count(out, "partitions", s->partitions);
    put_count(out, "restarts", s->restarts);
    put_failovers(s, out);
    put_master(s, out);
    buf_puts(out, "}\n");
}
