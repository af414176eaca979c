// SPDX-License-Identifier: Apache-2.0

#include "container/container_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    READ_SIZE = 16 * 1024,
    READS_PER_TURN = 8,            // of one descriptor
    DRAIN_SIZE_MAX = 1024 * 1024,  // what is read at the end
    INPUT_QUEUE_MAX = 1024 * 1024, // bytes that the container has not taken yet
};

struct container_io {
    struct container *container;
    bool has_tty;
    struct container_watch outputs[2]; // of standard output and error; a terminal has the first
    int output_fds[2];                 // -1: at its end
    int file_fds[2];                   // the sandbox's
    int input_fd;                      // -1: closed
    struct container_watch input;      // while `pending` waits for room
    struct buf pending;
    bool closes_input; // when `pending` has left
    struct list listeners;
    unsigned pauses; // listeners that want no more for the moment
};

// ---- output ----

static void tell(struct container_io *io, enum container_output which, const void *data,
                 size_t size)
{
    if (io->file_fds[which] >= 0) {
        ssize_t written = write(io->file_fds[which], data, size);
        (void)written; // a full disk shortens the file; the listeners still hear all
    }
    LIST_FOREACH (&io->listeners, struct container_listener, link, listener) {
        listener->on_output(listener, which, data, size);
    }
}

// What is there, up to `limit` bytes. False: it is at its end.
static bool read_output(struct container_io *io, enum container_output which, size_t limit)
{
    char data[READ_SIZE];
    for (size_t total = 0; total < limit;) {
        ssize_t size = read(io->output_fds[which], data, sizeof(data));
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            // A terminal whose other side is closed by all answers EIO.
            return size < 0 && errno == EAGAIN;
        }
        tell(io, which, data, (size_t)size);
        total += (size_t)size;
    }
    return true;
}

static void end_output(struct container_io *io, enum container_output which)
{
    container_unwatch_keep(io->container, &io->outputs[which]);
    if (!io->has_tty) {
        fd_close_at(&io->output_fds[which]);
    }
    io->output_fds[which] = -1;
}

static void on_output(struct container *container, enum container_output which)
{
    struct container_io *io = container->io;
    if (!read_output(io, which, (size_t)READS_PER_TURN * READ_SIZE)) {
        end_output(io, which);
    }
}

static void on_stdout(struct container *container)
{
    on_output(container, CONTAINER_STDOUT);
}

static void on_stderr(struct container *container)
{
    on_output(container, CONTAINER_STDERR);
}

// Reads while somebody listens (but sessions do not wait for it) and nobody asks for a pause.
static void arrange(struct container_io *io)
{
    static void (*const run[])(struct container *) = {on_stdout, on_stderr};
    bool waits = io->container->is_session && list_is_empty(&io->listeners);
    bool reads = !waits && io->pauses == 0;
    for (int i = 0; i < 2; i++) {
        struct container_watch *watch = &io->outputs[i];
        if (reads && watch->fd < 0 && io->output_fds[i] >= 0) {
            container_watch(io->container, watch, io->output_fds[i], EPOLLIN, run[i]);
        } else if (!reads) {
            container_unwatch_keep(io->container, watch);
        }
    }
}

// ---- input ----

static void close_input(struct container_io *io)
{
    container_unwatch_keep(io->container, &io->input);
    buf_free(&io->pending);
    if (!io->has_tty) {
        fd_close_at(&io->input_fd);
    }
    io->input_fd = -1;
}

static void drained(struct container_io *io)
{
    if (io->closes_input) {
        close_input(io);
    }
    LIST_FOREACH (&io->listeners, struct container_listener, link, listener) {
        if (listener->on_drained != NULL) {
            listener->on_drained(listener);
        }
    }
}

static void write_pending(struct container *container);

static void push(struct container_io *io)
{
    while (io->pending.size > 0) {
        ssize_t size = write(io->input_fd, io->pending.data, io->pending.size);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno != EAGAIN) {
            close_input(io); // nobody reads it any more
            return;
        }
        if (size < 0) {
            if (io->input.fd < 0) {
                container_watch(io->container, &io->input, io->input_fd, EPOLLOUT, write_pending);
            }
            return;
        }
        buf_consume(&io->pending, (size_t)size);
    }
    container_unwatch_keep(io->container, &io->input);
}

static void write_pending(struct container *container)
{
    struct container_io *io = container->io;
    push(io);
    if (io->pending.size == 0) {
        drained(io);
    }
}

// ---- making ----

static int make_pipe(int ret_fds[2], struct error *err)
{
    return pipe2(ret_fds, O_CLOEXEC) < 0 ? error_errno(err, -errno, "Failed to create a pipe") : 0;
}

static int set_nonblocking(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0
               ? error_errno(err, -errno, "Failed to prepare a pipe")
               : 0;
}

static int make_pipes(struct container_io *io, int ret_fds[3], struct error *err)
{
    for (int i = 0; i < 3; i++) {
        int ends[2];
        int code = make_pipe(ends, err);
        if (code < 0) {
            return code;
        }
        int *ours = i == 0 ? &io->input_fd : &io->output_fds[i - 1];
        *ours = ends[i == 0 ? 1 : 0];
        ret_fds[i] = ends[i == 0 ? 0 : 1];
        if ((code = set_nonblocking(*ours, err)) < 0) {
            return code;
        }
    }
    return 0;
}

static int make_terminal(struct container_io *io, int ret_fds[3], struct error *err)
{
    const struct container *container = io->container;
    AUTO_CLOSE int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[64];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof(name)) != 0) {
        return error_errno(err, -errno, "Failed to create a terminal");
    }
    if (container->tty.rows > 0) {
        struct winsize size = {.ws_row = container->tty.rows, .ws_col = container->tty.columns};
        (void)ioctl(master, TIOCSWINSZ, &size);
    }
    for (int i = 0; i < 3; i++) {
        ret_fds[i] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (ret_fds[i] < 0) {
            return error_errno(err, -errno, "Failed to open the terminal '%s'", name);
        }
    }
    if (container->user != NULL &&
        fchown(ret_fds[0], container->user->uid, container->user->gid) < 0) {
        return error_errno(err, -errno, "Failed to change the owner of '%s'", name);
    }
    io->input_fd = io->output_fds[0] = TAKE_FD(master);
    return 0;
}

static struct container_io *make(struct container *container, int out_fd, int err_fd)
{
    struct container_io *io = mem_zalloc(sizeof(*io));
    io->container = container;
    io->has_tty = container->tty.is_wanted;
    io->input_fd = io->input.fd = -1;
    for (int i = 0; i < 2; i++) {
        io->outputs[i].fd = io->output_fds[i] = -1;
        io->file_fds[i] = i == 0 ? out_fd : err_fd;
    }
    buf_init(&io->pending, 0);
    list_init(&io->listeners);
    return io;
}

int container_io_terminal(const struct container_io *io)
{
    return io == NULL || !io->has_tty ? -1 : io->input_fd >= 0 ? io->input_fd : io->output_fds[0];
}

struct container_io *container_io_adopt(struct container *container, int terminal, int file_fd)
{
    container->tty.is_wanted = true;
    struct container_io *io = container->io = make(container, file_fd, -1);
    io->input_fd = io->output_fds[0] = terminal;
    arrange(io);
    return io;
}

int container_io_new(struct container *container, int file_fds[2], int ret_fds[3],
                     struct container_io **ret_io, struct error *err)
{
    struct container_io *io = make(container, file_fds[0], file_fds[1]);
    for (int i = 0; i < 3; i++) {
        ret_fds[i] = -1;
    }
    int code = io->has_tty ? make_terminal(io, ret_fds, err) : make_pipes(io, ret_fds, err);
    if (code < 0) {
        for (int i = 0; i < 3; i++) {
            fd_close_at(&ret_fds[i]);
        }
        container_io_free(io);
        return code;
    }
    *ret_io = io;
    arrange(io);
    return 0;
}

void container_io_end(struct container_io *io)
{
    for (int i = 0; i < 2; i++) {
        if (io->output_fds[i] >= 0) {
            (void)read_output(io, (enum container_output)i, DRAIN_SIZE_MAX);
            end_output(io, (enum container_output)i);
        }
    }
    LIST_FOREACH (&io->listeners, struct container_listener, link, listener) {
        list_remove(&listener->link);
        listener->io = NULL;
        listener->on_end(listener);
    }
}

struct container_io *container_io_free(struct container_io *io)
{
    if (io == NULL) {
        return NULL;
    }
    LIST_FOREACH (&io->listeners, struct container_listener, link, listener) {
        list_remove(&listener->link);
        listener->io = NULL;
    }
    int terminal = container_io_terminal(io);
    close_input(io);
    for (int i = 0; i < 2; i++) {
        end_output(io, (enum container_output)i);
        fd_close_at(&io->file_fds[i]);
    }
    fd_close_at(&terminal);
    mem_free(io);
    return NULL;
}

// ---- what the containerizer offers ----

static struct container_io *find(const struct containerizer *c, const char *container_id,
                                 struct error *err)
{
    struct container *container = map_get(&c->containers, container_id);
    if (container == NULL || container->is_orphan) {
        error_set(err, -ENOENT, "Container %s cannot be found", container_id);
        return NULL;
    }
    if (container->io == NULL) {
        error_set(err, -ENOTSUP,
                  "Container %s has neither a terminal nor a session: its output "
                  "cannot be attached to",
                  container_id);
    }
    return container->io;
}

int containerizer_attach(struct containerizer *c, const char *container_id,
                         struct container_listener *listener, struct error *err)
{
    struct error why = {0};
    struct container_io *io = find(c, container_id, &why);
    if (io == NULL) {
        return error_set(err, why.code, "%s", why.text);
    }
    listener->io = io;
    listener->is_paused = false;
    list_append(&io->listeners, &listener->link);
    arrange(io);
    return 0;
}

void containerizer_detach(struct container_listener *listener)
{
    struct container_io *io = TAKE_PTR(listener->io);
    if (io == NULL) {
        return;
    }
    io->pauses -= listener->is_paused;
    list_remove(&listener->link);
    arrange(io);
}

void containerizer_pause_output(struct container_listener *listener, bool is_paused)
{
    struct container_io *io = listener->io;
    if (io == NULL || listener->is_paused == is_paused) {
        return;
    }
    listener->is_paused = is_paused;
    io->pauses += is_paused ? 1 : -1u;
    arrange(io);
}

int containerizer_write(struct containerizer *c, const char *container_id, const void *data,
                        size_t size, struct error *err)
{
    struct container_io *io = find(c, container_id, err);
    if (io == NULL) {
        return -ENOENT;
    }
    if (io->input_fd < 0 || io->closes_input) {
        return error_set(err, -EPIPE, "Failed writing to stdin: it is closed");
    }
    if (io->pending.size + size > INPUT_QUEUE_MAX) {
        return error_set(err, -ENOBUFS, "Failed writing to stdin: too much of it was not read");
    }
    buf_append(&io->pending, data, size);
    if (io->input.fd < 0) {
        push(io); // else it waits for room, and who waits with it is told then
    }
    return io->pending.size > 0 ? 1 : 0;
}

int containerizer_close_input(struct containerizer *c, const char *container_id, struct error *err)
{
    struct container_io *io = find(c, container_id, err);
    if (io == NULL) {
        return -ENOENT;
    }
    if (io->has_tty || io->input_fd < 0) {
        return 0; // a terminal's end is a character
    }
    io->closes_input = true;
    if (io->pending.size == 0) {
        close_input(io);
    }
    return 0;
}

int containerizer_resize(struct containerizer *c, const char *container_id, uint16_t rows,
                         uint16_t columns, struct error *err)
{
    struct container_io *io = find(c, container_id, err);
    if (io == NULL) {
        return -ENOENT;
    }
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    int fd = io->input_fd >= 0 ? io->input_fd : io->output_fds[0];
    if (ioctl(fd, TIOCSWINSZ, &size) < 0) {
        return error_errno(err, -errno, "Unable to set the window size");
    }
    return 0;
}
