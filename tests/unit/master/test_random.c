// SPDX-License-Identifier: Apache-2.0
//
// Random stories: frameworks and agents that come, go, launch, kill, update, forget and lie, with
// the books checked after each step. Every seed is one world; a failing one is printed.

#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "snapshots.h"

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

enum { FRAMEWORKS = 4, AGENTS = 4, STEPS = 400, SEEDS = 300, TASKS_MAX = 64 };

struct fake_task {
    char id[32];
    char framework_id[64];
    char state[24];
    double cpus;
};

struct fake_agent {
    struct end *end;
    bool known; // has an id
    char id[64];
    struct fake_task tasks[TASKS_MAX];
    size_t task_count;
};

struct fake_framework {
    struct stream *stream;
    char id[64];
};

struct story {
    struct world w;
    struct prng prng;
    struct fake_framework frameworks[FRAMEWORKS];
    struct fake_agent agents[AGENTS];
    unsigned next_task;
    void *garbage[8192]; // streams and ends, which the world may still look at
    size_t garbage_count;
};

static size_t draw(struct story *s, size_t bound)
{
    return (size_t)prng_below(&s->prng, bound);
}

static void *fresh(struct story *s, size_t size)
{
    assert_true(s->garbage_count < ARRAY_COUNT(s->garbage));
    return s->garbage[s->garbage_count++] = mem_zalloc(size);
}

static size_t gone_count, drained_count, inverse_count; // of all stories

// What the agent was sent since the last look.
static void agent_reads(struct story *s, struct fake_agent *a)
{
    struct end *e = a->end;
    bool is_over = false;
    for (; e != NULL && e->seen < e->count; e->seen++) {
        const Meseta__Link__ToAgent *message = e->messages[e->seen];
        if (message->registered != NULL) {
            snprintf(a->id, sizeof(a->id), "%s", message->registered->agent_id->value);
            a->known = true;
        }
        if (message->run_task != NULL && a->task_count < TASKS_MAX) {
            struct fake_task *t = &a->tasks[a->task_count++];
            snprintf(t->id, sizeof(t->id), "%s", message->run_task->task->task_id->value);
            snprintf(t->framework_id, sizeof(t->framework_id), "%s",
                     message->run_task->framework_info->id->value);
            snprintf(t->state, sizeof(t->state), "TASK_STAGING");
            t->cpus = message->run_task->task->resources[0]->scalar->value;
        }
        if (message->shutdown != NULL) {
            // Gone: it ends, and forgets who it was.
            gone_count++;
            a->known = false;
            a->task_count = 0;
            is_over = true;
        }
        is_over = is_over || message->refused != NULL; // it tries anew
        if (message->shutdown_framework != NULL) {
            for (size_t i = a->task_count; i-- > 0;) {
                if (strcmp(a->tasks[i].framework_id,
                           message->shutdown_framework->framework_id->value) == 0)
                    a->tasks[i] = a->tasks[--a->task_count];
            }
        }
        if (message->acknowledge != NULL) {
            for (size_t i = a->task_count; i-- > 0;) {
                if (strcmp(a->tasks[i].id, message->acknowledge->task_id->value) == 0 &&
                    strcmp(a->tasks[i].state, "TASK_FINISHED") == 0)
                    a->tasks[i] = a->tasks[--a->task_count];
            }
        }
    }
    if (is_over)
        end_break(&s->w, e);
}

static bool agent_is_up(const struct fake_agent *a)
{
    return a->end != NULL && !a->end->closed;
}

static void agent_registers(struct story *s, struct fake_agent *a)
{
    a->end = fresh(s, sizeof(*a->end));
    a->known = false;
    a->task_count = 0;
    char port[8];
    snprintf(port, sizeof(port), "%zu", (size_t)(a - s->agents) + 6000);
    end_register(&s->w, a->end, port, "cpus:8;mem:1024");
}

static void agent_returns(struct story *s, struct fake_agent *a)
{
    a->end = fresh(s, sizeof(*a->end));
    // Now and then it has lost a task on the way.
    if (a->task_count > 0 && draw(s, 4) == 0)
        a->tasks[draw(s, a->task_count)] = a->tasks[a->task_count - 1], a->task_count--;
    AUTO_BUF struct buf out = BUF_INIT;
    buf_printf(&out,
               "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
               "\"%s\"},\"hostname\":\"%zu\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
               "\"slave(1)@10.0.0.1:%zu\",\"capabilities\":[{\"type\":\"AGENT_DRAINING\"}]},"
               "\"frameworks\":[",
               a->id, (size_t)(a - s->agents) + 6000, amount(&s->w, "cpus:8;mem:1024"),
               (size_t)(a - s->agents) + 6000);
    for (size_t i = 0; i < a->task_count; i++) {
        const struct fake_task *t = &a->tasks[i];
        buf_printf(&out,
                   "%s{\"info\":{\"id\":{\"value\":\"%s\"},\"user\":\"u\",\"name\":\"f\"},"
                   "\"tasks\":[{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"framework_id\":"
                   "{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"state\":\"%s\","
                   "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":"
                   "%g}}]}]}",
                   i > 0 ? "," : "", t->framework_id, t->id, t->framework_id, a->id, t->state,
                   t->cpus);
    }
    buf_puts(&out, "]}}");
    end_send(&s->w, a->end, "%s", out.data);
    memcpy(a->end->agent_id, a->id, sizeof(a->id));
}

static void framework_subscribes(struct story *s, struct fake_framework *f)
{
    static const char *const extras[] = {
        "", ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]",
        ",\"roles\":[\"a\",\"b\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]",
        ",\"failover_timeout\":60"};
    AUTO_BUF struct buf out = BUF_INIT;
    buf_puts(&out, "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"");
    if (f->id[0] != '\0' && draw(s, 5) > 0)
        buf_printf(&out, ",\"id\":{\"value\":\"%s\"}", f->id);
    buf_puts(&out, extras[draw(s, ARRAY_COUNT(extras))]);
    buf_puts(&out, "}}");
    struct stream *old = f->stream;
    f->stream = fresh(s, sizeof(*f->stream));
    stream_subscribe(&s->w, f->stream, out.data);
    if (f->stream->framework_id[0] != '\0')
        snprintf(f->id, sizeof(f->id), "%.63s", f->stream->framework_id);
    else
        f->id[0] = '\0';
    if (old != NULL && !old->closed)
        stream_break(&s->w, old);
}

static bool framework_is_up(const struct fake_framework *f)
{
    return f->stream != NULL && !f->stream->closed;
}

static void framework_accepts(struct story *s, struct fake_framework *f)
{
    if (s->w.master->offers.count == 0)
        return;
    size_t skip = draw(s, s->w.master->offers.count);
    const struct offer *offer = NULL;
    MAP_FOREACH (&s->w.master->offers, entry) {
        if (skip-- == 0)
            offer = entry->value;
    }
    if (offer == NULL)
        return;
    bool declines = draw(s, 4) == 0;
    if (declines) {
        stream_call(&s->w, f->stream,
                    "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                    "\"filters\":{\"refuse_seconds\":%zu}}",
                    offer->id, draw(s, 20));
        return;
    }
    AUTO_BUF struct buf tasks = BUF_INIT;
    for (size_t i = 0, count = draw(s, 4); i < count; i++) {
        bool custom = draw(s, 3) == 0;
        buf_printf(&tasks,
                   "%s{\"name\":\"n\",\"task_id\":{\"value\":\"t%u\"},\"agent_id\":{\"value\":"
                   "\"%s\"},\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":"
                   "{\"value\":%g}}],%s}",
                   i > 0 ? "," : "", draw(s, 10) == 0 ? s->next_task : ++s->next_task,
                   offer->agent->id, 0.5 * (double)(1 + draw(s, 6)),
                   custom ? "\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":"
                            "{\"value\":\"x\"},\"resources\":[{\"name\":\"cpus\",\"type\":"
                            "\"SCALAR\",\"scalar\":{\"value\":0.1}}]}"
                          : "\"command\":{\"value\":\"true\"}");
    }
    stream_call(&s->w, f->stream,
                "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[%s]}}],"
                "\"filters\":{\"refuse_seconds\":%zu}}",
                offer->id, tasks.data != NULL ? tasks.data : "", draw(s, 3));
}

static void framework_does(struct story *s, struct fake_framework *f)
{
    if (!framework_is_up(f)) {
        framework_subscribes(s, f);
        return;
    }
    const char *text = NULL;
    switch (draw(s, 14)) {
    case 0:
        framework_subscribes(s, f);
        return;
    case 1:
        stream_break(&s->w, f->stream);
        return;
    case 2:
        text = "\"type\":\"REVIVE\"";
        break;
    case 3:
        text = draw(s, 3) == 0 ? "\"type\":\"SUPPRESS\"" : "\"type\":\"REVIVE\"";
        break;
    case 4:
        text = "\"type\":\"RECONCILE\",\"reconcile\":{}";
        break;
    case 5:
        text = draw(s, 6) == 0 ? "\"type\":\"TEARDOWN\"" : "\"type\":\"REVIVE\"";
        break;
    case 6:
        text = arena_printf(s->w.arena,
                            "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"t%zu\"}}",
                            draw(s, s->next_task + 1));
        break;
    default:
        framework_accepts(s, f);
        return;
    }
    stream_call(&s->w, f->stream, "%s", text);
}

// The framework to which an update was sent acknowledges it, most of the time.
static void acknowledge(struct story *s, const struct fake_agent *a, const struct fake_task *t,
                        char uuid)
{
    for (size_t i = 0; i < FRAMEWORKS; i++) {
        struct fake_framework *f = &s->frameworks[i];
        if (framework_is_up(f) && strcmp(f->id, t->framework_id) == 0 && draw(s, 5) > 0) {
            stream_call(&s->w, f->stream,
                        "\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":{\"value\":"
                        "\"%s\"},\"task_id\":{\"value\":\"%s\"},\"uuid\":\"%s\"}",
                        a->id, t->id, uuid_base64(&s->w, uuid));
            return;
        }
    }
}

static void agent_updates(struct story *s, struct fake_agent *a)
{
    if (a->task_count == 0)
        return;
    static const char *const states[] = {"TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"};
    size_t at = draw(s, a->task_count);
    struct fake_task *t = &a->tasks[at];
    if (strcmp(t->state, "TASK_FINISHED") != 0)
        snprintf(t->state, sizeof(t->state), "%s", states[draw(s, ARRAY_COUNT(states))]);
    char uuid = (char)('a' + draw(s, 20));
    struct fake_task copy = *t;
    end_update(&s->w, a->end, copy.framework_id, copy.id, copy.state, uuid);
    acknowledge(s, a, &copy, uuid);
    if (draw(s, 20) == 0)
        end_send(&s->w, a->end,
                 "{\"type\":\"EXECUTOR_EXITED\",\"executor_exited\":{\"framework_id\":{\"value\":"
                 "\"%s\"},\"executor_id\":{\"value\":\"e\"},\"status\":9}}",
                 copy.framework_id);
}

static void agent_does(struct story *s, struct fake_agent *a)
{
    agent_reads(s, a);
    if (!agent_is_up(a)) {
        if (a->known && draw(s, 4) > 0)
            agent_returns(s, a);
        else
            agent_registers(s, a);
        return;
    }
    switch (draw(s, 16)) {
    case 0:
        end_break(&s->w, a->end);
        return;
    case 1:
        a->end->mute = true;
        return;
    case 2:
        if (draw(s, 4) == 0) {
            end_send(&s->w, a->end, "{\"type\":\"UNREGISTER\"}");
            a->known = false;
        }
        return;
    default:
        agent_updates(s, a);
        return;
    }
}

// A schedule with some of the machines, or one of them down or up.
static int maintain(struct story *s)
{
    struct master *m = s->w.master;
    struct arena *arena = s->w.arena;
    AUTO_BUF struct buf text = BUF_INIT;
    for (size_t i = 0; i < AGENTS; i++) {
        if (draw(s, 2))
            buf_printf(&text, "%s{\"hostname\":\"%zu\"%s}", text.size > 0 ? "," : "", i + 6000,
                       draw(s, 2) ? ",\"ip\":\"10.0.0.1\"" : "");
    }
    AUTO_BUF struct buf whole = BUF_INIT;
    buf_printf(&whole,
               "{\"windows\":[{\"machine_ids\":[%s],\"unavailability\":{\"start\":"
               "{\"nanoseconds\":%zu}}}]}",
               text.data != NULL ? text.data : "", draw(s, 3));
    ProtobufCMessage *message;
    struct error err;
    assert_int_equal(wire_json_decode(&mesos__v1__maintenance__schedule__descriptor, arena,
                                      whole.data, whole.size, &message, &err),
                     0);
    Mesos__V1__Maintenance__Schedule *schedule = (Mesos__V1__Maintenance__Schedule *)message;
    Mesos__V1__Maintenance__Window *window = schedule->windows[0];
    switch (draw(s, 4)) {
    case 0:
        return master_start_maintenance(m, window->machine_ids, window->n_machine_ids > 0, &s->w,
                                        s->w.now, &err);
    case 1:
    case 2:
        return master_stop_maintenance(m, window->machine_ids, window->n_machine_ids > 0, &s->w,
                                       s->w.now, &err);
    default:
        return master_update_schedule(m, schedule, &s->w, s->w.now, &err);
    }
}

static void answer_inverse_offer(struct story *s)
{
    MAP_FOREACH (&s->w.master->inverse_offers, entry) {
        const struct inverse *i = entry->value;
        for (size_t k = 0; k < FRAMEWORKS; k++) {
            struct fake_framework *f = &s->frameworks[k];
            if (!framework_is_up(f) || strcmp(f->id, i->framework_id) != 0 || draw(s, 3) > 0)
                continue;
            const char *what = draw(s, 2) ? "ACCEPT" : "DECLINE";
            const char *member = what[0] == 'A' ? "accept" : "decline";
            inverse_count++;
            stream_call(&s->w, f->stream,
                        "\"type\":\"%s_INVERSE_OFFERS\",\"%s_inverse_offers\":"
                        "{\"inverse_offer_ids\":[{\"value\":\"%s\"}]}",
                        what, member, entry->key);
            return;
        }
    }
}

// What an operator may do to an agent.
static void operator_does(struct story *s, const struct fake_agent *a)
{
    struct master *m = s->w.master;
    struct master_drain_options drain = {.mark_gone = draw(s, 3) == 0};
    struct error err;
    const char *id = a->id[0] != '\0' ? a->id : "nobody";
    int status = 0;
    switch (draw(s, 10)) {
    case 8:
    case 9:
        status = maintain(s);
        break;
    case 0:
        status = master_deactivate_agent(m, id, &s->w, s->w.now, &err);
        break;
    case 1:
        status = draw(s, 4) == 0 ? master_mark_agent_gone(m, id, &s->w, s->w.now, &err) : 200;
        break;
    case 2:
        status = master_drain_agent(m, id, &drain, &s->w, s->w.now, &err);
        break;
    default:
        status = master_reactivate_agent(m, id, &s->w, s->w.now, &err);
        break;
    }
    assert_true(status == 0 || (status >= 200 && status < 600));
    world_settle(&s->w);
    MAP_FOREACH (&m->deactivations, entry) {
        const struct deactivation *d = entry->value;
        drained_count += d->now.is_draining && d->now.state == MESOS__V1__DRAIN_STATE__DRAINED;
    }
}

// An agent that says more than it knows must not bring the master down, either: a wrong framework,
// a task that is nobody's, a state that cannot be.
static void agent_lies(struct story *s, struct fake_agent *a)
{
    if (!agent_is_up(a))
        return;
    memcpy(a->end->agent_id, a->id, sizeof(a->id));
    end_update(&s->w, a->end, draw(s, 2) ? "nobody" : s->frameworks[0].id, "t1", "TASK_RUNNING",
               draw(s, 2) ? 'z' : 0);
}

// What all stories together must have come across, or they prove little.
static const enum counter needed[] = {
    COUNT_SLAVE_REREGISTRATIONS,
    COUNT_SLAVE_UNREACHABLE_COMPLETED,
    COUNT_TASKS_FINISHED,
    COUNT_TASKS_LOST,
    COUNT_TASKS_ERROR,
    COUNT_TASKS_KILLED,
    COUNT_MESSAGES_LAUNCH_TASKS,
    COUNT_VALID_STATUS_UPDATES,
    COUNT_VALID_STATUS_UPDATE_ACKS,
    COUNT_MESSAGES_EXITED_EXECUTOR,
    COUNT_SLAVE_REMOVALS_REGISTERED,
};
static uint64_t totals[COUNTER_COUNT];

static void tell_story(uint64_t seed)
{
    struct story *s = mem_zalloc(sizeof(*s));
    struct master_options options;
    master_options_init(&options);
    options.max_completed_frameworks = 3;
    options.max_completed_tasks_per_framework = 5;
    options.max_unreachable_tasks_per_framework = 4;
    world_begin(&s->w, &options);
    prng_seed(&s->prng, seed);
    struct snapshot *snapshot = NULL;
    for (size_t i = 0; i < STEPS; i++) {
        switch (draw(s, 10)) {
        case 0:
            world_pass(&s->w, (double)draw(s, draw(s, 5) == 0 ? 120 : 5));
            break;
        case 1:
            if (draw(s, 2))
                agent_lies(s, &s->agents[draw(s, AGENTS)]);
            else
                operator_does(s, &s->agents[draw(s, AGENTS)]);
            answer_inverse_offer(s);
            break;
        case 2:
        case 3:
        case 4:
            agent_does(s, &s->agents[draw(s, AGENTS)]);
            break;
        default:
            framework_does(s, &s->frameworks[draw(s, FRAMEWORKS)]);
            break;
        }
        s->w.hold_writes = draw(s, 12) == 0;
        master_check(s->w.master);
        if (i % 2 == 0)
            snapshot = snapshot_step(snapshot, &s->w);
    }
    snapshot = snapshot_drop(snapshot);
    s->w.hold_writes = false;
    // In the end everybody leaves: nothing may be booked any more.
    for (size_t i = 0; i < FRAMEWORKS; i++) {
        if (framework_is_up(&s->frameworks[i]))
            stream_break(&s->w, s->frameworks[i].stream);
    }
    for (size_t i = 0; i < AGENTS; i++)
        if (agent_is_up(&s->agents[i]))
            end_send(&s->w, s->agents[i].end, "{\"type\":\"UNREGISTER\"}");
    world_pass(&s->w, 700);
    assert_int_equal(s->w.master->offers.count, 0);
    assert_int_equal(s->w.master->agents.count, 0);
    assert_int_equal(s->w.master->writes.count, 0);
    MAP_FOREACH (&s->w.master->frameworks, entry) {
        const struct framework *f = entry->value;
        assert_true(f->recovered); // only those wait for ever
        assert_int_equal(f->tasks.count, 0);
        assert_true(resources_is_empty(f->used));
    }
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        totals[i] += s->w.master->counters[i];
    world_end(&s->w);
    for (size_t i = 0; i < s->garbage_count; i++)
        mem_free(s->garbage[i]);
    mem_free(s);
}

// Which seed to try again with MESETA_SEED.
static uint64_t current_seed;

static void print_seed(int number)
{
    (void)number;
    fprintf(stderr, "the story of MESETA_SEED=%llu\n", (unsigned long long)current_seed);
}

static int print_seed_of_failure(void **state)
{
    (void)state;
    if (current_seed != 0)
        print_seed(0);
    return 0;
}

static void test_random_stories(void **state)
{
    (void)state;
    const char *one = getenv("MESETA_SEED");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one != NULL ? 1 : SEEDS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        current_seed = seed;
        tell_story(seed);
    }
    current_seed = 0;
    for (size_t i = 0; one == NULL && i < ARRAY_COUNT(needed); i++) {
        if (totals[needed[i]] < 50)
            fail_msg("counter %d is only at %llu", (int)needed[i],
                     (unsigned long long)totals[needed[i]]);
    }
    assert_true(one != NULL || (snapshot_count > 1000 && snapshot_before_count > 1000));
    assert_true(one != NULL || (gone_count > 50 && drained_count > 50 && inverse_count > 50));
}

int main(void)
{
    signal(SIGABRT, print_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_random_stories, print_seed_of_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
