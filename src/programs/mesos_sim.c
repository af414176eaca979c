// SPDX-License-Identifier: Apache-2.0
//
// mesos-sim: simulates clusters, one per seed, and stops at the first one that breaks a rule.

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/flags.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/run.h"

struct options {
    int64_t seed, first, seeds, jobs;
    bool trace, log, replay, marks;
};

#define ROW(member, type, text, help)                                                              \
    FLAG_ROW(struct options, member, #member, NULL, type, text, 0, help)

static const struct flag rows[] = {
    ROW(seed, FLAG_INT, "0", "Simulate this seed alone."),
    ROW(first, FLAG_INT, "1", "The first seed of many."),
    ROW(seeds, FLAG_INT, "1000", "How many seeds."),
    ROW(jobs, FLAG_INT, "1", "How many processes share them."),
    ROW(trace, FLAG_BOOL, "false", "Print what happens."),
    ROW(log, FLAG_BOOL, "false", "Print the log lines of the cores as well."),
    ROW(replay, FLAG_BOOL, "false", "Simulate each seed twice: both must go the same way."),
    ROW(marks, FLAG_BOOL, "false", "Print which rare things were come across, and how often."),
};
static const struct flag_table table = {rows, ARRAY_COUNT(rows)};

// A failed CHECK aborts: say which seed it was.
static void aborted(int number)
{
    (void)number;
    char text[64];
    int size = snprintf(text, sizeof(text), "seed %" PRIu64 ": aborted\n", sim_current_seed());
    if (write(STDERR_FILENO, text, (size_t)size) < 0)
        _exit(2);
}

static void print_log(void *ctx, enum log_level level, const char *file, int line, const char *text)
{
    (void)ctx;
    printf("    %c %s:%d %s\n", "DIWE"[level], file, line, text);
}

static void run_seeds(const struct options *options, int64_t first, int64_t step,
                      struct sim_result *result)
{
    struct sim_options sim = {.trace = options->trace};
    for (int64_t seed = first; seed < options->first + options->seeds; seed += step) {
        sim_run((uint64_t)seed, &sim, result);
        if (!options->replay)
            continue;
        uint64_t digest = result->digest;
        sim_run((uint64_t)seed, &sim, result);
        if (digest != result->digest) {
            fprintf(stderr, "seed %" PRId64 ": FAILED: it went two ways\n", seed);
            _exit(1);
        }
    }
}

// One process of several: its result comes through a pipe.
static int start_job(const struct options *options, int64_t index, pid_t *ret_pid)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        struct sim_result result = {0};
        run_seeds(options, options->first + index, options->jobs, &result);
        _exit(write(ends[1], &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 2);
    }
    close(ends[1]);
    *ret_pid = pid;
    return ends[0];
}

static void add_result(struct sim_result *sum, const struct sim_result *part)
{
    sum->simulated_ns += part->simulated_ns;
    sum->event_count += part->event_count;
    for (size_t i = 0; i < MARK_COUNT; i++)
        sum->marks[i] += part->marks[i];
}

static int run_jobs(const struct options *options, struct sim_result *result)
{
    enum { JOBS_MAX = 64 };
    int64_t jobs = options->jobs < JOBS_MAX ? options->jobs : JOBS_MAX;
    int pipes[JOBS_MAX] = {0}, failed = 0;
    pid_t pids[JOBS_MAX] = {0};
    for (int64_t i = 0; i < jobs; i++) {
        pipes[i] = start_job(options, i, &pids[i]);
        if (pipes[i] < 0) {
            fprintf(stderr, "mesos-sim: %s\n", strerror(-pipes[i]));
            return 1;
        }
    }
    for (int64_t i = 0; i < jobs; i++) {
        struct sim_result part;
        int status;
        bool came = read(pipes[i], &part, sizeof(part)) == (ssize_t)sizeof(part);
        close(pipes[i]);
        if (waitpid(pids[i], &status, 0) < 0 || status != 0 || !came)
            failed = 1;
        else
            add_result(result, &part);
    }
    return failed;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_result(const struct options *options, const struct sim_result *result,
                         double elapsed)
{
    double hours = (double)result->simulated_ns / 3600e9;
    printf("%" PRId64 " seeds, %.1f simulated hours, %" PRIu64 " events in %.1f s: "
           "%.1f simulated hours per second\n",
           options->seeds, hours, result->event_count, elapsed, hours / elapsed);
    if (options->seeds == 1)
        printf("digest %016" PRIx64 "\n", result->digest);
    size_t reached = 0;
    for (size_t i = 0; i < MARK_COUNT; i++) {
        reached += result->marks[i] > 0;
        if (options->marks)
            printf("%12" PRIu64 "  %s\n", result->marks[i], mark_names[i]);
    }
    printf("%zu of %d marks reached", reached, (int)MARK_COUNT);
    for (size_t i = 0; i < MARK_COUNT; i++) {
        if (result->marks[i] == 0 && options->seeds > 1)
            printf("%s%s", reached++ >= MARK_COUNT ? ", " : "; ", mark_names[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct error err;
    int r = flags_parse(&table, 1, &options, argc, argv, NULL, "MESOS_", NULL, &err);
    if (r != FLAGS_DONE) {
        AUTO_BUF struct buf help = BUF_INIT;
        flags_put_help(&table, 1, "mesos-sim", &help);
        fprintf(r < 0 ? stderr : stdout, "%s%s%s", r < 0 ? err.text : "", r < 0 ? "\n\n" : "",
                help.data);
        return r < 0 ? 1 : 0;
    }
    if (options.seed != 0) {
        options.first = options.seed;
        options.seeds = 1;
    }
    signal(SIGABRT, aborted);
    if (options.log)
        log_set_sink(print_log, NULL);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    mem_cache_begin();
    struct sim_result result = {0};
    double start = seconds();
    if (options.jobs > 1)
        r = run_jobs(&options, &result);
    else
        run_seeds(&options, options.first, 1, &result);
    if (r == 0)
        print_result(&options, &result, seconds() - start);
    return r;
}
