// SPDX-License-Identifier: Apache-2.0
//
// How long a master's /health takes, while so many clients ask for something large once a second.
// It prints one line of JSON: how many questions were asked, the percentiles of their time in
// milliseconds (from connecting to the whole answer), how many large answers came, and how many
// bytes. bench/bench_swarm.py starts it.
//
// The clients read into one buffer and look at nothing, in processes of their own without priority:
// what is measured is the master, not how dear it is to be its client.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/flags.h"
#include "base/mem.h"
#include "base/timer.h"

enum { CLIENTS_MAX = 100, READ_SIZE = 16 * 1024 };

#define PAUSE_NS (2 * NS_PER_MS)
#define CLIENT_PERIOD_NS NS_PER_S

struct health_flags {
    char *path;
    uint64_t port;
    uint64_t clients;
    int64_t duration;
};

static const struct flag HEALTH_FLAGS[] = {
    FLAG_ROW(struct health_flags, port, "port", NULL, FLAG_SIZE, NULL, FLAG_REQUIRED,
             "The master's port on loopback."),
    FLAG_ROW(struct health_flags, path, "path", NULL, FLAG_TEXT, "/state", 0,
             "What the clients ask for."),
    FLAG_ROW(struct health_flags, clients, "clients", NULL, FLAG_SIZE, "0", 0, "How many."),
    FLAG_ROW(struct health_flags, duration, "duration", NULL, FLAG_DURATION, "5secs", 0,
             "For how long."),
};

static const struct flag_table HEALTH_TABLE = {HEALTH_FLAGS, ARRAY_COUNT(HEALTH_FLAGS)};

// What the clients count, in memory that all processes share.
struct counts {
    uint64_t answers;
    uint64_t bytes;
};

static char buffer[READ_SIZE];

static int64_t clock_ns(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) {
    }
}

// Asks on a new connection and reads until the master closes it; the bytes that came.
static uint64_t ask(uint64_t port, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    int yes = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) == 0);
    char request[512];
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    CHECK(size > 0 && (size_t)size < sizeof(request));
    CHECK(send(fd, request, (size_t)size, MSG_NOSIGNAL) == size);
    uint64_t all = 0;
    bool is_ok = false;
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
        is_ok = is_ok || (all == 0 && n >= 12 && memcmp(buffer, "HTTP/1.1 200", 12) == 0);
        all += (uint64_t)n;
    }
    CHECK(n == 0 && is_ok);
    close(fd);
    return all;
}

// One client; it ends with its parent.
static void poll_for_ever(const struct health_flags *flags, struct counts *counts)
{
    struct sched_param none = {0};
    CHECK(sched_setscheduler(0, SCHED_OTHER, &none) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    for (;;) {
        int64_t began = clock_ns();
        uint64_t size = ask(flags->port, flags->path);
        __atomic_fetch_add(&counts->answers, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&counts->bytes, size, __ATOMIC_RELAXED);
        sleep_until(began + CLIENT_PERIOD_NS);
    }
}

static int compare_times(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(int64_t *times, size_t count, const struct counts *counts)
{
    CHECK(count > 0);
    qsort(times, count, sizeof(*times), compare_times);
    printf("{\"count\": %zu, \"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f, \"answers\": %llu, "
           "\"bytes\": %llu}\n",
           count, (double)times[count / 2] / 1e6, (double)times[count * 99 / 100] / 1e6,
           (double)times[count - 1] / 1e6, (unsigned long long)counts->answers,
           (unsigned long long)counts->bytes);
}

static void measure(const struct health_flags *flags, struct counts *counts)
{
    size_t capacity = (size_t)(flags->duration / PAUSE_NS) + 1, count = 0;
    int64_t *times = mem_calloc(capacity, sizeof(*times));
    int64_t deadline = clock_ns() + flags->duration;
    for (int64_t began; count < capacity && (began = clock_ns()) < deadline;) {
        ask(flags->port, "/health");
        int64_t ended = clock_ns();
        times[count++] = ended - began;
        sleep_until(ended + PAUSE_NS);
    }
    report(times, count, counts);
    mem_free(times);
}

int main(int argc, char **argv)
{
    struct health_flags flags = {0};
    struct error err;
    int r = flags_parse(&HEALTH_TABLE, 1, &flags, argc, argv, NULL, "", NULL, &err);
    if (r == 0 && flags.clients > CLIENTS_MAX)
        r = error_set(&err, -EINVAL, "Flag 'clients' must be at most %d", CLIENTS_MAX);
    if (r == FLAGS_HELP) {
        AUTO_BUF struct buf help = BUF_INIT;
        flags_put_help(&HEALTH_TABLE, 1, "health_bench", &help);
        fputs(help.data, stdout);
    }
    if (r != 0) {
        if (r < 0)
            fprintf(stderr, "%s\n", err.text);
        flags_free(&HEALTH_TABLE, 1, &flags);
        return r < 0;
    }
    struct counts *counts =
        mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(counts != MAP_FAILED);
    pid_t clients[CLIENTS_MAX];
    for (uint64_t i = 0; i < flags.clients; i++) {
        clients[i] = fork();
        CHECK(clients[i] >= 0);
        if (clients[i] == 0)
            poll_for_ever(&flags, counts);
    }
    measure(&flags, counts);
    for (uint64_t i = 0; i < flags.clients; i++) {
        kill(clients[i], SIGKILL);
        CHECK(waitpid(clients[i], NULL, 0) == clients[i]);
    }
    munmap(counts, sizeof(*counts));
    flags_free(&HEALTH_TABLE, 1, &flags);
    return 0;
}
