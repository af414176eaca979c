// SPDX-License-Identifier: Apache-2.0

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

static void on_abort(void *ctx, struct http_request *r)
{
    struct harness *h = ctx;
    assert_ptr_equal(h->kept, r);
    h->kept = NULL;
    h->aborted++;
}

static void on_stream_close(void *ctx, struct http_stream *s)
{
    struct harness *h = ctx;
    assert_ptr_equal(h->stream, s);
    h->stream = NULL;
    h->stream_closed++;
}

static void on_upgraded(void *ctx, struct transport *transport, const void *extra, size_t size)
{
    struct harness *h = ctx;
    h->upgraded = transport;
    if (transport != NULL) {
        transport_read(transport, false); // nobody is its owner
    }
    buf_append(&h->upgraded_extra, extra, size);
    h->upgrade_failed += transport == NULL;
}

static void respond_info(struct http_request *r)
{
    const char *a = http_query(r, "a");
    const char *x = http_get_header(r, "x");
    size_t size;
    http_body(r, &size);
    http_respond_text(r, 200, "%s %s a=%s x=%s body=%zu\n", http_method(r), http_path(r),
                      a != NULL ? a : "-", x != NULL ? x : "-", size);
}

static void handle(void *ctx, struct http_request *r)
{
    struct harness *h = ctx;
    h->handled++;
    if (h->handler != NULL) {
        h->handler(h->handler_ctx, r);
        return;
    }
    const char *path = http_path(r);
    size_t size;
    const void *body = http_body(r, &size);
    if (strcmp(path, "/echo") == 0) {
        http_respond(r, 200, "application/octet-stream", body, size, NULL, 0);
    } else if (strcmp(path, "/none") == 0) {
        http_respond_status(r, 202);
    } else if (strcmp(path, "/keep") == 0 || strcmp(path, "/orphan") == 0) {
        h->kept = r;
        if (path[1] == 'k') {
            http_on_abort(r, on_abort, h);
        }
    } else if (strcmp(path, "/stream") == 0) {
        h->stream = http_respond_stream(r, "application/json", NULL, 0, on_stream_close, h);
    } else if (strcmp(path, "/upgrade") == 0) {
        http_upgrade(r, "test/1", on_upgraded, h);
    } else if (strcmp(path, "/file") == 0) {
        http_respond_file(r, 200, "text/plain", dup(h->file_fd), 0, h->file_size, NULL, 0);
    } else if (strcmp(path, "/evil") == 0) {
        struct http_header headers[] = {{"X-Evil", "a\r\nSet-Cookie: b"}};
        http_respond(r, 200, "text/plain", "e", 1, headers, 1);
    } else if (strcmp(path, "/form") == 0) {
        const char *a = http_form(r, "a");
        http_respond_text(r, 200, "%s\n", a != NULL ? a : "-");
    } else if (strcmp(path, "/free") == 0) {
        h->server = http_server_free(h->server);
    } else if (strcmp(path, "/") == 0 || strcmp(path, "*") == 0 || strncmp(path, "/i", 2) == 0) {
        respond_info(r);
    } else {
        http_respond_text(r, 404, "No such path\n");
    }
}

void harness_init(struct harness *h, const struct http_options *options)
{
    memset(h, 0, sizeof(*h));
    struct error err;
    h->file_fd = -1;
    assert_int_equal(env_new(&h->env, &err), 0);
    assert_int_equal(http_server_new(h->env, options, handle, h, &h->server, &err), 0);
    assert_int_equal(http_server_listen(h->server, "127.0.0.1", 0, &err), 0);
    h->port = http_server_port(h->server);
}

void harness_free(struct harness *h)
{
    h->server = http_server_free(h->server);
    h->upgraded = transport_close(h->upgraded);
    buf_free(&h->upgraded_extra);
    if (h->file_fd >= 0) {
        close(h->file_fd);
    }
    h->env = env_free(h->env);
}

void harness_turn(struct harness *h)
{
    uv_run(env_loop(h->env), UV_RUN_NOWAIT);
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void harness_turn_for(struct harness *h, int ms)
{
    int64_t end = now_ms() + ms;
    do {
        harness_turn(h);
        poll(NULL, 0, 1);
    } while (now_ms() < end);
    harness_turn(h);
}

int harness_dial(struct harness *h)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(h->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void harness_send(struct harness *h, int fd, const void *data, size_t size)
{
    const char *at = data;
    int64_t end = now_ms() + 5000;
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            return; // the peer has closed: what it said before is what counts
        }
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
        harness_turn(h);
        assert_true(now_ms() < end);
    }
}

void harness_puts(struct harness *h, int fd, const char *text)
{
    harness_send(h, fd, text, strlen(text));
}

void harness_receive(struct harness *h, int fd, struct buf *out, const char *until)
{
    int64_t end = now_ms() + 5000;
    for (;;) {
        if (until != NULL && out->data != NULL && strstr(out->data, until) != NULL) {
            return;
        }
        harness_turn(h);
        char bytes[65536];
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            buf_append(out, bytes, (size_t)n);
        } else if (n == 0 || errno != EAGAIN) {
            if (until != NULL) {
                print_error("closed before \"%s\", after: %s\n", until, out->data);
            }
            assert_null(until);
            return;
        } else {
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1);
        }
        if (now_ms() > end) {
            print_error("no \"%s\" in: %s\n", until != NULL ? until : "end", out->data);
        }
        assert_true(now_ms() <= end);
    }
}

void harness_ask(struct harness *h, const char *request, struct buf *out)
{
    int fd = harness_dial(h);
    harness_puts(h, fd, request);
    shutdown(fd, SHUT_WR);
    harness_receive(h, fd, out, NULL);
    close(fd);
    buf_append(out, "", 0);
}

int harness_listen(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int harness_accept(struct harness *h, int listener)
{
    int64_t end = now_ms() + 5000;
    for (;;) {
        harness_turn(h);
        struct pollfd p = {.fd = listener, .events = POLLIN};
        if (poll(&p, 1, 1) == 1) {
            return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        }
        assert_true(now_ms() < end);
    }
}

void harness_drop_dates(struct buf *b)
{
    char *at = b->data;
    while (at != NULL && (at = strstr(at, "Date: ")) != NULL) {
        char *end = strstr(at, "\r\n") + 2;
        memmove(at, end, strlen(end) + 1);
    }
}

void harness_reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}
