// SPDX-License-Identifier: Apache-2.0
//
// Containers inside containers, on this machine and, by tests/system/uml_run, on both cgroup
// versions.

#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

#define OUT_OF_MEMORY MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY

static void launch(struct world *w, const struct order *order)
{
    if (world_launch(w, order) < 0) {
        fail_msg("%s", w->refusal);
    }
}

// The outermost one, which runs until it is destroyed.
static void launch_root(struct world *w)
{
    launch(w, &(struct order){.id = "pod",
                              .shell = "sleep 1000",
                              .resources = "cpus:1;mem:128",
                              .outlives_agent = true});
    world_wait_launched(w, 1);
}

static void wait_terminated(struct world *w, const char *id)
{
    for (int i = 0; i < 600 && !world_outcome(w, id)->terminated; i++) {
        world_sleep(w, 50 * NS_PER_MS);
    }
    assert_true(world_outcome(w, id)->terminated);
}

static const struct container_termination *end_of(struct world *w, const char *id)
{
    const struct container_termination *termination;
    assert_int_equal(containerizer_nested_end(w->c, id, &termination), 0);
    return termination;
}

static void end(struct world *w)
{
    containerizer_destroy(w->c, "pod");
    wait_terminated(w, "pod");
    assert_int_equal(world_count_processes(w), 0);
    const char *left = arena_printf(w->arena, "%s/containers/pod", w->options.runtime_dir);
    containerizer_forget(w->c, "pod"); // as the agent does
    assert_int_not_equal(access(left, F_OK), 0);
    world_end(w);
}

static void test_lives_in_the_sandbox_of_its_parent(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.one",
                              .shell = "pwd; echo $MESOS_SANDBOX; echo $PATH; exit 5"});
    wait_terminated(w, "pod.one");
    const char *sandbox = world_sandbox(w, "pod.one");
    assert_string_equal(
        world_file(w, "pod.one", "stdout"),
        arena_printf(w->arena, "%s\n%s\n%s\n", sandbox, sandbox,
                     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    assert_int_equal(WEXITSTATUS(end_of(w, "pod.one")->status), 5);
    assert_false(world_outcome(w, "pod")->terminated);
    // What is removed is not known any more, and its sandbox has gone.
    struct error err;
    const char *trash = arena_printf(w->arena, "%s/trash", w->directory);
    assert_int_equal(containerizer_remove(w->c, "pod.one", trash, &err), 0);
    assert_int_not_equal(access(sandbox, F_OK), 0);
    assert_int_equal(access(trash, F_OK), 0);
    const struct container_termination *termination;
    assert_int_equal(containerizer_nested_end(w->c, "pod.one", &termination), -ENOENT);
    // The same id again.
    launch(w, &(struct order){.id = "pod.one", .shell = "sleep 1000"});
    world_wait_launched(w, 3);
    assert_int_equal(containerizer_nested_end(w->c, "pod.one", &termination), 1);
    assert_int_equal(containerizer_remove(w->c, "pod.one", trash, &err), -EBUSY);
    end(w);
}

static void test_refusals(void **state)
{
    BEGIN(state);
    assert_int_equal(world_launch(w, &(struct order){.id = "pod.one", .shell = "true"}), -ENOENT);
    assert_string_equal(w->refusal, "Parent container pod does not exist");
    launch_root(w);
    static const struct {
        const char *id, *link, *target;
        int code;
    } rows[] = {
        {"pod.", NULL, NULL, -EINVAL},    {"pod.a/b", NULL, NULL, -EINVAL},
        {"pod.a.b", NULL, NULL, -ENOENT}, {"pod.a", "x", "../y", -EINVAL},
        {"pod.a", "/x", "y", -EINVAL},    {"pod.a", "x/../../y", "y", -EINVAL},
        {"pod.a", "x//y", "y", -EINVAL},  {"pod.a", "x", "", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct order order = {
            .id = rows[i].id, .shell = "true", .link = rows[i].link, .link_target = rows[i].target};
        assert_int_equal(world_launch(w, &order), rows[i].code);
    }
    launch(w, &(struct order){.id = "pod.one", .shell = "sleep 1000"});
    assert_int_equal(world_launch(w, &(struct order){.id = "pod.one", .shell = "true"}), -EEXIST);
    containerizer_destroy(w->c, "pod");
    assert_int_equal(world_launch(w, &(struct order){.id = "pod.two", .shell = "true"}), -EBUSY);
    assert_string_equal(w->refusal, "Parent container pod is in 'DESTROYING' state");
    end(w);
}

static void test_ends_with_its_parent(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.one",
                              .shell = "sleep 1000 & setsid sleep 1000 & sleep 1000"});
    launch(w, &(struct order){.id = "pod.two", .shell = "sleep 1000"});
    world_wait_launched(w, 3);
    launch(w, &(struct order){.id = "pod.one.deep", .shell = "trap '' TERM; sleep 1000"});
    world_wait_launched(w, 4);
    // One inside ends with all that is in it; the others go on.
    containerizer_destroy(w->c, "pod.one");
    wait_terminated(w, "pod.one");
    assert_true(world_outcome(w, "pod.one.deep")->terminated);
    assert_false(world_outcome(w, "pod.two")->terminated);
    assert_false(world_outcome(w, "pod")->terminated);
    assert_true(WIFSIGNALED(end_of(w, "pod.one")->status));
    // The outermost one's process dies: the rest goes first.
    (void)kill(world_outcome(w, "pod")->pid, SIGKILL);
    wait_terminated(w, "pod");
    assert_true(world_outcome(w, "pod.two")->terminated);
    const struct container_termination *termination;
    assert_int_equal(containerizer_nested_end(w->c, "pod.two", &termination), -ENOENT);
    end(w);
}

static void test_signals(void **state)
{
    BEGIN(state);
    launch_root(w);
    struct error err;
    assert_int_equal(containerizer_kill(w->c, "pod.one", SIGTERM, &err), -ENOENT);
    launch(w,
           &(struct order){.id = "pod.one",
                           .shell = "trap 'exit 9' TERM; echo up; while :; do sleep 0.02; done"});
    world_wait_launched(w, 2);
    while (strcmp(world_file(w, "pod.one", "stdout"), "up\n") != 0) {
        world_sleep(w, 10 * NS_PER_MS);
    }
    assert_int_equal(containerizer_kill(w->c, "pod.one", SIGTERM, &err), 0);
    wait_terminated(w, "pod.one");
    assert_int_equal(WEXITSTATUS(end_of(w, "pod.one")->status), 9);
    launch(w, &(struct order){.id = "pod.two", .shell = "sleep 1000"});
    world_wait_launched(w, 3);
    assert_int_equal(containerizer_kill(w->c, "pod.two", SIGKILL, &err), 0);
    wait_terminated(w, "pod.two");
    assert_int_equal(WTERMSIG(end_of(w, "pod.two")->status), SIGKILL);
    end(w);
}

static void test_links(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.one",
                              .shell = "echo hello >shared/file",
                              .link = "shared",
                              .link_target = "volumes/a"});
    wait_terminated(w, "pod.one");
    launch(w, &(struct order){.id = "pod.two",
                              .shell = "cat in/here/file",
                              .link = "in/here",
                              .link_target = "volumes/a"});
    wait_terminated(w, "pod.two");
    assert_string_equal(world_file(w, "pod.two", "stdout"), "hello\n");
    assert_string_equal(world_file(w, "pod", "volumes/a/file"), "hello\n");
    // A link that the container's user put in the way leads nowhere.
    const char *sandbox = world_sandbox(w, "pod");
    const char *trap = arena_printf(w->arena, "%s/volumes/out", sandbox);
    assert_int_equal(symlink("/nowhere-of-meseta", trap), 0);
    launch(w, &(struct order){
                  .id = "pod.three", .shell = "true", .link = "x", .link_target = "volumes/out/x"});
    wait_terminated(w, "pod.three");
    assert_true(end_of(w, "pod.three")->has_reason);
    assert_non_null(strstr(end_of(w, "pod.three")->message, "Failed to create the directory"));
    assert_int_not_equal(access("/nowhere-of-meseta", F_OK), 0);
    // Nor does a sandbox begin behind one.
    const char *folder = arena_printf(w->arena, "%s/containers", sandbox);
    const char *aside = arena_printf(w->arena, "%s/aside", sandbox);
    assert_int_equal(rename(folder, aside), 0);
    assert_int_equal(symlink(w->directory, folder), 0);
    launch(w, &(struct order){.id = "pod.four", .shell = "true"});
    wait_terminated(w, "pod.four");
    assert_true(end_of(w, "pod.four")->has_reason);
    assert_int_not_equal(access(arena_printf(w->arena, "%s/four", w->directory), F_OK), 0);
    end(w);
}

static void test_user(void **state)
{
    BEGIN(state);
    if (geteuid() != 0) {
        world_end(w);
        skip();
    }
    launch(w, &(struct order){
                  .id = "pod", .shell = "sleep 1000", .user = "nobody", .outlives_agent = true});
    world_wait_launched(w, 1);
    launch(w, &(struct order){.id = "pod.one", .shell = "id -un; touch mine"});
    wait_terminated(w, "pod.one");
    assert_string_equal(world_file(w, "pod.one", "stdout"), "nobody\n");
    launch(w, &(struct order){.id = "pod.two", .shell = "id -un", .user = "root"});
    wait_terminated(w, "pod.two");
    assert_string_equal(world_file(w, "pod.two", "stdout"), "root\n");
    end(w);
}

static void test_session_has_its_parents_surroundings(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.one", .shell = "echo up; export LATE=1; sleep 1000"});
    world_wait_launched(w, 2);
    launch(w, &(struct order){
                  .id = "pod.one.look", .shell = "pwd; echo $MESOS_SANDBOX", .is_session = true});
    wait_terminated(w, "pod.one.look");
    const char *sandbox = world_sandbox(w, "pod.one");
    assert_string_equal(world_file(w, "pod.one.look", "stdout"),
                        arena_printf(w->arena, "%s\n%s\n", sandbox, sandbox));
    end(w);
}

struct reader {
    struct container_listener listener;
    unsigned drained;
};

static void hear(struct container_listener *listener, enum container_output which, const void *data,
                 size_t size)
{
    (void)listener;
    (void)which;
    (void)data;
    (void)size;
}

static void hear_end(struct container_listener *listener)
{
    (void)listener;
}

static void hear_drained(struct container_listener *listener)
{
    CONTAINER_OF(listener, struct reader, listener)->drained++;
}

static void touch(struct world *w, const char *name)
{
    const char *path = arena_printf(w->arena, "%s/%s", world_sandbox(w, "pod"), name);
    assert_int_equal(file_write(path, "", 0, NULL), 0);
}

// Whoever waits for input to leave is told, also when more comes while there is room again.
static void test_input_that_waits(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.reads",
                              .shell = "until [ -e go ]; do sleep 0.02; done; "
                                       "head -c 65536 >/dev/null; touch took; exec cat >/dev/null",
                              .is_session = true});
    world_wait_launched(w, 2);
    struct reader reader = {
        .listener = {.on_output = hear, .on_end = hear_end, .on_drained = hear_drained}};
    list_init(&reader.listener.link);
    assert_int_equal(containerizer_attach(w->c, "pod.reads", &reader.listener, NULL), 0);
    AUTO_FREE char *data = mem_zalloc(100000);
    assert_int_equal(containerizer_write(w->c, "pod.reads", data, 100000, NULL), 1);
    touch(w, "go");
    const char *took = arena_printf(w->arena, "%s/took", world_sandbox(w, "pod"));
    for (int i = 0; i < 2000 && access(took, F_OK) != 0; i++) {
        usleep(10000); // not in the loop
    }
    assert_int_equal(access(took, F_OK), 0);
    assert_int_equal(reader.drained, 0);
    assert_int_equal(containerizer_write(w->c, "pod.reads", data, 1, NULL), 1);
    for (int i = 0; i < 600 && reader.drained == 0; i++) {
        world_sleep(w, 50 * NS_PER_MS);
    }
    assert_int_equal(reader.drained, 1);
    assert_int_equal(containerizer_write(w->c, "pod.reads", data, 1, NULL), 0);
    assert_int_equal(containerizer_close_input(w->c, "pod.reads", NULL), 0);
    wait_terminated(w, "pod.reads");
    end(w);
}

static void go(struct world *w)
{
    const char *path = arena_printf(w->arena, "%s/go", world_sandbox(w, "pod.ends"));
    assert_int_equal(file_write(path, "", 0, NULL), 0);
    // It ends while nobody looks.
    for (int i = 0; i < 500; i++) {
        AUTO_FREE char *data = NULL;
        size_t size;
        const char *run = arena_printf(w->arena, "%s/containers/pod.ends", w->options.runtime_dir);
        assert_int_equal(file_read(run, 4096, &data, &size, NULL), 0);
        if (memmem(data, size, "\n1792\n", 6) != NULL) {
            return;
        }
        usleep(20 * 1000);
    }
    fail_msg("it did not end");
}

// An agent that ends between its file and its process: it never was.
static void leave_half(struct world *w)
{
    const char *run = arena_printf(w->arena, "%s/containers/pod.half", w->options.runtime_dir);
    assert_int_equal(file_write(run, "l1000 33554432\n", 15, NULL), 0);
}

static void test_cut_short(void **state)
{
    BEGIN(state);
    launch_root(w);
    static const char *const all[] = {"pod"};
    world_restart(w, all, 1, leave_half);
    world_wait_launched(w, 1);
    const struct container_termination *termination;
    for (int i = 0;
         i < 200 && world_launch(w, &(struct order){.id = "pod.half", .shell = "exit 4"}) < 0;
         i++) {
        assert_int_equal(containerizer_nested_end(w->c, "pod.half", &termination), -ENOENT);
        world_sleep(w, 10 * NS_PER_MS);
    }
    wait_terminated(w, "pod.half");
    assert_int_equal(WEXITSTATUS(end_of(w, "pod.half")->status), 4);
    end(w);
}

static void test_recovered(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w,
           &(struct order){.id = "pod.runs", .shell = "echo up; sleep 1000", .owns_limits = true});
    launch(w, &(struct order){.id = "pod.ends",
                              .shell = "until [ -e go ]; do sleep 0.02; done; exit 7"});
    launch(w, &(struct order){.id = "pod.ended", .shell = "exit 3"});
    launch(w, &(struct order){.id = "pod.session", .shell = "sleep 1000", .is_session = true});
    world_wait_launched(w, 5);
    wait_terminated(w, "pod.ended");
    world_outcome(w, "pod.ended")->terminated = false;
    static const char *const all[] = {"pod", "pod.runs", "pod.ends", "pod.ended", "pod.session"};
    world_restart(w, all, ARRAY_COUNT(all), go);
    wait_terminated(w, "pod.ends");
    wait_terminated(w, "pod.ended");
    wait_terminated(w, "pod.session");
    assert_int_equal(WEXITSTATUS(end_of(w, "pod.ends")->status), 7);
    assert_int_equal(WEXITSTATUS(end_of(w, "pod.ended")->status), 3);
    assert_false(world_outcome(w, "pod.runs")->terminated);
    // Another goes in, and a session into one that an earlier agent began.
    launch(w, &(struct order){.id = "pod.more", .shell = "pwd"});
    wait_terminated(w, "pod.more");
    launch(w, &(struct order){
                  .id = "pod.runs.look", .shell = "echo $MESOS_SANDBOX; pwd", .is_session = true});
    wait_terminated(w, "pod.runs.look");
    const char *sandbox = world_sandbox(w, "pod.runs");
    assert_string_equal(world_file(w, "pod.runs.look", "stdout"),
                        arena_printf(w->arena, "%s\n%s\n", sandbox, sandbox));
    struct error err;
    assert_int_equal(containerizer_kill(w->c, "pod.runs", SIGKILL, &err), 0);
    wait_terminated(w, "pod.runs");
    assert_int_equal(WTERMSIG(end_of(w, "pod.runs")->status), SIGKILL);
    end(w);
}

static void test_orphans_are_destroyed(void **state)
{
    BEGIN(state);
    launch_root(w);
    launch(w, &(struct order){.id = "pod.one", .shell = "sleep 1000"});
    world_wait_launched(w, 2);
    launch(w, &(struct order){.id = "pod.one.deep", .shell = "sleep 1000"});
    world_wait_launched(w, 3);
    assert_true(world_count_processes(w) > 0);
    world_restart(w, NULL, 0, NULL);
    for (int i = 0; i < 600 && world_count_processes(w) > 0; i++) {
        world_sleep(w, 50 * NS_PER_MS);
    }
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

static void test_own_memory_limit(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    launch_root(w);
    launch(w, &(struct order){.id = "pod.hog",
                              .shell = "exec " HOG " 100",
                              .resources = "cpus:1;mem:40",
                              .owns_limits = true});
    wait_terminated(w, "pod.hog");
    const struct container_termination *termination = end_of(w, "pod.hog");
    assert_true(termination->has_reason && termination->reason == OUT_OF_MEMORY);
    assert_true(text_starts_with(termination->message, "Memory limit exceeded: Requested: 40MB"));
    assert_non_null(termination->limited);
    // The one around it, which has 128 MB for all, and one that shares with it, go on.
    launch(w,
           &(struct order){.id = "pod.modest", .shell = HOG " 60", .resources = "cpus:1;mem:40"});
    wait_terminated(w, "pod.modest");
    assert_false(end_of(w, "pod.modest")->has_reason);
    assert_int_equal(end_of(w, "pod.modest")->status, 0);
    assert_false(world_outcome(w, "pod")->terminated);
    // Beyond what is shared, all of them end.
    launch(w, &(struct order){.id = "pod.greedy", .shell = "exec " HOG " 300"});
    wait_terminated(w, "pod");
    assert_true(world_outcome(w, "pod")->has_reason);
    assert_int_equal(world_outcome(w, "pod")->reason, OUT_OF_MEMORY);
    end(w);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        BOTH(test_lives_in_the_sandbox_of_its_parent),
        BOTH(test_refusals),
        BOTH(test_ends_with_its_parent),
        BOTH(test_signals),
        BOTH(test_links),
        BOTH(test_user),
        BOTH(test_session_has_its_parents_surroundings),
        BOTH(test_input_that_waits),
        BOTH(test_recovered),
        BOTH(test_cut_short),
        BOTH(test_orphans_are_destroyed),
        BOTH(test_own_memory_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
