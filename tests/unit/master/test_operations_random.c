// SPDX-License-Identifier: Apache-2.0
//
// Random stories of operations: a framework that accepts whatever comes to its mind, and an agent
// whose link breaks at any moment. In the end master and agent agree on what there is.

#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "model/operation.h"

// A fake agent: it does what it is told, unless the link breaks before it reads.
struct fake {
    struct end *end;
    struct resources *flags, *total;
    struct {
        uint8_t uuid[16];
        const char *info; // JSON
    } done[64];           // not acknowledged
    size_t done_count;
    char tasks[64][16];
    size_t task_count;
};

static void fake_reads(struct scene *c, struct fake *f)
{
    for (; f->end->seen < f->end->count; f->end->seen++) {
        const Meseta__Link__ToAgent *m = f->end->messages[f->end->seen];
        if (m->apply_operation != NULL && f->done_count < ARRAY_COUNT(f->done)) {
            Mesos__V1__Offer__Operation *info =
                WIRE_COPY(c->w.arena, Mesos__V1__Offer__Operation, m->apply_operation->info);
            operation_unallocate(info);
            struct conversions conversions;
            conversions_get(info, &conversions);
            const char *why;
            // The master never asks for what cannot be.
            if (conversions_apply(&conversions, f->total, c->w.arena, &why) != 0)
                fail_msg("%s", why);
            conversions_free(&conversions);
            memcpy(f->done[f->done_count].uuid, m->apply_operation->uuid.data, 16);
            AUTO_BUF struct buf json = BUF_INIT;
            wire_json_encode(&info->base, &json);
            f->done[f->done_count++].info = arena_strdup(c->w.arena, json.data);
        }
        if (m->acknowledge_operation != NULL) {
            for (size_t i = f->done_count; i-- > 0;) {
                if (memcmp(f->done[i].uuid, m->acknowledge_operation->operation_uuid.data, 16) == 0)
                    f->done[i] = f->done[--f->done_count];
            }
        }
        if (m->reconcile_operations != NULL) {
            struct end *end = f->end;
            for (size_t i = 0; i < m->reconcile_operations->n_uuids; i++)
                end_send(&c->w, end,
                         "{\"type\":\"OPERATION_STATUS\",\"operation_status\":{\"operation_uuid\":"
                         "\"%s\",\"status\":{\"state\":\"OPERATION_DROPPED\"}}}",
                         scene_base64(&c->w, &m->reconcile_operations->uuids[i]));
        }
        if (m->run_task != NULL && f->task_count < ARRAY_COUNT(f->tasks))
            snprintf(f->tasks[f->task_count++], 16, "%s", m->run_task->task->task_id->value);
        if (m->reconcile != NULL) {
            for (size_t i = 0; i < m->reconcile->n_task_ids; i++)
                end_update(&c->w, f->end, c->s.framework_id, m->reconcile->task_ids[i]->value,
                           "TASK_DROPPED", 0);
        }
    }
}

// It says that an operation is finished, whether it said so before or not.
static void fake_finishes(struct scene *c, struct fake *f, size_t i)
{
    ProtobufCBinaryData uuid = {.len = 16, .data = f->done[i].uuid};
    const char *text = scene_base64(&c->w, &uuid);
    end_send(&c->w, f->end,
             "{\"type\":\"OPERATION_STATUS\",\"operation_status\":{\"operation_uuid\":"
             "\"%s\",\"status\":{\"state\":\"OPERATION_FINISHED\",\"uuid\":{\"value\":"
             "\"%s\"}}}}",
             text, text);
}

static void fake_returns(struct scene *c, struct fake *f, void **garbage, size_t *garbage_count)
{
    f->end = mem_zalloc(sizeof(*f->end));
    garbage[(*garbage_count)++] = f->end;
    snprintf(f->end->agent_id, sizeof(f->end->agent_id), "M-S0");
    f->task_count = 0; // they were all lost
    struct resources *made = resources_checkpointed(f->total);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(made, c->w.arena, RESOURCES_NEW_FORM, false, &messages);
    resources_free(made);
    AUTO_BUF struct buf list = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_puts(&list, i > 0 ? "," : "");
        wire_json_encode(&messages[i]->base, &list);
    }
    AUTO_BUF struct buf done = BUF_INIT;
    for (size_t i = 0; i < f->done_count; i++) {
        ProtobufCBinaryData uuid = {.len = 16, .data = f->done[i].uuid};
        const char *text = scene_base64(&c->w, &uuid);
        buf_printf(&done,
                   "%s{\"framework_id\":{\"value\":\"%s\"},\"info\":%s,\"latest_status\":{"
                   "\"state\":\"OPERATION_FINISHED\",\"uuid\":{\"value\":\"%s\"}},\"uuid\":{"
                   "\"value\":\"%s\"}}",
                   i > 0 ? "," : "", c->s.framework_id, f->done[i].info, text, text);
    }
    end_send(&c->w, f->end,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"M-S0\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"," CAPABILITIES "},\"checkpointed_resources\":[%s],"
             "\"operations\":[%s]}}",
             amount(&c->w, "cpus:4;mem:1024;disk:100"), list.data != NULL ? list.data : "",
             done.data != NULL ? done.data : "");
}

static const char *draw_operation(struct scene *c, struct prng *prng, unsigned *next)
{
    static const char *const templates[] = {
        RESERVE("%s", CPUS("1")),
        RESERVE("%s", DISK("20")),
        RESERVE("%s", DISK("20") "," CPUS("0.5")),
        UNRESERVE("%s", CPUS("1")),
        UNRESERVE("%s", DISK("10")),
        CREATE("%s", VOLUME("v", "10")),
        CREATE("%s", SHARED("w", "10")),
        DESTROY("%s", VOLUME("v", "10")),
        DESTROY("%s", VOLUME("v", "15")),
        DESTROY("%s", SHARED("w", "10")),
        GROW("%s", VOLUME("v", "10"), DISK("5")),
        SHRINK("%s", VOLUME("v", "15"), "5"),
    };
    const char *text = templates[prng_below(prng, ARRAY_COUNT(templates))];
    const char *id = prng_below(prng, 2) == 0
                         ? ""
                         : arena_printf(c->w.arena, "\"id\":{\"value\":\"o%u\"},", ++*next);
    const char *at = strstr(text, "%s");
    return arena_printf(c->w.arena, "%.*s%s%s", (int)(at - text), text, id, at + 2);
}

static const char *draw_task(struct scene *c, struct prng *prng, unsigned *next)
{
    static const char *const amounts[] = {CPUS("1"), "{" SCALAR("cpus", "0.5") "}",
                                          CPUS("0.5") "," VOLUME("v", "10"),
                                          CPUS("0.5") "," SHARED("w", "10")};
    return arena_printf(c->w.arena,
                        "{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\","
                        "\"task_id\":{\"value\":\"t%u\"},\"agent_id\":{\"value\":\"M-S0\"},"
                        "\"command\":{\"value\":\"true\"},\"resources\":[%s]}]}}",
                        ++*next, amounts[prng_below(prng, ARRAY_COUNT(amounts))]);
}

static void framework_acts(struct scene *c, struct prng *prng, unsigned *next)
{
    struct master *m = c->w.master;
    AUTO_BUF struct buf offers = BUF_INIT;
    MAP_FOREACH (&m->offers, entry) {
        if (offers.size == 0 || prng_below(prng, 3) == 0)
            buf_printf(&offers, "%s{\"value\":\"%s\"}", offers.size > 0 ? "," : "", entry->key);
    }
    if (offers.size == 0)
        return;
    AUTO_BUF struct buf operations = BUF_INIT;
    for (size_t i = 0, count = 1 + prng_below(prng, 5); i < count; i++)
        buf_printf(&operations, "%s%s", i > 0 ? "," : "",
                   prng_below(prng, 4) == 0 ? draw_task(c, prng, next)
                                            : draw_operation(c, prng, next));
    stream_call(&c->w, &c->s,
                "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[%s],\"operations\":[%s],"
                "\"filters\":{\"refuse_seconds\":0}}",
                offers.data, operations.data);
}

// Acknowledges what it was told; each operation with an id ends once.
static void framework_reads(struct scene *c, struct map *ended)
{
    const Mesos__V1__OperationStatus *status;
    while ((status = scene_status(c)) != NULL) {
        const char *id = status->operation_id->value;
        if (operation_state_is_terminal(status->state)) {
            const char *before = map_get(ended, id);
            if (before != NULL)
                assert_string_equal(before, operation_state_name(status->state));
            map_put(ended, id, (void *)operation_state_name(status->state));
        }
        if (status->uuid != NULL)
            stream_call(&c->w, &c->s,
                        "\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\","
                        "\"acknowledge_operation_status\":{\"agent_id\":{\"value\":\"M-S0\"},"
                        "\"operation_id\":{\"value\":\"%s\"},\"uuid\":\"%s\"}",
                        id, scene_base64(&c->w, &status->uuid->value));
    }
}

static void tell_story(uint64_t seed, uint64_t *sums)
{
    struct scene *c = scene_begin();
    struct prng prng;
    prng_seed(&prng, seed);
    struct fake f = {.end = &c->e};
    ProtobufCMessage **messages;
    size_t count;
    const char *flags = amount(&c->w, "cpus:4;mem:1024;disk:100");
    assert_int_equal(wire_json_decode_list(&mesos__v1__resource__descriptor, c->w.arena, flags,
                                           strlen(flags), &messages, &count, NULL),
                     0);
    assert_int_equal(resources_from_proto((Mesos__V1__Resource **)messages, count, &f.total, NULL),
                     0);
    struct map ended = MAP_INIT;
    void *garbage[512];
    size_t garbage_count = 0;
    unsigned next = 0;
    for (int step = 0; step < 150; step++) {
        if (prng_below(&prng, 3) > 0)
            framework_acts(c, &prng, &next);
        if (prng_below(&prng, 2) == 0)
            fake_reads(c, &f);
        for (size_t i = f.done_count; i-- > 0 && prng_below(&prng, 3) == 0;) {
            fake_finishes(c, &f, i);
        }
        if (f.task_count > 0 && prng_below(&prng, 2) == 0)
            end_update(&c->w, f.end, c->s.framework_id, f.tasks[--f.task_count], "TASK_FINISHED",
                       0);
        if (prng_below(&prng, 12) == 0) {
            end_break(&c->w, f.end);
            master_check(c->w.master);
            fake_returns(c, &f, garbage, &garbage_count);
        }
        framework_reads(c, &ended);
        world_pass(&c->w, (double)prng_below(&prng, 3));
        master_check(c->w.master);
    }
    // All is said: master and agent agree.
    for (int i = 0; i < 3; i++) {
        fake_reads(c, &f);
        end_break(&c->w, f.end);
        fake_returns(c, &f, garbage, &garbage_count);
        fake_reads(c, &f);
        while (f.task_count > 0)
            end_update(&c->w, f.end, c->s.framework_id, f.tasks[--f.task_count], "TASK_FINISHED",
                       0);
        for (size_t k = f.done_count; k-- > 0;) {
            fake_finishes(c, &f, k);
        }
        framework_reads(c, &ended);
    }
    struct agent *a = map_get(&c->w.master->agents, "M-S0");
    assert_true(resources_is_equal(a->total, f.total));
    assert_int_equal(c->w.master->operations.count, 0);
    assert_true(resources_is_empty(a->used) && !a->unsettled);
    for (size_t type = 0; type < OPERATION_TYPE_COUNT; type++)
        sums[type] += c->w.master->operation_states[type][STATE(FINISHED)];
    map_free(&ended);
    resources_free(f.total);
    scene_end(c);
    for (size_t i = 0; i < garbage_count; i++)
        mem_free(garbage[i]);
}

static void test_random_stories(void **state)
{
    (void)state;
    uint64_t sums[OPERATION_TYPE_COUNT] = {0};
    const char *one = getenv("MESETA_SEED");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (one != NULL ? 1 : 60); seed++) {
        print_message("MESETA_SEED=%llu\n", (unsigned long long)seed);
        tell_story(seed, sums);
    }
    for (int type = MESOS__V1__OFFER__OPERATION__TYPE__RESERVE;
         one == NULL && type <= MESOS__V1__OFFER__OPERATION__TYPE__DESTROY; type++)
        assert_true(sums[type] > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_stories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
