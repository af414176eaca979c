// SPDX-License-Identifier: Apache-2.0
//
// The log sink of programs: glog's line form on standard error and, with a directory, in files
// named as glog names them: <program>.<host>.<user>.log.<SEVERITY>.<date>-<time>.<pid>, each with a
// link <program>.<SEVERITY> to the newest. A file holds its own severity and all above it.
// Or, instead of glog's form, one JSON object a line. Files can be opened anew by their names, for
// whoever moves them away (logrotate). A line that cannot be written (the disk is full) is lost; as
// soon as writing works again, a line in its place says how many were.

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "env/env.h"

enum { SEVERITY_COUNT = 3, LOG_LINE_SIZE = 8192, LOG_NAME_SIZE = 256 };

static const char *const severity_names[SEVERITY_COUNT] = {"INFO", "WARNING", "ERROR"};

// What could not be written to one place. Threads write, too.
struct loss {
    atomic_uint line_count;
    atomic_int error;   // of the last write that failed
    atomic_bool is_cut; // the last line has no end
};

static struct {
    bool quiet;
    bool is_json;
    int fds[SEVERITY_COUNT];
    char *paths[SEVERITY_COUNT];
    bool has_files;
    struct loss lost[SEVERITY_COUNT], lost_to_stderr;
} log_file = {.fds = {-1, -1, -1}};

static int severity_of(enum log_level level)
{
    return level >= LOG_LEVEL_ERROR ? 2 : level == LOG_LEVEL_WARNING ? 1 : 0;
}

// False when not all of it was written: a full disk or a closed pipe must not stop the daemon.
static bool write_whole(int fd, const char *data, size_t size, struct loss *loss)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            atomic_store(&loss->error, n < 0 ? errno : ENOSPC);
            return false;
        }
        atomic_store(&loss->is_cut, size > (size_t)n);
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static char *put_digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10) {
        at[i] = (char)('0' + value % 10);
    }
    return at + count;
}

// "1123 11:58:31.123456 <thread id> ". What changes once a second is made once a second: a master
// that launches thousands of tasks says so thousands of times.
static char *put_stamp(char *at)
{
    static _Thread_local struct {
        time_t second;
        int size;
        char text[24];
        int thread_size;
        char thread[16];
    } last;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (ts.tv_sec != last.second || last.size == 0) {
        struct tm tm;
        localtime_r(&ts.tv_sec, &tm);
        last.second = ts.tv_sec;
        last.size = snprintf(last.text, sizeof(last.text), "%02u%02u %02u:%02u:%02u.",
                             (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
                             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                             (unsigned)tm.tm_sec % 100);
        last.thread_size = snprintf(last.thread, sizeof(last.thread), " %5d ", (int)gettid());
    }
    memcpy(at, last.text, (size_t)last.size);
    at = put_digits(at + last.size, (unsigned)(ts.tv_nsec / 1000), 6);
    memcpy(at, last.thread, (size_t)last.thread_size);
    return at + last.thread_size;
}

static const char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash != NULL ? slash + 1 : file;
}

// "accept.c:248] ". It is made when the line comes from another place than the one before.
static char *put_place(char *at, const char *file, int line)
{
    static _Thread_local struct {
        const char *file; // a constant
        int line;
        int size;
        char text[LOG_NAME_SIZE + 16];
    } last;
    if (file != last.file || line != last.line) {
        last.file = file;
        last.line = line;
        last.size =
            snprintf(last.text, sizeof(last.text), "%.*s:%d] ", LOG_NAME_SIZE, name_of(file), line);
    }
    memcpy(at, last.text, (size_t)last.size);
    return at + last.size;
}

// How many bytes the character of UTF-8 at `s` has; 0: it is none.
static size_t character_size(const unsigned char *s)
{
    static const struct {
        unsigned char least, most; // of the first byte
        unsigned char second_least, second_most;
        size_t size;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (s[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (s[0] < forms[i].least || s[0] > forms[i].most) {
            continue;
        }
        bool is_good = s[1] >= forms[i].second_least && s[1] <= forms[i].second_most;
        for (size_t k = 2; k < forms[i].size && is_good; k++) {
            is_good = (s[k] & 0xc0) == 0x80;
        }
        return is_good ? forms[i].size : 0;
    }
    return 0;
}

// As a string of JSON; bytes that are no UTF-8 become U+FFFD.
static void put_json_text(struct buf *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    buf_putc(out, '"');
    for (size_t left = LOG_LINE_SIZE; *s != '\0' && left > 0; left--) {
        size_t size = character_size(s);
        if (size == 0) {
            buf_puts(out, "\xef\xbf\xbd");
            size = 1;
        } else if (*s == '"' || *s == '\\') {
            buf_printf(out, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            buf_printf(out, "\\u%04x", *s);
        } else {
            buf_append(out, s, size);
        }
        s += size;
    }
    buf_putc(out, '"');
}

// {"time":"2026-11-28T11:58:31.123456Z","level":"INFO","thread":1,"file":..,"line":..,"message":..}
static void put_json(struct buf *out, enum log_level level, const char *file, int line,
                     const char *text)
{
    static const char *const levels[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    struct tm tm;
    gmtime_r(&ts.tv_sec, &tm);
    char second[24];
    strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "{\"time\":\"%s.%06ldZ\",\"level\":\"%s\",\"thread\":%d,\"file\":", second,
               ts.tv_nsec / 1000, levels[level], (int)gettid());
    put_json_text(out, file);
    buf_printf(out, ",\"line\":%d,\"message\":", line);
    put_json_text(out, text);
    buf_puts(out, "}\n");
}

// Glog's form, into LOG_LINE_SIZE bytes. Returns how many of them.
static size_t put_text(char *out, enum log_level level, const char *file, int line,
                       const char *text, size_t size)
{
    char *at = out;
    *at++ = severity_names[severity_of(level)][0];
    at = put_stamp(at);
    at = put_place(at, file, line);
    size_t room = LOG_LINE_SIZE - (size_t)(at - out) - 1;
    size = size < room ? size : room;
    memcpy(at, text, size);
    at += size;
    *at++ = '\n';
    return (size_t)(at - out);
}

// Says how many lines are missing here. False: that cannot be written either.
static bool tell_loss(int fd, enum log_level level, struct loss *loss)
{
    unsigned count = atomic_exchange(&loss->line_count, 0);
    char text[160], line[LOG_LINE_SIZE];
    snprintf(text, sizeof(text), "%u log line%s could not be written here: %s", count,
             count == 1 ? "" : "s", strerrordesc_np(atomic_load(&loss->error)));
    struct buf json AUTO_BUF = BUF_INIT;
    size_t size = 0;
    if (log_file.is_json) {
        put_json(&json, level, "log_file.c", __LINE__, text);
    } else {
        size = put_text(line, level, "log_file.c", __LINE__, text, strlen(text));
    }
    bool is_told =
        (!atomic_load(&loss->is_cut) || write_whole(fd, "\n", 1, loss)) &&
        write_whole(fd, json.size > 0 ? json.data : line, json.size > 0 ? json.size : size, loss);
    if (!is_told) {
        atomic_fetch_add(&loss->line_count, count);
    }
    return is_told;
}

static void write_to(int fd, int severity, struct loss *loss, const char *line, size_t size)
{
    enum log_level level = severity == 2 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;
    bool is_whole = atomic_load(&loss->line_count) == 0 || tell_loss(fd, level, loss);
    if (!is_whole || !write_whole(fd, line, size, loss)) {
        atomic_fetch_add(&loss->line_count, 1);
    }
}

static void write_line(int severity, const char *line, size_t size)
{
    if (!log_file.quiet) {
        write_to(STDERR_FILENO, 0, &log_file.lost_to_stderr, line, size);
    }
    for (int i = 0; i <= severity && log_file.has_files; i++) {
        write_to(log_file.fds[i], i, &log_file.lost[i], line, size);
    }
}

static void sink(void *ctx, enum log_level level, const char *file, int line, const char *text,
                 size_t size)
{
    (void)ctx;
    if (log_file.is_json) {
        struct buf out AUTO_BUF = BUF_INIT;
        put_json(&out, level, name_of(file), line, text);
        write_line(severity_of(level), out.data, out.size);
        return;
    }
    char out[LOG_LINE_SIZE];
    write_line(severity_of(level), out, put_text(out, level, file, line, text, size));
}

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
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
    int fd = open_path(path);
    if (fd < 0) {
        return error_errno(err, -errno, "cannot open the log file %s", path);
    }
    unlink(link_path);
    if (symlink(name, link_path) < 0) {
        log_warning("cannot link %s: %s", link_path, strerror(errno));
    }
    log_file.fds[severity] = fd;
    log_file.paths[severity] = TAKE_PTR(path);
    return 0;
}

int env_log_set_format(const char *format, struct error *err)
{
    bool is_json = format != NULL && strcmp(format, "json") == 0;
    if (format != NULL && !is_json && strcmp(format, "text") != 0) {
        return error_set(err, -EINVAL, "'%s' is not a log format (text, json)", format);
    }
    log_file.is_json = is_json;
    return 0;
}

void env_log_reopen(void)
{
    for (int i = 0; i < SEVERITY_COUNT && log_file.has_files; i++) {
        int fd = open_path(log_file.paths[i]);
        if (fd < 0) {
            log_error("cannot open the log file %s again: %s; going on with the old one",
                      log_file.paths[i], strerror(errno));
            continue;
        }
        close(log_file.fds[i]);
        log_file.fds[i] = fd;
    }
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
        mem_free(TAKE_PTR(log_file.paths[i]));
        log_file.lost[i] = (struct loss){0};
    }
    log_file.has_files = false;
}
