// SPDX-License-Identifier: Apache-2.0
//
// Seeds that end their process, and what becomes of the others.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "sim_jobs.h"

enum { CHECKED = 5, KILLED = 6, SAID = 9, ODD = 12 };

static void run_seed(void *ctx, uint64_t seed, struct sim_result *result)
{
    (void)ctx;
    CHECK(seed != CHECKED);
    if (seed == KILLED) {
        (void)raise(SIGKILL);
    }
    if (seed == SAID) {
        fprintf(stderr, "seed 9: FAILED\n");
        exit(1);
    }
    if (seed == ODD) {
        _exit(7);
    }
    result->event_count += seed;
    result->marks[0]++;
}

static const struct sim_jobs ordinary = {
    .first = 1, .seed_count = 20, .job_count = 3, .failures_max = 20, .run = run_seed};

// What is written to standard error meanwhile; the caller frees it.
static char *run(const struct sim_jobs *jobs, struct sim_result *result, int64_t *ret_failures)
{
    AUTO_CLOSE int place = memfd_create("said", MFD_CLOEXEC);
    AUTO_CLOSE int former = dup(STDERR_FILENO);
    assert_true(place >= 0 && former >= 0);
    struct error err = {0};
    fflush(stderr);
    dup2(place, STDERR_FILENO);
    int code = sim_jobs_run(jobs, result, ret_failures, &err);
    fflush(stderr);
    dup2(former, STDERR_FILENO);
    assert_int_equal(code, 0);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(pread(place, text, 65535, 0) >= 0);
    return text;
}

static void test_the_others_go_on(void **state)
{
    (void)state;
    for (int64_t job_count = 1; job_count <= 8; job_count++) {
        struct sim_jobs jobs = ordinary;
        jobs.job_count = job_count;
        struct sim_result result = {0};
        int64_t failures;
        char *text = run(&jobs, &result, &failures);
        assert_int_equal(failures, 4);
        assert_int_equal(result.marks[0], 16);
        assert_int_equal(result.event_count, 210 - CHECKED - KILLED - SAID - ODD);
        assert_non_null(strstr(text, "seed 5: ended by signal 6 (Aborted)\n"));
        assert_non_null(strstr(text, "CHECK(seed != CHECKED) failed\n"));
        assert_non_null(strstr(text, "seed 5: again with: mesos-sim --seed=5 --trace\n"));
        assert_non_null(strstr(text, "seed 6: ended by signal 9 (Killed)\n"));
        assert_non_null(strstr(text, "seed 9: FAILED\nseed 9: again with"));
        assert_non_null(strstr(text, "seed 12: ended with status 7\n"));
        free(text);
    }
}

static void test_enough_failures(void **state)
{
    (void)state;
    struct sim_jobs jobs = ordinary;
    jobs.job_count = 1;
    jobs.failures_max = 2;
    struct sim_result result = {0};
    int64_t failures;
    char *text = run(&jobs, &result, &failures);
    assert_int_equal(failures, 2);
    assert_int_equal(result.marks[0], 4);
    assert_null(strstr(text, "seed 9"));
    free(text);
    // None of its processes is left.
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_none_fails(void **state)
{
    (void)state;
    struct sim_jobs jobs = ordinary;
    jobs.first = 100;
    jobs.job_count = 1000; // more than seeds, and more than there may be
    struct sim_result result = {0};
    int64_t failures;
    char *text = run(&jobs, &result, &failures);
    assert_int_equal(failures, 0);
    assert_int_equal(result.marks[0], 20);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_others_go_on),
        cmocka_unit_test(test_enough_failures),
        cmocka_unit_test(test_none_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
