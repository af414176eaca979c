// SPDX-License-Identifier: Apache-2.0
//
// The log sink of programs: glog's line form on standard error and, with a directory, in files
// named as glog names them: <program>.<host>.<user>.log.<SEVERITY>.<date>-<time>.<pid>, each with a
// link <program>.<SEVERITY> to the newest. A file holds its own severity and all above it.

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "env/env.h"

enum { SEVERITY_COUNT = 3, LOG_LINE_SIZE = 8192 };

static const char *const severity_names[SEVERITY_COUNT] = {"INFO", "WARNING", "ERROR"};

static struct {
    bool quiet;
    int fds[SEVERITY_COUNT];
    bool has_files;
} log_file = {.fds = {-1, -1, -1}};

static int severity_of(enum log_level level)
{
    return level >= LOG_LEVEL_ERROR ? 2 : level == LOG_LEVEL_WARNING ? 1 : 0;
}

static void write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; // a full disk or a closed pipe must not stop the daemon
        }
        data += n;
        size -= (size_t)n;
    }
}

static void sink(void *ctx, enum log_level level, const char *file, int line, const char *text)
{
    (void)ctx;
    struct timespec ts;
    struct tm tm;
    static _Thread_local int thread;
    thread = thread != 0 ? thread : (int)gettid();
    clock_gettime(CLOCK_REALTIME, &ts);
    localtime_r(&ts.tv_sec, &tm);
    const char *slash = strrchr(file, '/');
    int severity = severity_of(level);
    char out[LOG_LINE_SIZE];
    int n = snprintf(out, sizeof(out), "%c%02d%02d %02d:%02d:%02d.%06ld %5d %s:%d] %s\n",
                     severity_names[severity][0], tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                     tm.tm_sec, ts.tv_nsec / 1000, thread, slash ? slash + 1 : file, line, text);
    size_t size = (size_t)n;
    if (size >= sizeof(out)) {
        size = sizeof(out);
        out[size - 1] = '\n';
    }
    if (!log_file.quiet) {
        write_whole(STDERR_FILENO, out, size);
    }
    for (int i = 0; i <= severity && log_file.has_files; i++) {
        write_whole(log_file.fds[i], out, size);
    }
}

static int open_file(const char *program, const char *directory, int severity, struct error *err)
{
    char host[256] = "unknown";
    gethostname(host, sizeof(host) - 1);
    struct passwd *user = getpwuid(geteuid());
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    char when[32];
    strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
    char *name AUTO_FREE =
        mem_printf("%s.%s.%s.log.%s.%s.%d", program, host, user != NULL ? user->pw_name : "unknown",
                   severity_names[severity], when, (int)getpid());
    char *path AUTO_FREE = mem_printf("%s/%s", directory, name);
    char *link_path AUTO_FREE =
        mem_printf("%s/%s.%s", directory, program, severity_names[severity]);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_errno(err, -errno, "cannot open the log file %s", path);
    }
    unlink(link_path);
    if (symlink(name, link_path) < 0) {
        log_warning("cannot link %s: %s", link_path, strerror(errno));
    }
    log_file.fds[severity] = fd;
    return 0;
}

int env_log_open(const char *program, const char *directory, bool quiet, const char *level,
                 struct error *err)
{
    enum log_level least = LOG_LEVEL_INFO;
    if (level != NULL) {
        int i = 0;
        while (i < SEVERITY_COUNT && !text_is_equal(level, severity_names[i])) {
            i++;
        }
        if (i == SEVERITY_COUNT) {
            return error_set(err, -EINVAL, "'%s' is not a log level (INFO, WARNING, ERROR)", level);
        }
        least = (enum log_level)(LOG_LEVEL_INFO + i);
    }
    env_log_close();
    log_file.quiet = quiet;
    if (directory != NULL) {
        int r = path_make_directories(directory, 0755, err);
        for (int i = 0; r == 0 && i < SEVERITY_COUNT; i++) {
            r = open_file(program, directory, i, err);
        }
        if (r < 0) {
            env_log_close();
            return r;
        }
        log_file.has_files = true;
    }
    log_set_level(least);
    log_set_sink(sink, NULL);
    return 0;
}

void env_log_close(void)
{
    log_set_sink(NULL, NULL);
    for (int i = 0; i < SEVERITY_COUNT; i++) {
        fd_close_at(&log_file.fds[i]);
        log_file.fds[i] = -1;
    }
    log_file.has_files = false;
}
