// SPDX-License-Identifier: Apache-2.0
//
// Weights and quotas with a registry that answers late, and over failovers. Texts are the system
// tests' subject.

#include "world.h"

#include <math.h>
#include <string.h>

static Mesos__V1__Quota__QuotaConfig *config(struct world *w, const char *role, const char *more)
{
    AUTO_BUF struct buf text = BUF_INIT;
    buf_printf(&text, "{\"role\":\"%s\"%s}", role, more);
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(&mesos__v1__quota__quota_config__descriptor, w->arena, text.data,
                         text.size, &message, &err) < 0)
        fail_msg("%s", err.text);
    return (Mesos__V1__Quota__QuotaConfig *)message;
}

static int update(struct world *w, const char *role, const char *more, bool force)
{
    Mesos__V1__Quota__QuotaConfig *configs[] = {config(w, role, more)};
    w->answer = 0;
    int status = master_update_quota(w->master, configs, 1, force, w, w->now, &w->err);
    if (status != 0)
        return status;
    world_settle(w);
    return w->answer;
}

static int set(struct world *w, const char *role, double cpus)
{
    Mesos__V1__Value__Scalar scalar = MESOS__V1__VALUE__SCALAR__INIT;
    scalar.value = cpus;
    static char name[] = "cpus";
    Mesos__V1__Resource resource = MESOS__V1__RESOURCE__INIT;
    resource.name = name;
    resource.type = MESOS__V1__VALUE__TYPE__SCALAR;
    resource.scalar = &scalar;
    Mesos__V1__Resource *guarantee[] = {&resource};
    Mesos__V1__Quota__QuotaRequest request = MESOS__V1__QUOTA__QUOTA_REQUEST__INIT;
    request.role = (char *)(uintptr_t)role;
    request.n_guarantee = 1;
    request.guarantee = guarantee;
    w->answer = 0;
    int status = master_set_quota(w->master, &request, w, w->now, &w->err);
    if (status != 0)
        return status;
    world_settle(w);
    return w->answer;
}

static int remove_quota(struct world *w, const char *role)
{
    w->answer = 0;
    int status = master_remove_quota(w->master, role, NULL, w, w->now, &w->err);
    if (status != 0)
        return status;
    world_settle(w);
    return w->answer;
}

static const char *const two_cpus = ",\"guarantees\":{\"cpus\":{\"value\":2}}";

static void test_requests_are_checked_against_those_on_their_way(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct end e;
    end_register(&w, &e, "6000", "cpus:3;mem:1024");
    w.hold_writes = true;
    assert_int_equal(set(&w, "a", 2), 0);
    assert_int_equal(set(&w, "a", 1), 400); // it has one, though that is not durable
    assert_int_equal(set(&w, "b", 2), 409); // that one counts
    assert_int_equal(update(&w, "b", two_cpus, false), 400);
    assert_int_equal(update(&w, "b", two_cpus, true), 0);
    assert_int_equal(w.master->quotas.count, 0);
    assert_int_equal(remove_quota(&w, "a"), 0);
    assert_int_equal(remove_quota(&w, "a"), 400);
    w.hold_writes = false;
    world_settle(&w);
    assert_int_equal(w.answer, 200);
    assert_int_equal(w.master->quotas.count, 1);
    assert_true(map_has(&w.kept, "quotas/b") && !map_has(&w.kept, "quotas/a"));
    world_end(&w);
}

static void test_quotas_and_what_they_need_over_failovers(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    assert_int_equal(update(&w, "a", two_cpus, true), 200);
    assert_int_equal(update(&w, "b", ",\"limits\":{\"cpus\":{\"value\":0}}", true), 200);
    assert_true(map_has(&w.kept, "capabilities/QUOTA_V2"));
    world_fail_over(&w);
    assert_int_equal(w.master->quotas.count, 2);
    const struct quota *b = map_get(&w.master->quotas, "b");
    assert_int_equal(b->config->n_limits, 1);
    assert_int_equal(remove_quota(&w, "a"), 200);
    assert_int_equal(update(&w, "b", "", false), 200);
    assert_false(map_has(&w.kept, "capabilities/QUOTA_V2"));
    assert_int_equal(w.kept.count, 0);
    world_end(&w);
}

static int set_weight(struct world *w, const char *role, double weight)
{
    Mesos__V1__WeightInfo info = MESOS__V1__WEIGHT_INFO__INIT;
    info.role = (char *)(uintptr_t)role;
    info.weight = weight;
    Mesos__V1__WeightInfo *infos[] = {&info};
    w->answer = 0;
    int status = master_update_weights(w->master, infos, 1, w, w->now, &w->err);
    if (status != 0)
        return status;
    world_settle(w);
    return w->answer;
}

static double weight(struct world *w, const char *role)
{
    const double *found = map_get(&w->master->weights, role);
    return found != NULL ? *found : 1;
}

static void test_weights(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct error err;
    master_set_weight(w.master, "flag", 7);
    assert_int_equal(master_recover(w.master, NULL, 0, w.now, &err), 0);
    assert_true(map_has(&w.kept, "weights/flag")); // the registry takes it over
    w.hold_writes = true;
    assert_int_equal(set_weight(&w, "a", 2), 0);
    assert_int_equal(set_weight(&w, "a", 3), 0);
    assert_true(weight(&w, "a") == 1);
    w.hold_writes = false;
    world_settle(&w);
    assert_true(weight(&w, "a") == 3);
    world_fail_over(&w);
    assert_true(weight(&w, "a") == 3 && weight(&w, "flag") == 7);
    assert_int_equal(set_weight(&w, "a", (double)INFINITY), 400);
    world_end(&w);
}

static void test_unsound_entries(void **state)
{
    (void)state;
    static const char *const keys[] = {"weights/a", "quotas/a", "capabilities/NONE"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct world w;
        world_begin(&w, NULL);
        struct master_item item = {.key = keys[i], .value = "x", .size = 1};
        struct error err;
        assert_true(master_recover(w.master, &item, 1, w.now, &err) < 0);
        assert_non_null(strstr(err.text, strrchr(keys[i], '/') + 1));
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_checked_against_those_on_their_way),
        cmocka_unit_test(test_quotas_and_what_they_need_over_failovers),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_unsound_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
