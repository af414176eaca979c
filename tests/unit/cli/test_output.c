// SPDX-License-Identifier: Apache-2.0
//
// Texts for people, ids as they mean them, JSON as a tree, big answers walked.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/cli_walk.h"

static void values_read_well(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    assert_string_equal(cli_text_amount(arena, 0.1), "0.1");
    assert_string_equal(cli_text_amount(arena, 12), "12");
    assert_string_equal(cli_text_amount(arena, 0.30000000000000004), "0.3");
    assert_string_equal(cli_text_megabytes(arena, 0), "0");
    assert_string_equal(cli_text_megabytes(arena, 32), "32MB");
    assert_string_equal(cli_text_megabytes(arena, 1536), "1.5GB");
    assert_string_equal(cli_text_megabytes(arena, 0.5), "512KB");
    assert_string_equal(cli_text_bytes(arena, 0), "0B");
    assert_string_equal(cli_text_bytes(arena, 1023), "1023B");
    assert_string_equal(cli_text_bytes(arena, 1024), "1KB");
    assert_string_equal(cli_text_bytes(arena, 1048575), "1MB");
    assert_string_equal(cli_text_bytes(arena, UINT64_MAX), "16EB");
    assert_string_equal(cli_text_age(arena, -3), "0s");
    assert_string_equal(cli_text_age(arena, 59.9), "59s");
    assert_string_equal(cli_text_age(arena, 192), "3m12s");
    assert_string_equal(cli_text_age(arena, 3600 * 2 + 60 * 5), "2h05m");
    assert_string_equal(cli_text_age(arena, 86400 * 3 + 3600 * 4), "3d04h");
    assert_string_equal(cli_text_age(arena, 1e300), "-");
    assert_string_equal(cli_text_state(arena, MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR),
                        "gone_by_operator");
    assert_int_equal(cli_text_width("a…b"), 3);
}

static void control_characters_do_not_pass(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    assert_string_equal(cli_clean(arena, "plain ünï"), "plain ünï");
    assert_string_equal(cli_clean(arena, "a\033[31mb\nc\177"), "a?[31mb?c?");
    assert_string_equal(cli_clean(arena, "x\xc2\x9b"
                                         "5m"),
                        "x??5m");
    assert_string_equal(cli_clean(arena, NULL), "");
}

static void ids_may_be_cut_short(void **state)
{
    (void)state;
    assert_int_equal(cli_match_rank("ab-S3", "ab-S3", NULL), 6);
    assert_int_equal(cli_match_rank("web", "ab-S3", "web"), 4);
    assert_int_equal(cli_match_rank("ab", "ab-S3", "web"), 2);
    assert_int_equal(cli_match_rank("S3", "ab-S3", "web"), 2);
    assert_int_equal(cli_match_rank("3", "ab-S3", "web"), 0);
    assert_int_equal(cli_match_rank("we", "ab-S3", "web"), 0);
    assert_int_equal(cli_match_rank("", "ab-S3", ""), 4);
    assert_int_equal(cli_match_rank("", "ab-S3", NULL), 0);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct error err;
    struct cli_match match = {.wanted = "a", .what = "agent"};
    int one = 1, two = 2;
    assert_int_equal(cli_match_end(&match, &err), CLI_ERROR_NOT_FOUND);
    assert_string_equal(err.text, "There is no agent 'a'");
    cli_match_offer(&match, arena, 2, "aa", &one);
    cli_match_offer(&match, arena, 2, "ab", &two);
    assert_int_equal(cli_match_end(&match, &err), CLI_ERROR_AMBIGUOUS);
    assert_string_equal(err.text, "'a' could be 2 agents: aa, ab");
    // What fits better wins, whenever it comes.
    cli_match_offer(&match, arena, 6, "a", &two);
    cli_match_offer(&match, arena, 2, "ac", &one);
    assert_int_equal(cli_match_end(&match, &err), 0);
    assert_ptr_equal(match.value, &two);
    for (int i = 0; i < 12; i++) {
        cli_match_offer(&match, arena, 6, "a", &two);
    }
    assert_int_equal(cli_match_end(&match, &err), CLI_ERROR_AMBIGUOUS);
    assert_string_equal(err.text,
                        "'a' could be 13 agents: a, a, a, a, a, a, a, a, a, a and 3 more");
}

static void json_becomes_a_tree(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct cli_json *json;
    static const char text[] = "{\"a\": [1, \"x\", true, null, {}], \"b\": -2.5}";
    assert_int_equal(cli_json_read(arena, text, sizeof(text) - 1, &json, NULL), 0);
    const struct cli_json *list = cli_json_get(json, "a");
    assert_int_equal(list->count, 5);
    assert_string_equal(list->first->text, "1");
    assert_string_equal(list->first->next->text, "x");
    assert_int_equal(list->first->next->next->type, CLI_JSON_BOOL);
    assert_true(cli_json_number(json, "b") == -2.5);
    assert_true(cli_json_number(json, "a") == 0);
    assert_string_equal(cli_json_text(json, "none"), "");
    assert_int_equal(cli_json_get(list, "a")->type, CLI_JSON_NULL);
    static const char *const bad[] = {"", "{", "[1,]", "{\"a\"}", "1 2", "nul"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error err = {0};
        assert_true(cli_json_read(arena, bad[i], strlen(bad[i]), &json, &err) < 0);
        assert_true(err.text[0] != '\0');
    }
}

// ---- walking ----

static void note_task(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    struct buf *seen = ctx;
    buf_printf(seen, "%u:%s ", number, ((const Mesos__V1__Task *)message)->task_id->value);
}

static Mesos__V1__Task *make_task(struct arena *arena, const char *id)
{
    Mesos__V1__Task *task = WIRE_NEW(arena, Mesos__V1__Task, mesos__v1__task);
    task->name = arena_strdup(arena, id);
    task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    task->task_id->value = task->name;
    task->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    task->framework_id->value = task->name;
    task->agent_id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
    task->agent_id->value = task->name;
    return task;
}

static void lists_are_walked(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_ARENA struct arena *item = arena_new(0, 0);
    AUTO_BUF struct buf wire = BUF_INIT;
    AUTO_BUF struct buf seen = BUF_INIT;
    Mesos__V1__Task *running[] = {make_task(arena, "a"), make_task(arena, "b")};
    Mesos__V1__Task *ended[] = {make_task(arena, "c")};
    Mesos__V1__Master__Response response = MESOS__V1__MASTER__RESPONSE__INIT;
    Mesos__V1__Master__Response__GetTasks tasks = MESOS__V1__MASTER__RESPONSE__GET_TASKS__INIT;
    tasks.tasks = running;
    tasks.n_tasks = 2;
    tasks.completed_tasks = ended;
    tasks.n_completed_tasks = 1;
    response.has_type = true;
    response.type = MESOS__V1__MASTER__RESPONSE__TYPE__GET_TASKS;
    response.get_tasks = &tasks;
    wire_encode(&response.base, &wire);
    static const unsigned path[] = {13, 0}, elsewhere[] = {12, 0};
    static const struct cli_walk_list lists[] = {
        {CLI_TASKS_ACTIVE, &mesos__v1__task__descriptor},
        {CLI_TASKS_COMPLETED, &mesos__v1__task__descriptor},
    };
    assert_int_equal(cli_walk(wire.data, wire.size, path, lists, 2, item, note_task, &seen, NULL),
                     0);
    assert_string_equal(seen.data, "2:a 2:b 3:c ");
    assert_int_equal(cli_walk_count(wire.data, wire.size, path, CLI_TASKS_ACTIVE), 2);
    assert_int_equal(cli_walk_count(wire.data, wire.size, elsewhere, CLI_TASKS_ACTIVE), 0);
    // Cut anywhere, it is an error or less, and never a step beyond its end.
    for (size_t size = 0; size < wire.size; size++) {
        AUTO_FREE char *copy = mem_dup(wire.data, size > 0 ? size : 1);
        struct error err = {0};
        int r = cli_walk(copy, size, path, lists, 2, item, note_task, &seen, &err);
        assert_true(r == 0 || (r == -EREMOTEIO && err.text[0] != '\0'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_read_well),     cmocka_unit_test(control_characters_do_not_pass),
        cmocka_unit_test(ids_may_be_cut_short), cmocka_unit_test(json_becomes_a_tree),
        cmocka_unit_test(lists_are_walked),
    };
    return cmocka_run_group_tests_name("cli-output", tests, NULL, NULL);
}
