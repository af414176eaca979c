// SPDX-License-Identifier: Apache-2.0
//
// Real containers on this machine: how they begin and end, what goes wrong around them, and agents
// that come and go. Each test runs with sessions and with cgroups, of whichever version is found;
// a second run in user-mode Linux covers both versions.

#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define LAUNCH_FAILED MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED

static void test_exit_codes(void **state)
{
    BEGIN(state);
    struct outcome *o =
        world_run(w, &(struct order){.id = "zero", .shell = "echo out; echo err >&2"});
    assert_true(o->launched && o->has_status && !o->has_reason);
    assert_int_equal(o->status, 0);
    assert_string_equal(world_file(w, "zero", "stdout"), "out\n");
    assert_string_equal(world_file(w, "zero", "stderr"), "err\n");
    o = world_run(w, &(struct order){.id = "seven", .shell = "exit 7"});
    assert_true(WIFEXITED(o->status));
    assert_int_equal(WEXITSTATUS(o->status), 7);
    o = world_run(w, &(struct order){.id = "signal", .shell = "kill -USR1 $$"});
    assert_true(WIFSIGNALED(o->status));
    assert_int_equal(WTERMSIG(o->status), SIGUSR1);
    world_end(w);
}

static void test_surroundings(void **state)
{
    BEGIN(state);
    world_run(w, &(struct order){
                     .id = "around",
                     .shell = "pwd; echo $MARK; ls /proc/self/fd | wc -l; ps -o sid= -p $$ | tr -d "
                              "' ' ; echo $$; umask; grep -E '^Sig(Blk|Ign)' /proc/self/status"});
    const char *want = arena_printf(w->arena, "%s\n%s\n4\n", world_sandbox(w, "around"), w->root);
    const char *got = world_file(w, "around", "stdout");
    assert_true(text_starts_with(got, want));
    int sid, pid;
    char rest[256];
    assert_int_equal(sscanf(got + strlen(want), "%d\n%d\n%255[^~]", &sid, &pid, rest), 3);
    assert_int_equal(sid, pid);
    assert_string_equal(rest, "0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    struct stat info;
    assert_int_equal(stat(world_sandbox(w, "around"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0750);
    world_end(w);
}

static void test_arguments(void **state)
{
    BEGIN(state);
    static const char *const hello[] = {"printf", "%s|", "a b", "$HOME", "", NULL};
    struct outcome *o = world_run(w, &(struct order){.id = "plain", .arguments = hello});
    assert_int_equal(o->status, 0);
    assert_string_equal(world_file(w, "plain", "stdout"), "a b|$HOME||");
    world_end(w);
}

static void test_bad_commands(void **state)
{
    BEGIN(state);
    static const char *const missing[] = {"/no/such/file", NULL};
    struct outcome *o = world_run(w, &(struct order){.id = "missing", .arguments = missing});
    assert_false(o->launched);
    assert_false(o->has_status);
    assert_true(o->has_reason);
    assert_int_equal(o->reason, LAUNCH_FAILED);
    assert_string_equal(o->message, "Failed to launch container: Failed to execute "
                                    "'/no/such/file': No such file or directory");
    static const char *const directory[] = {"/tmp", NULL};
    o = world_run(w, &(struct order){.id = "directory", .arguments = directory});
    assert_int_equal(o->reason, LAUNCH_FAILED);
    o = world_run(w, &(struct order){.id = "nobody-there", .shell = "true", .user = "nosuchuser"});
    assert_int_equal(o->reason, LAUNCH_FAILED);
    assert_string_equal(o->message, "Failed to launch container: No such user 'nosuchuser'");
    // A shell that finds no such command did run.
    o = world_run(w, &(struct order){.id = "shell", .shell = "nosuchcommand"});
    assert_true(o->launched);
    assert_int_equal(WEXITSTATUS(o->status), 127);
    world_end(w);
}

// How the program is found: as execvp(3) does.
static void test_look_up(void **state)
{
    BEGIN(state);
    static const char *const nowhere[] = {"nosuchcommand", NULL};
    struct outcome *o = world_run(w, &(struct order){.id = "nowhere", .arguments = nowhere});
    assert_string_equal(o->message, "Failed to launch container: Failed to execute "
                                    "'nosuchcommand': No such file or directory");
    static const char *const empty[] = {"", NULL};
    o = world_run(w, &(struct order){.id = "empty", .arguments = empty});
    assert_string_equal(o->message, "Failed to launch container: Failed to execute "
                                    "'': No such file or directory");
    // A script that names no interpreter is the shell's, once it may be executed.
    static const char text[] = "echo \"$#:$1:$2\"\n";
    const char *script = arena_printf(w->arena, "%s/script", w->directory);
    assert_int_equal(file_write(script, text, sizeof(text) - 1, NULL), 0);
    const char *const arguments[] = {script, "a b", "", NULL};
    assert_int_equal(chmod(script, 0644), 0);
    o = world_run(w, &(struct order){.id = "refused", .arguments = arguments});
    assert_string_equal(o->message, arena_printf(w->arena,
                                                 "Failed to launch container: Failed to execute "
                                                 "'%s': Permission denied",
                                                 script));
    assert_int_equal(chmod(script, 0755), 0);
    o = world_run(w, &(struct order){.id = "script", .arguments = arguments});
    assert_int_equal(o->status, 0);
    assert_string_equal(world_file(w, "script", "stdout"), "2:a b:\n");
    assert_int_equal(unlink(script), 0);
    world_end(w);
}

static void test_refusals(void **state)
{
    BEGIN(state);
    assert_int_equal(world_launch(w, &(struct order){.id = "a/b", .shell = "true"}), -EINVAL);
    assert_int_equal(world_launch(w, &(struct order){.id = "..", .shell = "true"}), -EINVAL);
    assert_int_equal(world_launch(w, &(struct order){.id = "twice", .shell = "sleep 0.05"}), 0);
    assert_int_equal(world_launch(w, &(struct order){.id = "twice", .shell = "true"}), -EEXIST);
    containerizer_destroy(w->c, "unknown");
    assert_int_equal(containerizer_update(w->c, "unknown", NULL, &(struct hard_limits){0}, NULL),
                     -ENOENT);
    world_wait_all(w);
    world_end(w);
}

static void test_user(void **state)
{
    BEGIN(state);
    if (geteuid() != 0) {
        world_end(w);
        skip();
    }
    struct outcome *o = world_run(
        w,
        &(struct order){
            .id = "user",
            .user = "nobody",
            .shell = "id -un; id -gn; id -G | wc -w; touch mine && echo done; kill -0 1 || true; "
                     "cat /etc/shadow"});
    assert_true(WIFEXITED(o->status));
    assert_int_equal(WEXITSTATUS(o->status), 1);
    assert_string_equal(world_file(w, "user", "stdout"), "nobody\nnogroup\n1\ndone\n");
    struct stat info;
    assert_int_equal(stat(world_sandbox(w, "user"), &info), 0);
    assert_int_equal(info.st_uid, 65534);
    world_end(w);
}

static void test_destroy(void **state)
{
    BEGIN(state);
    world_launch(w, &(struct order){.id = "sleeper", .shell = "sleep 1000 & sleep 1000"});
    world_wait_launched(w, 1);
    containerizer_destroy(w->c, "sleeper");
    containerizer_destroy(w->c, "sleeper");
    world_wait_all(w);
    struct outcome *o = world_outcome(w, "sleeper");
    assert_true(o->has_status && WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGKILL);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

static void test_destroy_at_once(void **state)
{
    BEGIN(state);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "early-%d", i);
        world_launch(w, &(struct order){.id = id, .shell = "sleep 1000"});
        if (i % 2 == 0) {
            world_sleep(w, i * NS_PER_MS / 2);
        }
        containerizer_destroy(w->c, id);
    }
    world_wait_all(w);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

// What the first process leaves behind dies with it.
static void test_leftovers(void **state)
{
    BEGIN(state);
    struct outcome *o =
        world_run(w, &(struct order){.id = "left", .shell = "sleep 1000 & sleep 1000 & exit 3"});
    assert_int_equal(WEXITSTATUS(o->status), 3);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

// Sessions of their own, whose parents live: both launchers find them.
static void test_own_sessions(void **state)
{
    BEGIN(state);
    world_launch(w,
                 &(struct order){
                     .id = "sessions",
                     .shell = "setsid sh -c 'sleep 1000 & sleep 1000' & setsid sleep 1000 & wait"});
    world_wait_launched(w, 1);
    for (int tries = 0; tries < 100 && world_count_processes(w) < 5; tries++) {
        world_sleep(w, 20 * NS_PER_MS);
    }
    assert_int_equal(world_count_processes(w), 5);
    containerizer_destroy(w->c, "sessions");
    world_wait_all(w);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

// Double fork and setsid: found by cgroups, or by their environment.
static void test_escape(void **state)
{
    BEGIN(state);
    world_run(w, &(struct order){.id = "escape",
                                 .shell = "(setsid sh -c '(setsid sleep 1000 &) & sleep 1000' &) & "
                                          "sleep 0.1; exit 0"});
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

// Neither its tree nor its environment tells: this needs cgroups.
static void test_escape_without_environment(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    world_run(w, &(struct order){
                     .id = "bare",
                     .shell = "(setsid env -u MESOS_SANDBOX sh -c '(setsid sleep 1000 &) & sleep "
                              "1000' &) & sleep 0.1; exit 0"});
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

static void test_fork_storm(void **state)
{
    BEGIN(state);
    // Each one starts the next and ends: there is never a moment at which all can be listed.
    const char *storm = "i=0; while [ $i -lt 8 ]; do (while :; do sh -c : & wait; done) & "
                        "i=$((i+1)); done; wait";
    world_launch(w, &(struct order){.id = "storm", .shell = storm});
    world_wait_launched(w, 1);
    size_t most = 0;
    for (int tries = 0; tries < 100 && most <= 8; tries++) {
        world_sleep(w, 50 * NS_PER_MS);
        size_t count = world_count_processes(w);
        most = count > most ? count : most;
    }
    assert_true(most > 8);
    containerizer_destroy(w->c, "storm");
    world_wait_all(w);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

static void test_many_at_once(void **state)
{
    BEGIN(state);
    enum { MANY = 200 };
    for (int i = 0; i < MANY; i++) {
        char id[16], shell[32];
        snprintf(id, sizeof(id), "many-%d", i);
        snprintf(shell, sizeof(shell), "exit %d", i % 100);
        assert_int_equal(world_launch(w, &(struct order){.id = id, .shell = shell}), 0);
    }
    world_wait_all(w);
    for (int i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof(id), "many-%d", i);
        struct outcome *o = world_outcome(w, id);
        assert_true(o->launched && o->has_status && WIFEXITED(o->status));
        assert_int_equal(WEXITSTATUS(o->status), i % 100);
    }
    world_end(w);
}

// ---- what goes wrong around it ----

// Two agents share a root; what a dead one left is destroyed when no other is alive.
static void test_orphans(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    world_launch(w, &(struct order){.id = "mine", .shell = "exec sleep 1000"});
    world_wait_launched(w, 1);
    struct containerizer *second;
    struct containerizer_callbacks callbacks = {0};
    struct error err = {0};
    assert_int_equal(containerizer_new(w->env, &w->options, &callbacks, NULL, &second, &err), 0);
    world_sleep(w, 100 * NS_PER_MS);
    assert_int_equal(world_count_processes(w), 1);
    containerizer_free(second);
    containerizer_destroy(w->c, "mine");
    world_wait_all(w);
    // Directories as a dead agent leaves them, one with a process and a group of its own inside.
    w->c = containerizer_free(w->c);
    pid_t stray = world_make_orphan(w, "orphan");
    assert_int_equal(containerizer_new(w->env, &w->options, &callbacks, NULL, &w->c, &err), 0);
    world_sleep(w, 500 * NS_PER_MS);
    int status;
    assert_int_equal(waitpid(stray, &status, WNOHANG), stray);
    assert_true(WIFSIGNALED(status));
    world_end(w);
}

static void go(struct world *w)
{
    const char *path = arena_printf(w->arena, "%s/go", world_sandbox(w, "ends"));
    assert_int_equal(file_write(path, "", 0, NULL), 0);
    usleep(300 * 1000);
}

static void test_recover(void **state)
{
    BEGIN(state);
    static const char waiting[] = "until [ -e go ]; do sleep 0.02; done; sleep 1000 & exit 7";
    world_launch(w, &(struct order){.id = "runs", .shell = "sleep 1000", .outlives_agent = true});
    world_launch(w, &(struct order){.id = "ends", .shell = waiting, .outlives_agent = true});
    world_wait_launched(w, 2);
    pid_t pid = world_outcome(w, "runs")->pid;
    // Both go on, twice.
    static const char *const both[] = {"runs", "ends"};
    for (int i = 0; i < 2; i++) {
        world_restart(w, both, 2, NULL);
        world_wait_launched(w, 2);
        assert_int_equal(world_outcome(w, "runs")->pid, pid);
    }
    // One ends while nobody looks; one was never started.
    static const char *const all[] = {"runs", "ends", "never"};
    world_restart(w, all, 3, go);
    for (int i = 0; i < 200 && w->terminated < 2; i++) {
        world_sleep(w, 50 * NS_PER_MS);
    }
    struct outcome *o = world_outcome(w, "ends");
    assert_true(o->terminated && o->has_status && !o->has_reason);
    assert_int_equal(WEXITSTATUS(o->status), 7);
    o = world_outcome(w, "never");
    assert_true(o->terminated && !o->has_status);
    assert_non_null(strstr(o->message, "unknown container"));
    assert_false(world_outcome(w, "runs")->terminated);
    containerizer_destroy(w->c, "runs");
    world_wait_all(w);
    assert_int_equal(world_count_processes(w), 0);
    world_end(w);
}

static void test_recovered_exit(void **state)
{
    BEGIN(state);
    world_launch(w, &(struct order){.id = "ends",
                                    .shell = "until [ -e go ]; do sleep 0.02; done; kill -9 $$",
                                    .outlives_agent = true});
    world_wait_launched(w, 1);
    static const char *const ids[] = {"ends"};
    world_restart(w, ids, 1, NULL);
    world_wait_launched(w, 1);
    go(w);
    world_wait_all(w);
    struct outcome *o = world_outcome(w, "ends");
    assert_true(o->has_status && WIFSIGNALED(o->status));
    assert_int_equal(WTERMSIG(o->status), SIGKILL);
    world_end(w);
}

static void test_recover_orphan(void **state)
{
    BEGIN(state);
    world_launch(w, &(struct order){.id = "o", .shell = "sleep 1000", .outlives_agent = true});
    world_wait_launched(w, 1);
    assert_true(world_count_processes(w) > 0);
    world_restart(w, NULL, 0, NULL);
    for (int i = 0; i < 200 && world_count_processes(w) > 0; i++) {
        world_sleep(w, 50 * NS_PER_MS);
    }
    assert_int_equal(world_count_processes(w), 0);
    const char *path = arena_printf(w->arena, "%s/containers/o", w->directory);
    assert_int_equal(access(path, F_OK), -1);
    world_end(w);
}

// An agent that ends leaves the root to another one that is idle.
static void test_shared_root(void **state)
{
    BEGIN(state);
    struct containerizer *second;
    struct containerizer_callbacks callbacks = {0};
    struct error err = {0};
    assert_int_equal(containerizer_new(w->env, &w->options, &callbacks, NULL, &second, &err), 0);
    containerizer_free(second);
    struct outcome *o = world_run(w, &(struct order){.id = "after", .shell = "exit 5"});
    assert_true(o->has_status && !o->has_reason);
    assert_int_equal(WEXITSTATUS(o->status), 5);
    world_end(w);
}

static void test_full_disk(void **state)
{
    BEGIN(state);
    const char *mount_point = arena_printf(w->arena, "%s/work", w->directory);
    assert_int_equal(mkdir(mount_point, 0755), 0);
    if (geteuid() != 0 || mount("none", mount_point, "tmpfs", 0, "size=64k,nr_inodes=6") != 0) {
        world_end(w);
        skip();
    }
    // Room for the sandboxes' parent and one sandbox with its two files.
    struct outcome *o = world_run(w, &(struct order){.id = "first", .shell = "true"});
    assert_int_equal(o->status, 0);
    o = world_run(w, &(struct order){.id = "second", .shell = "true"});
    assert_true(o->has_reason && !o->has_status);
    assert_int_equal(o->reason, LAUNCH_FAILED);
    assert_true(text_starts_with(o->message, "Failed to launch container: Failed to create"));
    assert_true(text_ends_with(o->message, "No space left on device"));
    assert_int_equal(umount(mount_point), 0);
    o = world_run(w, &(struct order){.id = "third", .shell = "true"});
    assert_int_equal(o->status, 0);
    world_end(w);
}

static void test_bad_options(void **state)
{
    const struct setting *setting = *state;
    struct world *w = world_begin(setting);
    if (w == NULL) {
        skip();
    }
    static const struct {
        const char *launcher, *isolation, *root, *text;
    } rows[] = {
        {"docker", "", "mesos", "Unknown or unsupported launcher: docker"},
        {"posix", "cgroups/nonsense", "mesos",
         "Unknown or unsupported isolator 'cgroups/nonsense'"},
        {"linux", "", "../mesos", "Invalid cgroups root '../mesos'"},
    };
    struct containerizer_callbacks callbacks = {0};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].launcher, "linux") == 0 && geteuid() != 0) {
            continue;
        }
        struct containerizer_options options = w->options;
        options.launcher = rows[i].launcher;
        options.isolation = rows[i].isolation;
        options.cgroups_root = rows[i].root;
        struct containerizer *c = NULL;
        struct error err = {0};
        assert_true(containerizer_new(w->env, &options, &callbacks, NULL, &c, &err) < 0);
        assert_string_equal(err.text, rows[i].text);
    }
    struct containerizer_options options = w->options;
    options.launcher_dir = "/tmp";
    struct containerizer *c = NULL;
    struct error err = {0};
    assert_true(containerizer_new(w->env, &options, &callbacks, NULL, &c, &err) < 0);
    assert_string_equal(err.text, "Failed to find the helper '/tmp/mesos-containerizer': No such "
                                  "file or directory");
    world_end(w);
}

// ---- the agent's own end ----

static void test_free_kills(void **state)
{
    BEGIN(state);
    world_launch(w, &(struct order){.id = "one", .shell = "sleep 1000 & sleep 1000"});
    world_launch(w, &(struct order){.id = "two", .shell = "setsid sleep 1000 & sleep 1000"});
    world_wait_launched(w, 2);
    world_launch(w, &(struct order){.id = "queued", .shell = "sleep 1000"});
    world_end(w);
}

// An argument names the tests to run: "test_user*".
int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        BOTH(test_exit_codes),
        BOTH(test_surroundings),
        BOTH(test_arguments),
        BOTH(test_bad_commands),
        BOTH(test_refusals),
        BOTH(test_user),
        BOTH(test_look_up),
        BOTH(test_destroy),
        BOTH(test_destroy_at_once),
        BOTH(test_leftovers),
        BOTH(test_own_sessions),
        BOTH(test_escape),
        BOTH(test_escape_without_environment),
        BOTH(test_fork_storm),
        BOTH(test_many_at_once),
        BOTH(test_free_kills),
        BOTH(test_orphans),
        BOTH(test_shared_root),
        BOTH(test_full_disk),
        BOTH(test_bad_options),
        BOTH(test_recover),
        BOTH(test_recovered_exit),
        BOTH(test_recover_orphan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
