// SPDX-License-Identifier: Apache-2.0
//
// The loop: the turn's end, timers, signals, child processes, the log's files.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "env/env.h"

static struct env *env;

static int setup(void **state)
{
    (void)state;
    struct error err;
    return env_new(&env, &err);
}

static int teardown(void **state)
{
    (void)state;
    env = env_free(env);
    return 0;
}

// ---- hooks and timers ----

static char trace[256];

static void note(const char *text)
{
    strncat(trace, text, sizeof(trace) - strlen(trace) - 1);
}

static struct env_hook first, second;
static struct env_hook work;
static unsigned pieces;
static struct timer early, late, stopper;

static void run_first(struct env_hook *hook, struct instant now)
{
    (void)hook;
    assert_int_equal(now.mono, env_now(env).mono);
    note("first ");
    env_at_turn_end(env, &second);
}

// A piece of work that is longer than any turn's part for it.
static void run_piece(struct env_hook *hook, struct instant now)
{
    (void)now;
    pieces++;
    int64_t end = env_refresh_now(env).mono + NS_PER_MS;
    while (env_refresh_now(env).mono < end) {
    }
    env_in_background(env, hook);
}

static void turn(void)
{
    uv_run(env_loop(env), UV_RUN_NOWAIT);
}

static void test_background(void **state)
{
    (void)state;
    work.run = run_piece;
    list_init(&work.link);
    pieces = 0;
    env_in_background(env, &work);
    for (unsigned i = 1; i <= 3; i++) {
        turn();
        assert_int_equal(pieces, i);
    }
    // It lets who is new go first, but not always.
    env_defer_background(env);
    turn();
    assert_int_equal(pieces, 3);
    env_defer_background(env);
    turn();
    assert_int_equal(pieces, 4);
    env_defer_background(env);
    turn();
    assert_int_equal(pieces, 4);
    turn();
    assert_int_equal(pieces, 5);
    env_hook_cancel(&work);
    turn();
    assert_int_equal(pieces, 5);
}

static void run_second(struct env_hook *hook, struct instant now)
{
    (void)hook;
    (void)now;
    note("second ");
}

static void run_early(struct timer *timer, struct instant now)
{
    assert_true(now.mono >= timer->deadline);
    note("early ");
    env_timer_set(env, &late, 10 * NS_PER_MS);
    env_at_turn_end(env, &first);
    env_at_turn_end(env, &first);
}

static void run_late(struct timer *timer, struct instant now)
{
    (void)timer;
    (void)now;
    note("late ");
    env_timer_set(env, &stopper, 10 * NS_PER_MS);
}

static void run_stopper(struct timer *timer, struct instant now)
{
    (void)timer;
    (void)now;
    note("stop ");
    env_at_turn_end(env, &second);
    env_stop(env, 7);
}

static void test_turn(void **state)
{
    (void)state;
    trace[0] = '\0';
    list_init(&first.link);
    list_init(&second.link);
    first.run = run_first;
    second.run = run_second;
    early.run = run_early;
    late.run = run_late;
    stopper.run = run_stopper;
    // Each sets the next, so that a busy machine cannot let two fall into one turn.
    env_timer_set(env, &early, 10 * NS_PER_MS);
    struct timer never = {.run = run_late};
    env_timer_set(env, &never, 15 * NS_PER_MS);
    env_timer_cancel(env, &never);
    int64_t begin = env_refresh_now(env).mono;
    assert_int_equal(env_run(env), 7);
    int64_t took = env_refresh_now(env).mono - begin;
    assert_string_equal(trace, "early first second late stop second ");
    assert_in_range(took, 29 * NS_PER_MS, 2000 * NS_PER_MS);
    env_at_turn_end(env, &first);
    env_hook_cancel(&first);
}

static void run_signal(void *ctx, int number)
{
    assert_int_equal(number, SIGUSR1);
    *(int *)ctx += 1;
    env_stop(env, 0);
}

static void test_signal(void **state)
{
    (void)state;
    int count = 0;
    env_on_signal(env, SIGUSR1, run_signal, &count);
    raise(SIGUSR1);
    env_run(env);
    assert_int_equal(count, 1);
}

static void test_random(void **state)
{
    (void)state;
    assert_int_not_equal(env_random_u64(), env_random_u64());
}

// ---- children ----

static pid_t exited_pid;
static int exited_status;
static unsigned exits;
static unsigned exits_awaited;

static void on_exit_run(void *ctx, pid_t pid, int status)
{
    (void)ctx;
    exited_pid = pid;
    exited_status = status;
    if (++exits == exits_awaited) {
        env_stop(env, 0);
    }
}

static void await_exits(unsigned count)
{
    exits_awaited = count;
    if (exits < count) {
        env_run(env);
    }
    exits = 0;
}

// Runs a shell script with its output in a pipe, and returns what it printed.
static const char *shell(const char *script, struct env_spawn order, int *ret_status)
{
    static char output[65536];
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
    int default_fds[] = {-1, fds[1], fds[1]};
    order.file = "/bin/sh";
    order.arguments = arguments;
    if (order.fds == NULL) {
        order.fds = default_fds;
        order.fd_count = 3;
    } else {
        assert_int_equal(dup2(fds[1], 150), 150);
    }
    struct error err;
    pid_t pid;
    if (env_spawn(env, &order, on_exit_run, NULL, &pid, NULL, &err) < 0) {
        fail_msg("%s", err.text);
    }
    close(fds[1]);
    close(150);
    size_t size = 0;
    ssize_t n;
    while ((n = read(fds[0], output + size, sizeof(output) - 1 - size)) > 0) {
        size += (size_t)n;
    }
    output[size] = '\0';
    close(fds[0]);
    assert_int_equal(exits, 0);
    await_exits(1);
    assert_int_equal(exited_pid, pid);
    *ret_status = exited_status;
    return output;
}

static void test_spawn(void **state)
{
    (void)state;
    int status;
    struct env_spawn order = {0};
    assert_string_equal(shell("echo hello; exit 3", order, &status), "hello\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    shell("kill -9 $$", order, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    order.directory = "/usr";
    assert_string_equal(shell("pwd", order, &status), "/usr\n");
    order.directory = NULL;
    char *const environment[] = {(char *)"A=b c", NULL};
    order.environment = environment;
    assert_string_equal(shell("echo $A:$HOME", order, &status), "b c:\n");
    order.environment = NULL;
    order.new_session = true;
    assert_string_equal(shell("read -r pid n s ppid group session rest </proc/self/stat;"
                              "test $session = $$ && echo own",
                              order, &status),
                        "own\n");
}

// Nothing is inherited but what was named; neither are blocked or ignored signals.
static void test_spawn_is_clean(void **state)
{
    (void)state;
    int status;
    struct env_spawn order = {0};
    int leak = dup2(0, 77);
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGHUP, SIG_IGN);
    const char *output = shell("ls /proc/$$/fd | tr '\\n' ' ';"
                               "exec grep -E '^Sig(Blk|Ign)' /proc/self/status",
                               order, &status);
    signal(SIGHUP, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(leak);
    // dash itself catches no signal for a script, but may hold one descriptor of its own above 9.
    assert_true(strncmp(output, "0 1 2 ", 6) == 0);
    assert_null(strstr(output, "77"));
    assert_non_null(strstr(output, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(output, "SigIgn:\t0000000000000000"));
}

// The first version 2 tree's mount point, or NULL.
static const char *find_cgroup_tree(void)
{
    static char mount[256];
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[1024], type[32];
    bool found = false;
    while (mounts != NULL && !found && fgets(line, sizeof(line), mounts) != NULL) {
        found = sscanf(line, "%*s %255s %31s", mount, type) == 2 && strcmp(type, "cgroup2") == 0;
    }
    if (mounts != NULL) {
        fclose(mounts);
    }
    return found ? mount : NULL;
}

// The child begins in its cgroup: its first look finds it there. A directory that is no cgroup is
// an error of the spawn.
static void test_spawn_into_cgroup(void **state)
{
    (void)state;
    const char *tree = find_cgroup_tree();
    char path[512];
    snprintf(path, sizeof(path), "%s/meseta-test-env-%d", tree != NULL ? tree : "", (int)getpid());
    if (tree == NULL || !env_can_spawn_into_cgroup() || mkdir(path, 0755) < 0) {
        skip();
    }
    struct env_spawn order = {.cgroup_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    assert_true(order.cgroup_fd > 0);
    int status;
    const char *output = shell("exec cat /proc/self/cgroup", order, &status);
    close(order.cgroup_fd);
    assert_int_equal(rmdir(path), 0);
    assert_non_null(strstr(output, path + strlen(tree)));

    struct error err = {0};
    char *const arguments[] = {(char *)"true", NULL};
    order.cgroup_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    order.file = "/bin/true";
    order.arguments = arguments;
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), -EBADF);
    assert_string_equal(err.text, "cannot start a process for /bin/true: Bad file descriptor");
    close(order.cgroup_fd);
}

static void write_file(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    lseek(fd, 0, SEEK_SET);
}

// Sources that lie where others are to go: 4 and 5 swap places, 0 is shared, 3 is /dev/null.
static void test_spawn_descriptors(void **state)
{
    (void)state;
    char a[] = "/tmp/meseta-env-XXXXXX", b[] = "/tmp/meseta-env-XXXXXX";
    int fa = mkstemp(a), fb = mkstemp(b);
    unlink(a);
    unlink(b);
    write_file(fa, "A\n");
    write_file(fb, "B\n");
    int keep4 = fcntl(4, F_DUPFD_CLOEXEC, 100), keep5 = fcntl(5, F_DUPFD_CLOEXEC, 100);
    int at4 = fcntl(fa, F_DUPFD_CLOEXEC, 100), at5 = fcntl(fb, F_DUPFD_CLOEXEC, 100);
    close(fa);
    close(fb);
    assert_int_equal(dup2(at4, 4), 4);
    assert_int_equal(dup2(at5, 5), 5);
    close(at4);
    close(at5);
    struct env_spawn order = {0};
    int fds[] = {-1, 150, 150, -1, 5, 4, 6};
    int six = fcntl(6, F_GETFD) < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    order.fds = fds;
    order.fd_count = fcntl(6, F_GETFD) < 0 ? 6 : 7;
    int status;
    const char *output =
        shell("cat <&4; cat <&5; readlink /proc/$$/fd/3; readlink /proc/$$/fd/0", order, &status);
    assert_string_equal(output, "B\nA\n/dev/null\n/dev/null\n");
    if (six >= 0) {
        close(six);
    }
    dup2(keep4, 4);
    dup2(keep5, 5);
    close(keep4);
    close(keep5);
}

static void test_spawn_failures(void **state)
{
    (void)state;
    struct error err;
    char *const arguments[] = {(char *)"x", NULL};
    struct env_spawn order = {.file = "/nonexistent/x", .arguments = arguments};
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), -ENOENT);
    assert_string_equal(err.text, "cannot run /nonexistent/x: exec: No such file or directory");
    order.file = "/bin/true";
    order.directory = "/nonexistent";
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), -ENOENT);
    assert_string_equal(err.text, "cannot run /bin/true: chdir: No such file or directory");
    int fds[] = {999};
    order.directory = NULL;
    order.fds = fds;
    order.fd_count = 1;
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), -EBADF);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // nobody was left behind
    assert_int_equal(errno, ECHILD);
}

static void test_many_children(void **state)
{
    (void)state;
    char *const arguments[] = {(char *)"true", NULL};
    struct env_spawn order = {.file = "/bin/true", .arguments = arguments};
    for (int i = 0; i < 200; i++) {
        struct error err;
        assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), 0);
    }
    await_exits(200);
    assert_int_equal(exited_status, 0);
}

static void test_detach(void **state)
{
    (void)state;
    char *const arguments[] = {(char *)"true", NULL};
    struct env_spawn order = {.file = "/bin/true", .arguments = arguments};
    struct error err;
    struct env_child *child;
    pid_t pid;
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, &pid, &child, &err), 0);
    env_child_detach(child);
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, NULL, NULL, &err), 0);
    await_exits(1);
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++) {
        uv_run(env_loop(env), UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(kill(pid, 0), -1);
    // One that still runs when the loop goes is left alone.
    char *const sleep_arguments[] = {(char *)"sleep", (char *)"10", NULL};
    order.file = "/bin/sleep";
    order.arguments = sleep_arguments;
    assert_int_equal(env_spawn(env, &order, on_exit_run, NULL, &pid, NULL, &err), 0);
    env = env_free(env);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(env_new(&env, &err), 0);
}

static void test_discover_ip(void **state)
{
    (void)state;
    struct error err;
    char *ip AUTO_FREE = NULL;
    assert_int_equal(env_discover_ip(NULL, &ip, &err), 0);
    assert_null(ip);
    assert_int_equal(env_discover_ip("echo ' 10.1.2.3'; echo", &ip, &err), 0);
    assert_string_equal(ip, "10.1.2.3");
    static const char *const bad[] = {"false",      "true",    "echo ::1",
                                      "echo 1.2.3", "kill $$", "yes 10.1.2.3"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_true(env_discover_ip(bad[i], &ip, &err) < 0);
        assert_non_null(strstr(err.text, "--ip_discovery_command '"));
    }
    assert_string_equal(ip, "10.1.2.3");
}

// ---- the log ----

// One object a line; files that were moved away are made anew.
static void test_log_json(void **state)
{
    (void)state;
    char directory[] = "/tmp/meseta-env-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct error err;
    assert_int_equal(env_log_set_format("xml", &err), -EINVAL);
    assert_string_equal(err.text, "'xml' is not a log format (text, json)");
    assert_int_equal(env_log_set_format("json", &err), 0);
    assert_int_equal(env_log_open("prog", directory, true, "INFO", &err), 0);
    static const struct {
        const char *text;
        const char *expected;
    } lines[] = {
        {"plain", "plain"},
        {"a \"quoted\" \\ one", "a \\\"quoted\\\" \\\\ one"},
        {"line\nend \x01\x7f", "line\\u000aend \\u0001\\u007f"},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        // No UTF-8: a stray byte, one that is too long, half of a pair, a cut one.
        {"\x80 \xc0\xaf \xed\xa0\x80 \xe2\x82",
         "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
         "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    char path[256], moved[256];
    snprintf(path, sizeof(path), "%s/prog.INFO", directory);
    snprintf(moved, sizeof(moved), "%s/moved", directory);
    char real[PATH_MAX];
    assert_non_null(realpath(path, real));
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        log_info("%s", lines[i].text);
        assert_int_equal(rename(real, moved), 0);
        env_log_reopen();
        char *text;
        size_t size;
        assert_int_equal(file_read(moved, 10000, &text, &size, &err), 0);
        assert_int_equal(strncmp(text, "{\"time\":\"2", 10), 0);
        char *expected AUTO_FREE = mem_printf(",\"message\":\"%s\"}\n", lines[i].expected);
        assert_true(text_ends_with(text, expected));
        assert_non_null(strstr(text, "\",\"level\":\"INFO\",\"thread\":"));
        mem_free(text);
    }
    env_log_close();
    assert_int_equal(env_log_set_format(NULL, &err), 0);
    char *remove AUTO_FREE = mem_printf("rm -r %s", directory);
    assert_int_equal(system(remove), 0);
}

// Files may grow to `size` bytes and no further, as on a disk that is full; 0: without bounds.
static void bound_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// What the file says behind "] " or "message":" of each line, one after the other.
static void read_messages(const char *path, const char *mark, char *out, size_t out_size)
{
    char *text AUTO_FREE = NULL;
    size_t size;
    assert_int_equal(file_read(path, 10000, &text, &size, NULL), 0);
    out[0] = '\0';
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        const char *message = strstr(line, mark);
        strncat(out, message == NULL ? line : message + strlen(mark), out_size - strlen(out) - 1);
        strncat(out, "|", out_size - strlen(out) - 1);
    }
}

// Lines that the disk has no room for are counted in their place; a line that was cut off stays one
// of its own.
static void test_log_loss(void **state)
{
    (void)state;
    struct error err;
    void (*former)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int is_json = 0; is_json < 2; is_json++) {
        const char *mark = is_json ? "\"message\":\"" : "] ";
        char directory[] = "/tmp/meseta-env-XXXXXX", path[256], text[1000];
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/prog.WARNING", directory);
        assert_int_equal(env_log_set_format(is_json ? "json" : "text", &err), 0);
        assert_int_equal(env_log_open("prog", directory, true, "INFO", &err), 0);
        log_warning("whole");
        struct stat before;
        assert_int_equal(stat(path, &before), 0);
        bound_files((rlim_t)before.st_size + 5);
        log_warning("cut");
        log_error("lost");
        log_info("not for this file");
        bound_files(0);
        log_warning("again");
        bound_files((rlim_t)before.st_size);
        log_warning("lost");
        bound_files(0);
        log_warning("well");
        read_messages(path, mark, text, sizeof(text));
        const char *end = is_json ? "\"}" : "";
        char *expected AUTO_FREE =
            mem_printf("whole%s|%s|2 log lines could not be written here: File too large%s|again%s|"
                       "1 log line could not be written here: File too large%s|well%s||",
                       end, is_json ? "{\"tim" : "W", end, end, end, end);
        if (!is_json) { // the cut line begins with today's date
            char *cut = strchr(text, '|');
            assert_non_null(cut);
            memmove(cut + 2, cut + 6, strlen(cut + 6) + 1);
        }
        assert_string_equal(text, expected);
        env_log_close();
        char *remove AUTO_FREE = mem_printf("rm -r %s", directory);
        assert_int_equal(system(remove), 0);
    }
    assert_int_equal(env_log_set_format(NULL, &err), 0);
    signal(SIGXFSZ, former);
}

static void test_log_files(void **state)
{
    (void)state;
    char directory[] = "/tmp/meseta-env-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct error err;
    assert_int_equal(env_log_open("prog", directory, true, "VERBOSE", &err), -EINVAL);
    assert_int_equal(env_log_open("prog", directory, true, "INFO", &err), 0);
    log_info("one %d", 1);
    log_warning("two");
    log_error("three");
    env_log_close();
    static const struct {
        const char *name;
        int lines;
        char first;
    } files[] = {{"prog.INFO", 3, 'I'}, {"prog.WARNING", 2, 'W'}, {"prog.ERROR", 1, 'E'}};
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", directory, files[i].name);
        char *text;
        size_t size;
        assert_int_equal(file_read(path, 10000, &text, &size, &err), 0);
        int lines = 0;
        for (const char *c = text; *c != '\0'; c++) {
            lines += *c == '\n';
        }
        assert_int_equal(lines, files[i].lines);
        assert_int_equal(text[0], files[i].first);
        int month_day, hour, minute, seconds, thread, line;
        long micro;
        char file[64];
        assert_int_equal(sscanf(text + 1, "%4d %2d:%2d:%2d.%6ld %d %63[^:]:%d]", &month_day, &hour,
                                &minute, &seconds, &micro, &thread, file, &line),
                         8);
        assert_string_equal(file, "test_env.c");
        assert_int_equal(thread, getpid());
        mem_free(text);
    }
    assert_int_equal(path_remove_tree(directory, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_background, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn_is_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn_into_cgroup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_children, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
        cmocka_unit_test(test_discover_ip),
        cmocka_unit_test(test_log_loss),
        cmocka_unit_test(test_log_files),
        cmocka_unit_test(test_log_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
