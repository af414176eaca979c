// SPDX-License-Identifier: Apache-2.0
//
// mesos-sim: simulates clusters, one per seed, and says which ones break a rule.

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/flags.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/run.h"
#include "sim_jobs.h"

struct options {
    int64_t seed, first, seeds, jobs, failures;
    bool trace, log, replay, marks;
};

#define ROW(member, type, text, help)                                                              \
    FLAG_ROW(struct options, member, #member, NULL, type, text, 0, help)

static const struct flag rows[] = {
    ROW(seed, FLAG_INT, "0", "Simulate this seed alone."),
    ROW(first, FLAG_INT, "1", "The first seed of many."),
    ROW(seeds, FLAG_INT, "1000", "How many seeds."),
    ROW(jobs, FLAG_INT, "1", "How many processes share them."),
    ROW(failures, FLAG_INT, "20", "After how many seeds that failed the others are left."),
    ROW(trace, FLAG_BOOL, "false", "Print what happens."),
    ROW(log, FLAG_BOOL, "false", "Print the log lines of the cores as well."),
    ROW(replay, FLAG_BOOL, "false", "Simulate each seed twice: both must go the same way."),
    ROW(marks, FLAG_BOOL, "false", "Print which rare things were come across, and how often."),
};
static const struct flag_table table = {rows, ARRAY_COUNT(rows)};

static void print_log(void *ctx, enum log_level level, const char *file, int line, const char *text,
                      size_t size)
{
    (void)ctx;
    (void)size;
    printf("    %c %s:%d %s\n", "DIWE"[level], file, line, text);
}

static void run_seed(void *ctx, uint64_t seed, struct sim_result *result)
{
    const struct options *options = ctx;
    struct sim_options sim = {.trace = options->trace};
    sim_run(seed, &sim, result);
    if (!options->replay)
        return;
    uint64_t digest = result->digest;
    sim_run(seed, &sim, result);
    if (digest != result->digest) {
        fprintf(stderr, "seed %" PRIu64 ": FAILED: it went two ways\n", seed);
        _exit(1);
    }
}

// A failed CHECK in the only seed: what was traced up to there is wanted most.
static void aborted(int number)
{
    (void)number;
    fflush(stdout);
}

// 0: no seed failed.
static int run_all(struct options *options, struct sim_result *result)
{
    if (options->seeds == 1) {
        signal(SIGABRT, aborted);
        run_seed(options, (uint64_t)options->first, result);
        return 0;
    }
    struct sim_jobs jobs = {
        .first = (uint64_t)options->first,
        .seed_count = (uint64_t)options->seeds,
        .job_count = options->jobs,
        .failures_max = options->failures,
        .run = run_seed,
        .ctx = options,
    };
    struct error err = {0};
    int64_t failures = 0;
    if (sim_jobs_run(&jobs, result, &failures, &err) < 0) {
        fprintf(stderr, "mesos-sim: %s\n", err.text);
        return 1;
    }
    if (failures > 0)
        fprintf(stderr, "%" PRId64 " seeds failed%s\n", failures,
                failures >= options->failures ? "; the others were left" : "");
    return failures > 0;
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
    if (options.seeds < 0 || options.jobs < 1 || options.failures < 1) {
        fprintf(stderr, "--seeds must not be negative; --jobs and --failures must be positive\n");
        return 1;
    }
    if (options.seed != 0) {
        options.first = options.seed;
        options.seeds = 1;
    }
    if (options.log)
        log_set_sink(print_log, NULL);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    mem_cache_begin();
    struct sim_result result = {0};
    double start = seconds();
    r = run_all(&options, &result);
    if (r == 0)
        print_result(&options, &result, seconds() - start);
    return r;
}
