// SPDX-License-Identifier: Apache-2.0
//
// Operations on the agent: applied once, told until acknowledged, over restarts; volumes in
// containers, and how their content goes.

#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "model/operation.h"

#define CPUS(value) "{'name':'cpus','type':'SCALAR','scalar':{'value':" value "}," ROLE "}"
#define DISK(value) "{'name':'disk','type':'SCALAR','scalar':{'value':" value "}," ROLE "}"
#define ROLE "'reservations':[{'type':'DYNAMIC','role':'r/s'}]"
#define VOLUME(id, value, more)                                                                    \
    "{'name':'disk','type':'SCALAR','scalar':{'value':" value "}," ROLE ",'disk':{'persistence':{" \
    "'id':'" id "'},'volume':{'mode':'RW','container_path':'data'}}" more "}"
#define RESERVE(resources) "'type':'RESERVE','reserve':{'resources':[" resources "]}"
#define CREATE(volumes) "'type':'CREATE','create':{'volumes':[" volumes "]}"
#define DESTROY(volumes) "'type':'DESTROY','destroy':{'volumes':[" volumes "]}"

static int setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    f->resources = "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"
                   "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}},"
                   "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}},"
                   "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":50},\"disk\":{"
                   "\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/mnt/a\"}}}}";
    static const struct agent_recovery how = {.is_strict = true};
    struct error err;
    assert_int_equal(f_restart(f, &how, &err), 0);
    agent_recovery_start(f->agent, f->now);
    f->is_checkpointing = true;
    return 0;
}

static const char *uuid_of(struct fixture *f, char letter)
{
    char bytes[16];
    memset(bytes, letter, sizeof(bytes));
    AUTO_BUF struct buf text = BUF_INIT;
    base64_encode(bytes, sizeof(bytes), &text);
    return arena_strdup(f->arena, text.data);
}

static void apply(struct fixture *f, char letter, const char *operation)
{
    f_receive(f,
              "{'type':'APPLY_OPERATION','apply_operation':{'framework_id':{'value':'F'},'info':{"
              "'id':{'value':'op-%c'},%s},'uuid':'%s'}}",
              letter, operation, uuid_of(f, letter));
}

// The last message, which must be the status of that operation.
static const Mesos__V1__OperationStatus *status_of(struct fixture *f, char letter)
{
    const Meseta__Link__ToMaster *m = f_last_sent(f);
    assert_int_equal(m->type, MESETA__LINK__TO_MASTER__TYPE__OPERATION_STATUS);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(m->operation_status->operation_uuid.data[i], letter);
    }
    return m->operation_status->status;
}

static void acknowledge(struct fixture *f, char letter, const Mesos__V1__OperationStatus *status)
{
    AUTO_BUF struct buf text = BUF_INIT;
    base64_encode(status->uuid->value.data, 16, &text);
    f_receive(f,
              "{'type':'ACKNOWLEDGE_OPERATION','acknowledge_operation':{'operation_uuid':'%s',"
              "'status_uuid':'%s'}}",
              uuid_of(f, letter), text.data);
}

static void assert_total(struct fixture *f, const char *expected)
{
    assert_string_equal(resources_text(f->agent->total, f->arena), expected);
}

#define PLAIN "cpus:4; mem:4096; disk:100; disk[MOUNT:/mnt/a]:50"

static int restart(struct fixture *f, struct error *err)
{
    static const struct agent_recovery how = {.is_strict = true};
    int r = f_restart(f, &how, err);
    if (r == 0) {
        agent_recovery_start(f->agent, f->now);
    }
    return r;
}

static Meseta__Link__ToMaster__Reregister *reregister(struct fixture *f)
{
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__REREGISTER);
    Meseta__Link__ToMaster__Reregister *message = f_last_sent(f)->reregister;
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    return message;
}

// ---- statuses ----

static void test_applied_and_told(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    apply(f, 'a', RESERVE(CPUS("1")));
    assert_total(f, "cpus:3; mem:4096; disk:100; disk[MOUNT:/mnt/a]:50; "
                    "cpus(reservations: [(DYNAMIC,r/s)]):1");
    const Mesos__V1__OperationStatus *status = status_of(f, 'a');
    assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED);
    assert_non_null(status->uuid);
    assert_int_equal(status->n_converted_resources, 1);
    // It came twice: it is applied once, and told again.
    size_t sent = f->sent_count;
    apply(f, 'a', RESERVE(CPUS("1")));
    assert_int_equal(f->sent_count, sent + 1);
    assert_int_equal(resources_scalar(f->agent->total, "cpus"), 4000);
    assert_int_equal(f->agent->operations.count, 1);
    // With back-off, until it is acknowledged.
    f_advance(f, 21 * NS_PER_S);
    size_t after = f->sent_count;
    assert_true(after > sent + 1);
    acknowledge(f, 'a', status_of(f, 'a'));
    assert_int_equal(f->agent->operations.count, 0);
    f_advance(f, 3600 * NS_PER_S);
    assert_null(map_get(&f->kept, "operation/61616161-6161-6161-6161-616161616161"));
    assert_non_null(map_get(&f->kept, "resources"));
}

static void test_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    struct error err;
    f_register(f);
    apply(f, 'a', RESERVE(CPUS("1") "," DISK("10")));
    apply(f, 'b', CREATE(VOLUME("v", "10", "")));
    const Mesos__V1__OperationStatus *before = status_of(f, 'b');
    assert_string_equal(f->volumes_made[0], "/work/volumes/roles/r s/v");
    assert_int_equal(restart(f, &err), 0);
    assert_total(f, "cpus:3; mem:4096; disk:90; disk[MOUNT:/mnt/a]:50; "
                    "cpus(reservations: [(DYNAMIC,r/s)]):1; "
                    "disk(reservations: [(DYNAMIC,r/s)])[v:data]:10");
    Meseta__Link__ToMaster__Reregister *message = reregister(f);
    assert_int_equal(message->n_operations, 2);
    assert_int_equal(message->n_checkpointed_resources, 2);
    assert_string_equal(message->operations[0]->framework_id->value, "F");
    assert_string_equal(message->agent->info->id->value, "S1");
    // Both are told again, with the uuids that they had.
    bool found = false;
    for (size_t i = 0; i < f->sent_count; i++) {
        const Meseta__Link__ToMaster__OperationStatus *sent = f->sent[i]->operation_status;
        found |= sent != NULL && sent->operation_uuid.data[0] == 'b' &&
                 memcmp(sent->status->uuid->value.data, before->uuid->value.data, 16) == 0 &&
                 i > f->sent_count - 3;
    }
    assert_true(found);
    acknowledge(f, 'b', before);
    assert_int_equal(f->agent->operations.count, 1);
    // Known or not: what the master waits for is answered.
    f_receive(f, "{'type':'RECONCILE_OPERATIONS','reconcile_operations':{'uuids':['%s','%s']}}",
              uuid_of(f, 'a'), uuid_of(f, 'z'));
    const Mesos__V1__OperationStatus *dropped = status_of(f, 'z');
    assert_int_equal(dropped->state, MESOS__V1__OPERATION_STATE__OPERATION_DROPPED);
    assert_null(dropped->uuid);
}

static void test_cannot_be_applied(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    apply(f, 'a', RESERVE(CPUS("5")));
    const Mesos__V1__OperationStatus *status = status_of(f, 'a');
    assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_FAILED);
    assert_string_equal(status->message, PLAIN " does not contain cpus:5");
    assert_int_equal(f->reconnect_count, 1); // to tell what there is
    assert_total(f, PLAIN);
    apply(f, 'b', RESERVE(DISK("10")));
    f->refuse_volume = "no space";
    apply(f, 'c', CREATE(VOLUME("v", "10", "")));
    status = status_of(f, 'c');
    assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_FAILED);
    assert_string_equal(status->message, "no space");
    assert_int_equal(resources_scalar(f->agent->total, "disk"), 150000);
    assert_int_equal(f->reconnect_count, 2);
    // A failure is told as reliably as a success.
    agent_link_closed(f->agent, f->now);
    assert_int_equal(reregister(f)->n_operations, 3);
}

static void test_nonsense_is_dropped(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    size_t sent = f->sent_count;
    f_receive(f,
              "{'type':'APPLY_OPERATION','apply_operation':{'info':{'type':'RESERVE'},"
              "'uuid':'%s'}}",
              uuid_of(f, 'a'));
    f_receive(f, "{'type':'APPLY_OPERATION','apply_operation':{'info':{" RESERVE(
                     CPUS("1")) "},'uuid':'AAAA'}}");
    f_receive(f,
              "{'type':'APPLY_OPERATION','apply_operation':{'info':{'type':'LAUNCH','launch':{}"
              "},'uuid':'%s'}}",
              uuid_of(f, 'a'));
    f_receive(f, "{'type':'ACKNOWLEDGE_OPERATION','acknowledge_operation':{'operation_uuid':'AAAA',"
                 "'status_uuid':'AAAA'}}");
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->agent->operations.count, 0);
    assert_total(f, PLAIN);
}

// ---- volumes ----

static void run_with_volume(struct fixture *f, const char *task_id, const char *more)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'test','id':{"
              "'value':'F'},'checkpoint':true,'roles':['r/s'],'capabilities':[{'type':"
              "'MULTI_ROLE'},{'type':'PARTITION_AWARE'}]},'task':{'name':'n','task_id':{'value':"
              "'%s'},'agent_id':{'value':'S1'},'command':{'value':'sleep 1'},'resources':[%s]}}}",
              task_id, more);
}

static void test_volume_in_a_container(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    apply(f, 'a', RESERVE(DISK("20")));
    apply(f, 'b', CREATE(VOLUME("v", "10", "") "," VOLUME("w", "10", ",'shared':{}")));
    run_with_volume(f, "t1", CPUS("1"));
    // Reservations that the agent does not have are of an operation that it never got.
    assert_int_equal(f->launched_count, 0);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_DROPPED);
    assert_int_equal(f_last_status(f)->reason,
                     MESOS__V1__TASK_STATUS__REASON__REASON_RESOURCES_UNKNOWN);
    run_with_volume(f, "t2", VOLUME("v", "10", ""));
    assert_int_equal(f->launched_count, 1);
    assert_string_equal(f->volumes_seen, "data=/work/volumes/roles/r s/v");
    // The owner of a shared one stays while others use it.
    run_with_volume(f, "t3", VOLUME("w", "10", ",'shared':{}"));
    assert_string_equal(f->volumes_seen, "data=/work/volumes/roles/r s/w");
    run_with_volume(f, "t4", VOLUME("w", "10", ",'shared':{}"));
    assert_string_equal(f->volumes_seen, "data=/work/volumes/roles/r s/w (kept)");
    // A later agent sees the same.
    struct error err;
    assert_int_equal(restart(f, &err), 0);
    struct agent_volume *volumes;
    assert_int_equal(agent_executor_volumes(f_executor(f, "t2"), f->arena, &volumes), 1);
    assert_string_equal(volumes[0].path, "/work/volumes/roles/r s/v");
}

static void test_destroyed_volume_goes_later(void **state)
{
    struct fixture *f = *state;
    struct error err;
    f_register(f);
    apply(f, 'a', RESERVE(DISK("10")));
    apply(f, 'b', CREATE(VOLUME("v", "10", "")));
    apply(f, 'c', DESTROY(VOLUME("v", "10", "")));
    // Not before it is durable that it goes.
    assert_int_equal(f->volumes_removed_count, 0);
    assert_non_null(map_get(&f->kept, "doomed//work/volumes/roles/r s/v"));
    f_advance(f, 0);
    assert_int_equal(f->volumes_removed_count, 1);
    assert_string_equal(f->volumes_removed[0], "/work/volumes/roles/r s/v");
    // The agent dies before the content is gone: the next one goes on.
    assert_int_equal(restart(f, &err), 0);
    f_advance(f, 0);
    assert_int_equal(f->volumes_removed_count, 2);
    agent_volume_removed(f->agent, "/work/volumes/roles/r s/v", true);
    assert_null(map_get(&f->kept, "doomed//work/volumes/roles/r s/v"));
    assert_int_equal(f->agent->doomed.count, 0);
}

static void test_destroyed_and_made_at_once(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    apply(f, 'a', RESERVE(DISK("10")));
    apply(f, 'b', CREATE(VOLUME("v", "10", "")));
    apply(f, 'c', DESTROY(VOLUME("v", "10", "")));
    apply(f, 'd', CREATE(VOLUME("v", "10", "")));
    // The old content was out of the way before the new directory was made, and is removed once.
    assert_int_equal(f->volumes_removed_count, 1);
    assert_int_equal(f->volumes_made_count, 2);
    f_advance(f, 0);
    assert_int_equal(f->volumes_removed_count, 1);
}

static void test_mount_disk(void **state)
{
    struct fixture *f = *state;
    f_register(f);
#define MOUNT "'disk':{'source':{'type':'MOUNT','mount':{'root':'/mnt/a'}}"
#define ON_MOUNT(more)                                                                             \
    "{'name':'disk','type':'SCALAR','scalar':{'value':50}," ROLE "," MOUNT more "}}"
#define PERSISTENCE ",'persistence':{'id':'m'},'volume':{'mode':'RW','container_path':'x'}"
    apply(f, 'a', RESERVE(ON_MOUNT("")));
    apply(f, 'b', CREATE(ON_MOUNT(PERSISTENCE)));
    assert_string_equal(f->volumes_made[0], "/mnt/a (mount)");
    apply(f, 'c', DESTROY(ON_MOUNT(PERSISTENCE)));
    f_advance(f, 0);
    assert_string_equal(f->volumes_removed[0], "/mnt/a (mount)");
}

// ---- other flags, another id ----

static void test_flags_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    struct error err;
    f_register(f);
    apply(f, 'a', RESERVE(CPUS("3")));
    // As another agent, so that only the checkpointed resources are looked at.
    MAP_FOREACH (&f->kept, entry) {
        if (strcmp(entry->key, "agent") == 0) {
            struct buf *value = map_remove(&f->kept, "agent");
            buf_free(value);
            mem_free(value);
            break;
        }
    }
    f->resources = "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2}}";
    assert_int_equal(restart(f, &err), -EINVAL);
    assert_string_equal(err.text,
                        "Checkpointed resources cpus(reservations: [(DYNAMIC,r/s)]):3 are "
                        "incompatible with agent resources: Incompatible agent resources: cpus:2 "
                        "does not contain cpus:3");
    f->resources = "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":5}}";
    assert_int_equal(restart(f, &err), 0);
    assert_total(f, "cpus:2; cpus(reservations: [(DYNAMIC,r/s)]):3");
    // Reservations are the machine's; operations were the former agent's.
    assert_int_equal(f->agent->operations.count, 0);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__REGISTER);
    assert_int_equal(f_last_sent(f)->register_->n_checkpointed_resources, 1);
}

static void test_unsound_records(void **state)
{
    struct fixture *f = *state;
    struct error err;
    f_register(f);
    apply(f, 'a', RESERVE(CPUS("3")));
    struct buf *value = map_get(&f->kept, "resources");
    buf_free(value);
    buf_puts(value, "\xff\xff");
    assert_int_equal(restart(f, &err), -EBADMSG);
    static const struct agent_recovery lenient = {.is_strict = false};
    assert_int_equal(f_restart(f, &lenient, &err), 0);
    assert_total(f, PLAIN);
    assert_int_equal(f->agent->metrics.recovery_errors, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_applied_and_told),           TEST(test_survives_a_restart),
        TEST(test_cannot_be_applied),          TEST(test_nonsense_is_dropped),
        TEST(test_volume_in_a_container),      TEST(test_destroyed_volume_goes_later),
        TEST(test_destroyed_and_made_at_once), TEST(test_mount_disk),
        TEST(test_flags_that_do_not_fit),      TEST(test_unsound_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
