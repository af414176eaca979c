// SPDX-License-Identifier: Apache-2.0
//
// See transport.h. Output is a list of blocks; small writes fill the last one. At the turn's end
// the blocks go out by uv_try_write; what the kernel does not take then goes by uv_write, of which
// at most one is under way. An idle connection holds no block and no buffer: blocks that are done
// with are kept for whoever writes next, up to a bound.

#include "net/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

#define TRANSPORT_MAGIC UINT32_C(0x54525031)
#define CONNECT_MAX_NS (5 * NS_PER_S)

enum {
    READ_BUFFER_SIZE = 64 * 1024,
    BLOCK_CLASSES = 3,
    SPARE_SIZE_MAX = 256 * 1024, // bytes of spare blocks in each class
    WRITE_BLOCK_COUNT = 32,      // blocks in one write
    WRITE_SIZE_MAX = 512 * 1024, // bytes in one write, so that progress can be seen
    KEEP_ALIVE_S = 60,
};

struct block {
    struct block *next;
    char *data;    // behind the block, or an owned buffer
    size_t offset; // already written
    size_t size;   // filled
    size_t capacity;
    unsigned class; // of its capacity; BLOCK_CLASSES: it has one of its own
};

// Exists while transport_connect is at work.
struct connecting {
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *found;
    const struct addrinfo *next;
    struct sockaddr_storage literal; // when the host is an address
    struct transport *transport;
    struct timer patience; // with the address that is tried
    char *host;
    uint16_t port;
    bool resolving;
};

struct transport {
    uint32_t magic;
    bool reading;
    bool resting; // it has had its share of this turn; read on in the next
    bool connected;
    bool finishing; // FIN when drained
    bool finished;
    bool drained_is_due; // on_drained has not been told yet
    bool closing;        // transport_close was called
    bool handle_closed;
    int broken; // the code that broke it
    bool end_told;
    struct env *env;
    const struct transport_callbacks *callbacks;
    void *ctx;
    struct block *first;
    struct block *last;
    size_t queued;       // bytes in blocks
    uv_write_t *writing; // the write under way
    size_t writing_size;
    struct connecting *connecting;
    struct env_hook hook;
    uv_tcp_t tcp;
};

// A connection's first block is of the first class, those behind it of ever larger ones.
static const size_t class_capacity[BLOCK_CLASSES] = {512, 4 * 1024, 16 * 1024};

// Blocks that nobody uses. None under the address sanitizer: there each is to be malloc's own.
struct spare_blocks {
    struct block *first;
    size_t size; // their capacities
};

static _Thread_local struct spare_blocks spares[BLOCK_CLASSES];
static _Thread_local char read_buffer[READ_BUFFER_SIZE];
static _Thread_local size_t open_count; // transports that were not closed

static void flush(struct transport *t);
static void read_on(struct transport *t);

// ---- life ----

static void connecting_free(struct connecting *c)
{
    if (c == NULL) {
        return;
    }
    if (c->found != NULL) {
        uv_freeaddrinfo(c->found);
    }
    mem_free(c->host);
    mem_free(c);
}

static void block_free(struct block *block)
{
    struct spare_blocks *spare = block->class < BLOCK_CLASSES ? &spares[block->class] : NULL;
    if (spare != NULL && !ARENA_SEPARATE && spare->size + block->capacity <= SPARE_SIZE_MAX) {
        block->next = spare->first;
        spare->first = block;
        spare->size += block->capacity;
        return;
    }
    if (block->data != (char *)(block + 1)) {
        mem_free(block->data);
    }
    mem_free(block);
}

static void drop_blocks(struct transport *t)
{
    while (t->first != NULL) {
        struct block *block = t->first;
        t->first = block->next;
        block_free(block);
    }
    t->last = NULL;
    t->queued = 0;
}

static void free_when_done(struct transport *t)
{
    if (!t->closing || !t->handle_closed || (t->connecting != NULL && t->connecting->resolving)) {
        return;
    }
    drop_blocks(t);
    connecting_free(t->connecting);
    t->magic = 0;
    mem_free(t);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, handle->data);
    t->handle_closed = true;
    free_when_done(t);
}

static void on_hook(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct transport *t = CONTAINER_OF(hook, struct transport, hook);
    CHECK(t->magic == TRANSPORT_MAGIC);
    if (t->resting) {
        t->resting = false;
        read_on(t);
    }
    flush(t);
}

// The handle is not initialised yet.
static struct transport *transport_alloc(struct env *env)
{
    struct transport *t = mem_zalloc(sizeof(*t));
    t->magic = TRANSPORT_MAGIC;
    open_count++;
    t->env = env;
    list_init(&t->hook.link);
    t->hook.run = on_hook;
    return t;
}

static struct transport *transport_new(struct env *env)
{
    struct transport *t = transport_alloc(env);
    CHECK(uv_tcp_init(env_loop(env), &t->tcp) == 0);
    t->tcp.data = t;
    return t;
}

struct transport *transport_close(struct transport *t)
{
    if (t == NULL) {
        return NULL;
    }
    CHECK(t->magic == TRANSPORT_MAGIC && !t->closing);
    t->closing = true;
    open_count--;
    t->callbacks = NULL;
    env_hook_cancel(&t->hook);
    if (t->connecting != NULL) {
        env_timer_cancel(t->env, &t->connecting->patience);
    }
    if (t->connecting != NULL && t->connecting->resolving) {
        uv_cancel((uv_req_t *)&t->connecting->resolve);
    }
    // While the next address is prepared the handle is already closing (see try_next).
    if (!uv_is_closing((uv_handle_t *)&t->tcp)) {
        uv_close((uv_handle_t *)&t->tcp, on_handle_closed);
    }
    return NULL;
}

void transport_set_owner(struct transport *t, const struct transport_callbacks *callbacks,
                         void *ctx)
{
    t->callbacks = callbacks;
    t->ctx = ctx;
}

static void socket_prepare(uv_tcp_t *tcp)
{
    // Neither is worth losing a connection for.
    uv_tcp_nodelay(tcp, 1);
    uv_tcp_keepalive(tcp, 1, KEEP_ALIVE_S);
}

// Linux hands both options down to what is accepted: five system calls fewer for each.
void transport_prepare_listener(uv_tcp_t *listener)
{
    socket_prepare(listener);
}

struct transport *transport_accept(struct env *env, uv_stream_t *listener)
{
    struct transport *t = transport_new(env);
    if (uv_accept(listener, (uv_stream_t *)&t->tcp) != 0) {
        return transport_close(t);
    }
    t->connected = true;
    return t;
}

size_t transport_count(void)
{
    return open_count;
}

// The loop tells the owner; see flush.
static void break_with(struct transport *t, int code)
{
    if (t->broken == 0) {
        t->broken = code;
        env_at_turn_end(t->env, &t->hook);
    }
}

// ---- reading ----

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)handle;
    (void)suggested;
    ret_buffer->base = read_buffer;
    ret_buffer->len = sizeof(read_buffer);
}

// One buffer a turn: who sends more than that, without end perhaps, takes turns with the others.
static void rest(struct transport *t)
{
    if (!t->closing && t->reading) {
        uv_read_stop((uv_stream_t *)&t->tcp);
        t->resting = true;
        env_at_turn_end(t->env, &t->hook);
    }
}

static void on_uv_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, stream->data);
    if (size > 0) {
        t->callbacks->on_read(t->ctx, buffer->base, (size_t)size);
        if ((size_t)size == buffer->len) {
            rest(t);
        }
        return;
    }
    if (size == 0) {
        return;
    }
    uv_read_stop(stream);
    t->reading = false;
    if (size == UV_EOF) {
        t->callbacks->on_end(t->ctx, 0);
        return;
    }
    t->broken = (int)size;
    if (!t->end_told) {
        t->end_told = true;
        t->callbacks->on_end(t->ctx, (int)size);
    }
}

static void read_on(struct transport *t)
{
    if (!t->reading || t->resting || t->broken != 0) {
        return;
    }
    int r = uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_uv_read);
    if (r < 0 && r != UV_EALREADY) {
        t->reading = false;
        break_with(t, r);
    }
}

void transport_read(struct transport *t, bool on)
{
    CHECK(t->magic == TRANSPORT_MAGIC && !t->closing);
    if (t->reading == on || t->broken != 0) {
        return;
    }
    t->reading = on;
    if (!on) {
        uv_read_stop((uv_stream_t *)&t->tcp);
        return;
    }
    read_on(t);
}

// ---- writing ----

static void append_block(struct transport *t, struct block *block, char *data, size_t capacity,
                         unsigned class)
{
    *block = (struct block){.data = data, .capacity = capacity, .class = class};
    if (t->last == NULL) {
        t->first = block;
    } else {
        t->last->next = block;
    }
    t->last = block;
}

// A block with room for `size` behind the others; returns that room.
static char *add_block(struct transport *t, size_t size)
{
    unsigned class = t->last == NULL ? 0 : t->last->class + 1;
    if (class >= BLOCK_CLASSES) {
        class = BLOCK_CLASSES - 1;
    }
    while (class < BLOCK_CLASSES && class_capacity[class] < size) {
        class ++;
    }
    struct spare_blocks *spare = class < BLOCK_CLASSES ? &spares[class] : NULL;
    struct block *block;
    size_t capacity = spare != NULL ? class_capacity[class] : size;
    if (spare != NULL && spare->first != NULL) {
        block = spare->first;
        spare->first = block->next;
        spare->size -= capacity;
    } else {
        block = mem_alloc(sizeof(*block) + capacity);
    }
    append_block(t, block, (char *)(block + 1), capacity, class);
    return block->data;
}

static void ask_flush(struct transport *t)
{
    t->drained_is_due = true;
    if (t->writing == NULL && t->connected) {
        env_at_turn_end(t->env, &t->hook);
    }
}

char *transport_reserve(struct transport *t, size_t size)
{
    CHECK(t->magic == TRANSPORT_MAGIC && !t->finishing);
    struct block *last = t->last;
    if (last == NULL || last->capacity - last->size < size) {
        return add_block(t, size);
    }
    return last->data + last->size;
}

void transport_commit(struct transport *t, size_t size)
{
    CHECK(t->last != NULL && t->last->capacity - t->last->size >= size);
    if (t->broken != 0) {
        return;
    }
    t->last->size += size;
    t->queued += size;
    if (t->queued == size) {
        ask_flush(t); // else that was done with what is queued already
    }
}

void transport_write(struct transport *t, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    memcpy(transport_reserve(t, size), data, size);
    transport_commit(t, size);
}

void transport_write_owned(struct transport *t, char *data, size_t size)
{
    CHECK(t->magic == TRANSPORT_MAGIC && !t->finishing);
    if (size == 0 || t->broken != 0) {
        mem_free(data);
        return;
    }
    append_block(t, mem_alloc(sizeof(struct block)), data, size, BLOCK_CLASSES);
    t->last->size = size;
    t->queued += size;
    ask_flush(t);
}

size_t transport_write_now(struct transport *t, const void *data, size_t size)
{
    CHECK(t->magic == TRANSPORT_MAGIC && !t->finishing);
    if (t->queued > 0 || t->writing != NULL || !t->connected || t->broken != 0) {
        return 0;
    }
    uv_buf_t buffer = {.base = (char *)(uintptr_t)data, .len = size};
    int n = uv_try_write((uv_stream_t *)&t->tcp, &buffer, 1);
    if (n < 0 && n != UV_EAGAIN) {
        break_with(t, n);
    }
    return n > 0 ? (size_t)n : 0;
}

size_t transport_queued(const struct transport *t)
{
    if (t->writing == NULL) {
        return t->queued;
    }
    // Of the write under way, the kernel has taken a part already.
    return t->queued - t->writing_size + uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp);
}

void transport_finish(struct transport *t)
{
    if (!t->finishing) {
        t->finishing = true;
        t->drained_is_due = true;
        if (t->writing == NULL && t->connected) {
            env_at_turn_end(t->env, &t->hook);
        }
    }
}

static void consume(struct transport *t, size_t size)
{
    CHECK(t->queued >= size);
    t->queued -= size;
    while (size > 0) {
        struct block *block = t->first;
        CHECK(block != NULL);
        size_t left = block->size - block->offset;
        if (left > size) {
            block->offset += size;
            return;
        }
        size -= left;
        t->first = block->next;
        if (t->first == NULL) {
            t->last = NULL;
        }
        block_free(block);
    }
}

static unsigned gather(const struct transport *t, uv_buf_t buffers[WRITE_BLOCK_COUNT],
                       size_t *ret_size)
{
    unsigned count = 0;
    size_t size = 0;
    for (struct block *block = t->first;
         block != NULL && count < WRITE_BLOCK_COUNT && size < WRITE_SIZE_MAX; block = block->next) {
        size_t left = block->size - block->offset;
        if (left == 0) {
            continue;
        }
        if (left > WRITE_SIZE_MAX - size) {
            left = WRITE_SIZE_MAX - size;
        }
        buffers[count].base = block->data + block->offset;
        buffers[count].len = left;
        count++;
        size += left;
    }
    *ret_size = size;
    return count;
}

static void on_written(uv_write_t *request, int status)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, request->data);
    mem_free(request);
    size_t size = t->writing_size;
    t->writing = NULL;
    t->writing_size = 0;
    if (t->closing) {
        return;
    }
    if (status < 0) {
        break_with(t, status);
        return;
    }
    consume(t, size);
    ask_flush(t); // not at once: what was queued in this turn may have to wait for its end
}

static void write_later(struct transport *t)
{
    uv_buf_t buffers[WRITE_BLOCK_COUNT];
    size_t size;
    unsigned count = gather(t, buffers, &size);
    t->writing = mem_alloc(sizeof(*t->writing));
    t->writing->data = t;
    t->writing_size = size;
    int r = uv_write(t->writing, (uv_stream_t *)&t->tcp, buffers, count, on_written);
    if (r < 0) {
        mem_free(t->writing);
        t->writing = NULL;
        t->writing_size = 0;
        break_with(t, r);
    }
}

static void tell_broken(struct transport *t)
{
    if (t->writing == NULL) {
        drop_blocks(t);
    }
    if (!t->end_told && t->callbacks != NULL) {
        t->end_told = true;
        t->callbacks->on_end(t->ctx, t->broken);
    }
}

static void flush(struct transport *t)
{
    if (t->broken != 0) {
        tell_broken(t);
        return;
    }
    if (t->writing != NULL || !t->connected) {
        return;
    }
    while (t->queued > 0) {
        uv_buf_t buffers[WRITE_BLOCK_COUNT];
        size_t size;
        unsigned count = gather(t, buffers, &size);
        int n = uv_try_write((uv_stream_t *)&t->tcp, buffers, count);
        if (n < 0 && n != UV_EAGAIN) {
            t->broken = n;
            tell_broken(t);
            return;
        }
        if (n > 0) {
            consume(t, (size_t)n);
        }
        if (n < 0 || (size_t)n < size) {
            write_later(t);
            return;
        }
    }
    drop_blocks(t);
    if (t->finishing && !t->finished) {
        t->finished = true;
        uv_os_fd_t fd;
        if (uv_fileno((uv_handle_t *)&t->tcp, &fd) == 0) {
            shutdown(fd, SHUT_WR);
        }
    }
    if (t->drained_is_due && t->callbacks != NULL) {
        t->drained_is_due = false;
        if (t->callbacks->on_drained != NULL) {
            t->callbacks->on_drained(t->ctx);
        }
    }
}

// ---- connecting ----

static void try_next(struct transport *t);

static void connect_failed(struct transport *t, int code)
{
    struct connecting *c = t->connecting;
    env_timer_cancel(t->env, &c->patience);
    struct error err;
    error_set(&err, code, "cannot connect to %s:%u: %s", c->host, c->port, uv_strerror(code));
    t->broken = code;
    t->end_told = true;
    t->callbacks->on_connect(t->ctx, &err);
}

static void on_uv_connect(uv_connect_t *request, int status)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, request->data);
    if (t->closing || t->broken != 0 || status == UV_ECANCELED) {
        return; // given up, or with the next address already
    }
    struct connecting *c = t->connecting;
    env_timer_cancel(t->env, &c->patience);
    if (status < 0) {
        if (c->next != NULL) {
            try_next(t);
        } else {
            connect_failed(t, status);
        }
        return;
    }
    connecting_free(c);
    t->connecting = NULL;
    t->connected = true;
    socket_prepare(&t->tcp);
    if (t->queued > 0 || t->finishing) {
        env_at_turn_end(t->env, &t->hook);
    }
    t->callbacks->on_connect(t->ctx, NULL);
}

static int connect_to(struct transport *t, const struct sockaddr *address)
{
    t->connecting->connect.data = t;
    env_timer_set(t->env, &t->connecting->patience, CONNECT_MAX_NS);
    return uv_tcp_connect(&t->connecting->connect, &t->tcp, address, on_uv_connect);
}

static void on_reopen(uv_handle_t *handle)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, handle->data);
    if (t->closing) {
        t->handle_closed = true;
        free_when_done(t);
        return;
    }
    CHECK(uv_tcp_init(env_loop(t->env), &t->tcp) == 0);
    t->tcp.data = t;
    struct connecting *c = t->connecting;
    const struct sockaddr *address = c->next->ai_addr;
    c->next = c->next->ai_next;
    int r = connect_to(t, address);
    if (r < 0) {
        if (c->next != NULL) {
            try_next(t);
        } else {
            connect_failed(t, r);
        }
    }
}

// Whoever does not answer now (a machine that went, a cable that was cut) is asked anew by the
// owner, rather than when the kernel's ever rarer tries happen to get through.
static void patience_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct transport *t = CONTAINER_OF(timer, struct connecting, patience)->transport;
    CHECK(t->magic == TRANSPORT_MAGIC && !t->closing);
    if (t->connecting->next != NULL) {
        try_next(t);
    } else {
        connect_failed(t, UV_ETIMEDOUT);
    }
}

// A TCP handle connects once: the next address needs a new one in the same place.
static void try_next(struct transport *t)
{
    uv_close((uv_handle_t *)&t->tcp, on_reopen);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct transport *t = CHECK_CAST(transport, TRANSPORT_MAGIC, request->data);
    struct connecting *c = t->connecting;
    c->resolving = false;
    c->found = found;
    if (t->closing) {
        free_when_done(t);
        return;
    }
    if (status < 0) {
        connect_failed(t, status);
        return;
    }
    c->next = found;
    try_next(t);
}

// The connection could not even be begun: the loop tells the owner, not this call.
static void on_begin_failed(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct transport *t = CONTAINER_OF(hook, struct transport, hook);
    t->hook.run = on_hook;
    connect_failed(t, t->broken);
}

static struct connecting *connecting_new(struct transport *t, const char *host, uint16_t port)
{
    struct connecting *c = mem_zalloc(sizeof(*c));
    c->transport = t;
    c->patience.run = patience_is_over;
    size_t size = strlen(host);
    bool brackets = size >= 2 && host[0] == '[' && host[size - 1] == ']';
    c->host = brackets ? mem_strndup(host + 1, size - 2) : mem_strdup(host);
    c->port = port;
    t->connecting = c;
    return c;
}

struct transport *transport_connect(struct env *env, const char *host, uint16_t port,
                                    const struct transport_callbacks *callbacks, void *ctx)
{
    struct transport *t = transport_new(env);
    transport_set_owner(t, callbacks, ctx);
    struct connecting *c = connecting_new(t, host, port);
    int r;
    if (uv_ip4_addr(c->host, port, (struct sockaddr_in *)&c->literal) == 0 ||
        uv_ip6_addr(c->host, port, (struct sockaddr_in6 *)&c->literal) == 0) {
        r = connect_to(t, (struct sockaddr *)&c->literal);
    } else {
        char service[8];
        snprintf(service, sizeof(service), "%u", port);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        c->resolve.data = t;
        r = uv_getaddrinfo(env_loop(env), &c->resolve, on_resolved, c->host, service, &hints);
        c->resolving = r == 0;
    }
    if (r < 0) {
        t->broken = r;
        t->hook.run = on_begin_failed;
        env_at_turn_end(env, &t->hook);
    }
    return t;
}

// The kernel chooses the port when it knows where to: so many connections share one source.
static int bind_to(struct transport *t, const struct sockaddr_in *source)
{
    int r = uv_tcp_init_ex(env_loop(t->env), &t->tcp, AF_INET);
    if (r < 0) {
        CHECK(uv_tcp_init(env_loop(t->env), &t->tcp) == 0);
        return r;
    }
    uv_os_fd_t fd;
    int yes = 1;
    CHECK(uv_fileno((uv_handle_t *)&t->tcp, &fd) == 0);
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) < 0) {
        return -errno;
    }
    return uv_tcp_bind(&t->tcp, (const struct sockaddr *)source, 0);
}

struct transport *transport_connect_from(struct env *env, const char *source, const char *host,
                                         uint16_t port, const struct transport_callbacks *callbacks,
                                         void *ctx)
{
    struct transport *t = transport_alloc(env);
    transport_set_owner(t, callbacks, ctx);
    connecting_new(t, host, port);
    struct sockaddr_in from = {0};
    int r = uv_ip4_addr(source, 0, &from);
    if (r < 0) {
        CHECK(uv_tcp_init(env_loop(env), &t->tcp) == 0);
    } else {
        r = bind_to(t, &from);
    }
    t->tcp.data = t;
    if (r == 0) {
        r = uv_ip4_addr(host, port, (struct sockaddr_in *)&t->connecting->literal);
    }
    if (r == 0) {
        r = connect_to(t, (struct sockaddr *)&t->connecting->literal);
    }
    if (r < 0) {
        t->broken = r;
        t->hook.run = on_begin_failed;
        env_at_turn_end(env, &t->hook);
    }
    return t;
}

// ---- names ----

static int address_ip(const struct sockaddr_storage *address, char *ret_ip, size_t size,
                      unsigned *ret_port)
{
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        *ret_port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            return uv_inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], ret_ip, size);
        }
        return uv_ip6_name(in6, ret_ip, size);
    }
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const unsigned char *ip = (const unsigned char *)&in->sin_addr;
    *ret_port = ntohs(in->sin_port);
    // Not uv_ip4_name: it goes through printf, and each new connection would pay for it.
    text_format(ret_ip, size, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    return 0;
}

void transport_peer(const struct transport *t, char ret_name[TRANSPORT_NAME_SIZE])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    char ip[INET6_ADDRSTRLEN + 1];
    unsigned port;
    ret_name[0] = '\0';
    if (uv_tcp_getpeername(&t->tcp, (struct sockaddr *)&address, &size) == 0 &&
        address_ip(&address, ip, sizeof(ip), &port) == 0) {
        text_format(ret_name, TRANSPORT_NAME_SIZE, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
    }
}

void transport_local_ip(const struct transport *t, char ret_ip[TRANSPORT_NAME_SIZE])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    unsigned port;
    ret_ip[0] = '\0';
    if (uv_tcp_getsockname(&t->tcp, (struct sockaddr *)&address, &size) == 0 &&
        address_ip(&address, ret_ip, TRANSPORT_NAME_SIZE, &port) != 0) {
        ret_ip[0] = '\0';
    }
}
