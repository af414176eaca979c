// SPDX-License-Identifier: Apache-2.0

#include "sim_jobs.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"

// What a job's process and its parent share. It lies in memory that outlasts the process.
struct progress {
    uint64_t seed; // that runs now, or is the next one
    struct sim_result result;
};

struct job {
    pid_t pid; // 0: all its seeds were run, or given up
    int said;  // what its process writes to standard error; -1: none
    struct progress *progress;
};

struct run {
    const struct sim_jobs *jobs;
    struct job job[SIM_JOBS_MAX];
    size_t count;
    int64_t failures;
};

static uint64_t end_of(const struct sim_jobs *jobs)
{
    return jobs->first + jobs->seed_count;
}

// In the new process.
static _Noreturn void work(const struct run *run, const struct job *job)
{
    const struct sim_jobs *jobs = run->jobs;
    struct progress *progress = job->progress;
    if (dup2(job->said, STDERR_FILENO) < 0) {
        _exit(2);
    }
    while (progress->seed < end_of(jobs)) {
        struct sim_result result = progress->result;
        jobs->run(jobs->ctx, progress->seed, &result);
        progress->result = result;
        progress->seed += run->count;
    }
    exit(0);
}

static int start(const struct run *run, struct job *job, struct error *err)
{
    fd_close_at(&job->said);
    job->said = memfd_create("stderr", MFD_CLOEXEC);
    if (job->said < 0) {
        return error_errno(err, -errno, "Failed to make a place for what a process says");
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        return error_errno(err, -errno, "Failed to start a process");
    }
    if (pid == 0) {
        work(run, job);
    }
    job->pid = pid;
    return 0;
}

static void print_said(const struct job *job)
{
    char text[4096];
    ssize_t size;
    for (off_t at = 0; (size = pread(job->said, text, sizeof(text), at)) > 0; at += size) {
        fwrite(text, 1, (size_t)size, stderr);
    }
}

static void print_failure(const struct job *job, int status)
{
    uint64_t seed = job->progress->seed;
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "seed %" PRIu64 ": ended by signal %d (%s)\n", seed, WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 1) { // else it says it itself
        fprintf(stderr, "seed %" PRIu64 ": ended with status %d\n", seed, WEXITSTATUS(status));
    }
    print_said(job);
    fprintf(stderr, "seed %" PRIu64 ": again with: mesos-sim --seed=%" PRIu64 " --trace\n", seed,
            seed);
}

// A process ended: what was it, and does its job go on?
static int ended(struct run *run, struct job *job, int status, struct error *err)
{
    const struct sim_jobs *jobs = run->jobs;
    job->pid = 0;
    if (status == 0) {
        print_said(job);
        return 0;
    }
    print_failure(job, status);
    run->failures++;
    job->progress->seed += run->count;
    bool goes_on = run->failures < jobs->failures_max && job->progress->seed < end_of(jobs);
    return goes_on ? start(run, job, err) : 0;
}

static struct job *find(struct run *run, pid_t pid)
{
    for (size_t i = 0; i < run->count; i++) {
        if (run->job[i].pid == pid) {
            return &run->job[i];
        }
    }
    return NULL;
}

static size_t count_running(const struct run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        count += run->job[i].pid > 0;
    }
    return count;
}

static int wait_for_all(struct run *run, struct error *err)
{
    while (count_running(run) > 0 && run->failures < run->jobs->failures_max) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid < 0) {
            return error_errno(err, -errno, "Failed to wait for a process");
        }
        struct job *job = find(run, pid);
        int code = job == NULL ? 0 : ended(run, job, status, err);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static int start_all(struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->count; i++) {
        struct job *job = &run->job[i];
        job->said = -1;
        void *memory = mmap(NULL, sizeof(*job->progress), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            return error_errno(err, -errno, "Failed to share memory with a process");
        }
        job->progress = memory;
        job->progress->seed = run->jobs->first + i;
        int code = start(run, job, err);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static void add_result(struct sim_result *sum, const struct sim_result *part)
{
    sum->simulated_ns += part->simulated_ns;
    sum->event_count += part->event_count;
    for (size_t i = 0; i < MARK_COUNT; i++) {
        sum->marks[i] += part->marks[i];
    }
}

int sim_jobs_run(const struct sim_jobs *jobs, struct sim_result *result, int64_t *ret_failures,
                 struct error *err)
{
    CHECK(jobs->job_count > 0 && jobs->failures_max > 0);
    struct run run = {.jobs = jobs};
    run.count = jobs->job_count < SIM_JOBS_MAX ? (size_t)jobs->job_count : SIM_JOBS_MAX;
    int code = start_all(&run, err);
    if (code == 0) {
        code = wait_for_all(&run, err);
    }
    for (size_t i = 0; i < run.count; i++) {
        struct job *job = &run.job[i];
        if (job->pid > 0) {
            (void)kill(job->pid, SIGKILL);
            (void)waitpid(job->pid, NULL, 0);
        }
        if (job->progress != NULL) {
            add_result(result, &job->progress->result);
            munmap(job->progress, sizeof(*job->progress));
        }
        if (job->said > 0) {
            close(job->said);
        }
    }
    *ret_failures = run.failures;
    return code;
}
