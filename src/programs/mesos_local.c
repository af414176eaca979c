// SPDX-License-Identifier: Apache-2.0
//
// mesos-local: a master and its agents in one command, for development. It starts the programs that
// lie beside it, each with a log of its own, waits until the agents have registered, and ends all
// of them with itself: they get a signal when it dies, and it adopts what they leave behind.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/flags.h"
#include "base/mem.h"
#include "env/env.h"
#include "local_flags.h"
#include "local_process.h"
#include "net/http_client.h"
#include "task_process.h"

#define POLL_INTERVAL_NS (50 * NS_PER_MS)
#define START_TIMEOUT_NS (60 * NS_PER_S)
#define END_TIMEOUT_NS (10 * NS_PER_S) // before SIGKILL
#define END_POLL_INTERVAL_NS (20 * NS_PER_MS)

enum { LOCAL_MAGIC = 0x4c6f6361, SNAPSHOT_SIZE_MAX = 4 * 1024 * 1024 };

enum local_phase {
    LOCAL_STARTS, // until all agents are registered
    LOCAL_SERVES,
    LOCAL_ENDS, // until no child is left
};

struct local {
    uint32_t magic;
    enum local_phase phase;
    struct env *env;
    const struct local_options *options;
    struct local_process *processes; // the master first
    size_t process_count;
    char *work_dir;
    bool has_own_work_dir;    // made by us, so removed by us
    struct http_client *http; // to the master
    struct buf snapshot;      // the answer that is being read
    int snapshot_status;
    struct timer poll_timer;
    struct timer deadline_timer; // LOCAL_STARTS: give up; LOCAL_ENDS: kill
    int status;
};

// ---- ending ----

// Reaps what has ended: programs of ours, and orphans of theirs. Returns a program that has ended,
// or NULL; to be called until it does.
static struct local_process *reap_next(struct local *l)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < l->process_count; i++) {
            if (l->processes[i].pid == pid) {
                l->processes[i].pid = 0;
                l->processes[i].status = status;
                return &l->processes[i];
            }
        }
    }
    return NULL;
}

static void end_now(struct local *l)
{
    while (reap_next(l) != NULL) {
    }
    if (!task_process_has_children()) {
        env_stop(l->env, l->status);
        return;
    }
    env_timer_set(l->env, &l->poll_timer, END_POLL_INTERVAL_NS);
}

static void begin_end(struct local *l, int status)
{
    if (l->phase == LOCAL_ENDS) {
        return;
    }
    l->phase = LOCAL_ENDS;
    l->status = status;
    // Agents first: told so, they end their executors and leave the master in good order.
    for (size_t i = l->process_count; i-- > 0;) {
        local_process_signal(&l->processes[i], i > 0 ? SIGUSR1 : SIGTERM);
    }
    env_timer_set(l->env, &l->deadline_timer, END_TIMEOUT_NS);
    env_timer_set(l->env, &l->poll_timer, 0);
}

static void run_deadline(struct timer *timer, struct instant now)
{
    (void)now;
    struct local *l = CONTAINER_OF(timer, struct local, deadline_timer);
    if (l->phase == LOCAL_STARTS) {
        fprintf(stderr, "Not all agents registered within %d seconds; see %s/*/log\n",
                (int)(START_TIMEOUT_NS / NS_PER_S), l->work_dir);
        begin_end(l, EXIT_FAILURE);
    } else if (l->phase == LOCAL_ENDS) {
        task_process_signal_all(SIGKILL);
        env_timer_set(l->env, &l->deadline_timer, NS_PER_S);
    }
}

static void on_signal(void *ctx, int signal)
{
    (void)signal;
    struct local *l = CHECK_CAST(local, LOCAL_MAGIC, ctx);
    begin_end(l, EXIT_SUCCESS);
}

// A program that ends by itself takes the others with it: half a cluster helps nobody.
static void on_child_signal(void *ctx, int signal)
{
    (void)signal;
    struct local *l = CHECK_CAST(local, LOCAL_MAGIC, ctx);
    for (struct local_process *process; (process = reap_next(l)) != NULL;) {
        if (l->phase != LOCAL_ENDS) {
            local_process_print_end(process, stderr);
            begin_end(l, EXIT_FAILURE);
        }
    }
}

// ---- starting ----

static void print_addresses(const struct local *l)
{
    printf("Master serves at http://%s:%u (the dashboard is there)\n", l->options->ip,
           l->processes[0].port);
    for (size_t i = 1; i < l->process_count; i++) {
        printf("Agent %zu serves at http://%s:%u\n", i, l->options->ip, l->processes[i].port);
    }
    printf("Logs and sandboxes are in %s%s\n", l->work_dir,
           l->has_own_work_dir ? " (removed at the end)" : "");
    printf("Ready\n");
}

static void on_head(void *ctx, struct http_call *call, int status)
{
    (void)call;
    struct local *l = CHECK_CAST(local, LOCAL_MAGIC, ctx);
    l->snapshot_status = status;
}

static void on_data(void *ctx, struct http_call *call, const void *data, size_t size)
{
    (void)call;
    struct local *l = CHECK_CAST(local, LOCAL_MAGIC, ctx);
    buf_append(&l->snapshot, data, size);
}

// How many agents the master counts as active, by its metrics.
static unsigned active_agents(const struct buf *snapshot)
{
    static const char key[] = "\"master/slaves_active\":";
    const char *at = snapshot->data != NULL ? strstr(snapshot->data, key) : NULL;
    return at != NULL ? (unsigned)strtod(at + strlen(key), NULL) : 0;
}

static void on_end(void *ctx, struct http_call *call, const struct error *err)
{
    (void)call;
    struct local *l = CHECK_CAST(local, LOCAL_MAGIC, ctx);
    if (l->phase != LOCAL_STARTS) {
        return;
    }
    if (err == NULL && l->snapshot_status == 200 &&
        active_agents(&l->snapshot) >= l->process_count - 1) {
        l->phase = LOCAL_SERVES;
        env_timer_cancel(l->env, &l->deadline_timer);
        print_addresses(l);
        return;
    }
    env_timer_set(l->env, &l->poll_timer, POLL_INTERVAL_NS);
}

static void ask_master(struct local *l)
{
    static const struct http_call_callbacks callbacks = {
        .on_head = on_head, .on_data = on_data, .on_end = on_end};
    struct http_call_options options = {.method = "GET", .target = "/metrics/snapshot"};
    buf_clear(&l->snapshot);
    l->snapshot_status = 0;
    http_client_send(l->http, &options, &callbacks, l);
}

static void run_poll(struct timer *timer, struct instant now)
{
    (void)now;
    struct local *l = CONTAINER_OF(timer, struct local, poll_timer);
    if (l->phase == LOCAL_ENDS) {
        end_now(l);
    } else {
        ask_master(l);
    }
}

static int make_work_dir(struct local *l, struct error *err)
{
    if (l->options->work_dir != NULL) {
        l->work_dir = mem_strdup(l->options->work_dir);
        return path_make_directories(l->work_dir, 0755, err);
    }
    const char *parent = getenv("TMPDIR");
    l->work_dir = mem_printf("%s/mesos-local-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(l->work_dir) == NULL) {
        return error_errno(err, -errno, "Cannot make a directory %s", l->work_dir);
    }
    l->has_own_work_dir = true;
    return chmod(l->work_dir, 0755) < 0 ? -errno : 0; // tasks of other users work below it
}

static int start_all(struct local *l, struct error *err)
{
    AUTO_FREE char *directory = local_program_directory();
    struct local_flags flags;
    int r = local_flags_sort(l->options, directory, &flags, err);
    if (r < 0) {
        return r;
    }
    l->process_count = 0;
    for (size_t i = 0; r == 0 && i <= (size_t)l->options->num_slaves; i++) {
        struct local_process_order order = {
            .options = l->options,
            .flags = &flags,
            .directory = directory,
            .work_dir = l->work_dir,
            .index = i,
            .master_port = i > 0 ? l->processes[0].port : 0,
        };
        r = local_process_start(&l->processes[i], &order, err);
        if (r == 0) {
            l->process_count++;
        }
    }
    local_flags_free(&flags);
    return r;
}

static void local_init(struct local *l)
{
    l->poll_timer.run = run_poll;
    l->deadline_timer.run = run_deadline;
    l->processes = mem_calloc((size_t)l->options->num_slaves + 1, sizeof(*l->processes));
    buf_init(&l->snapshot, SNAPSHOT_SIZE_MAX);
    env_on_signal(l->env, SIGINT, on_signal, l);
    env_on_signal(l->env, SIGTERM, on_signal, l);
    env_on_signal(l->env, SIGHUP, on_signal, l);
    env_on_signal(l->env, SIGCHLD, on_child_signal, l);
}

static void local_finish(struct local *l)
{
    l->http = http_client_free(l->http);
    buf_free(&l->snapshot);
    env_timer_cancel(l->env, &l->poll_timer);
    env_timer_cancel(l->env, &l->deadline_timer);
    struct error err = {0};
    if (l->has_own_work_dir && path_remove_tree(l->work_dir, &err) < 0) {
        fprintf(stderr, "Cannot remove %s: %s\n", l->work_dir, err.text);
    }
    mem_free(l->work_dir);
    mem_free(l->processes);
    env_free(l->env);
}

static int local_run(const struct local_options *options)
{
    struct local l = {.magic = LOCAL_MAGIC, .options = options, .status = EXIT_SUCCESS};
    struct error err = {0};
    int r = task_process_adopt_orphans(&err);
    if (r == 0) {
        r = env_new(&l.env, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    local_init(&l);
    r = make_work_dir(&l, &err);
    if (r == 0) {
        r = start_all(&l, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        begin_end(&l, EXIT_FAILURE);
    } else {
        l.http = http_client_new(l.env, options->ip, l.processes[0].port);
        env_timer_set(l.env, &l.deadline_timer, START_TIMEOUT_NS);
        env_timer_set(l.env, &l.poll_timer, 0);
    }
    int status = env_run(l.env);
    local_finish(&l);
    return status;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct local_options options = {0};
    struct error err = {0};
    int r = local_options_parse(&options, argc, argv, &err);
    if (r == FLAGS_HELP) {
        AUTO_BUF struct buf help = BUF_INIT;
        local_options_put_help(&help);
        fputs(help.data, stdout);
        return EXIT_SUCCESS;
    }
    if (r == FLAGS_VERSION) {
        printf("mesos %s\n", MESOS_VERSION);
        return EXIT_SUCCESS;
    }
    if (r < 0) {
        fprintf(stderr, "%s\nSee mesos-local --help\n", err.text);
        return EXIT_FAILURE;
    }
    int status = local_run(&options);
    local_options_free(&options);
    return status;
}
