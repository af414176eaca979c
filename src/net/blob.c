// SPDX-License-Identifier: Apache-2.0
//
// Large bodies in blocks that never change once they are handed out: several answers share one,
// each is sent a piece at a time, in the background. The kernel takes a piece out of the block
// itself. What it does not take stays there, but for a little that is queued, and whose leaving
// tells when there is room again: so a slow reader holds no more than its share of the blob.

#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define BLOB_MAGIC UINT32_C(0x424c4f42)
#define BLOB_SENDER_MAGIC UINT32_C(0x424c5344)

enum {
    PIECE_SIZE = HTTP_BLOCK_SIZE,
    QUEUED_SIZE = 4 * 1024, // of a piece that the kernel did not take
    PACKED_BLOCK_SIZE = 256 * 1024,
    GZIP_WINDOW_BITS = 15 + 16,
};

struct blob_block {
    char *data;
    size_t size;
    size_t capacity;
};

struct http_blob {
    uint32_t magic;
    uint32_t holders;
    uint32_t sender_count; // of holders
    size_t size;
    struct blob_block *blocks;
    size_t count;
    size_t capacity;
    struct list senders; // blob_sender.by_blob
    void (*on_gone)(void *ctx, struct http_blob *b);
    void *ctx;
};

struct blob_sender {
    uint32_t magic;
    struct list by_blob;
    struct env *env;
    struct conn *conn;
    struct http_blob *blob;
    size_t block;  // the next piece: of this block,
    size_t offset; // from here
    // At the end: the answer is whole, or a stream goes on.
    bool keep_alive;
    bool chunked; // a stream's: the end of the chunk is to be written
    void (*on_sent)(void *ctx);
    void *ctx;
    struct env_hook hook;
};

// ---- blocks ----

struct spare_block {
    struct spare_block *next;
};

static struct spare_block *spare_blocks;
static size_t spare_count, spare_count_max;

void http_blocks_keep(size_t size_max)
{
    spare_count_max = size_max / HTTP_BLOCK_SIZE;
}

char *http_block_new(void)
{
    struct spare_block *spare = spare_blocks;
    if (spare == NULL) {
        return mem_alloc(HTTP_BLOCK_SIZE);
    }
    spare_blocks = spare->next;
    spare_count--;
    return (char *)spare;
}

static void block_free(struct blob_block *block)
{
    void *data = TAKE_PTR(block->data);
    if (data == NULL || block->capacity != HTTP_BLOCK_SIZE || spare_count >= spare_count_max) {
        mem_free(data);
        return;
    }
    struct spare_block *spare = data;
    spare->next = spare_blocks;
    spare_blocks = spare;
    spare_count++;
}

bool http_blocks_drop(size_t count)
{
    for (; count > 0 && spare_blocks != NULL; count--) {
        struct spare_block *spare = spare_blocks;
        spare_blocks = spare->next;
        spare_count--;
        mem_free(spare);
    }
    return spare_blocks != NULL;
}

// ---- blobs ----

struct http_blob *http_blob_new(void)
{
    struct http_blob *b = mem_zalloc(sizeof(*b));
    b->magic = BLOB_MAGIC;
    b->holders = 1;
    list_init(&b->senders);
    return b;
}

void http_blob_add(struct http_blob *b, char *data, size_t size, size_t capacity)
{
    CHECK(b->magic == BLOB_MAGIC);
    if (size == 0) {
        mem_free(data);
        return;
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity > 0 ? 2 * b->capacity : 16;
        b->blocks = mem_realloc_array(b->blocks, b->capacity, sizeof(*b->blocks));
    }
    b->blocks[b->count++] = (struct blob_block){data, size, capacity};
    b->size += size;
}

void http_blob_join(struct http_blob *b, struct http_blob *other)
{
    CHECK(other->magic == BLOB_MAGIC && other->holders == 1);
    for (size_t i = 0; i < other->count; i++) {
        const struct blob_block *block = &other->blocks[i];
        http_blob_add(b, block->data, block->size, block->capacity);
    }
    other->count = 0;
    http_blob_release(other);
}

size_t http_blob_size(const struct http_blob *b)
{
    return b->size;
}

struct http_blob *http_blob_hold(struct http_blob *b)
{
    CHECK(b->magic == BLOB_MAGIC);
    b->holders++;
    return b;
}

struct http_blob *http_blob_release(struct http_blob *b)
{
    if (b == NULL) {
        return NULL;
    }
    CHECK(b->magic == BLOB_MAGIC && b->holders > 0);
    if (--b->holders > 0) {
        return NULL;
    }
    if (b->on_gone != NULL) {
        b->on_gone(b->ctx, b);
    }
    for (size_t i = 0; i < b->count; i++) {
        block_free(&b->blocks[i]);
    }
    mem_free(b->blocks);
    b->magic = 0;
    mem_free(b);
    return NULL;
}

void http_blob_watch(struct http_blob *b, void (*on_gone)(void *ctx, struct http_blob *b),
                     void *ctx)
{
    b->on_gone = on_gone;
    b->ctx = ctx;
}

size_t http_blob_cut(struct http_blob *b)
{
    size_t count = 0;
    LIST_FOREACH (&b->senders, struct blob_sender, by_blob, sender) {
        conn_break_later(sender->conn);
        count++;
    }
    return count;
}

char *http_blob_copy(const struct http_blob *b)
{
    char *whole = mem_alloc(b->size + 1), *at = whole;
    for (size_t i = 0; i < b->count; i++) {
        memcpy(at, b->blocks[i].data, b->blocks[i].size);
        at += b->blocks[i].size;
    }
    *at = '\0';
    return whole;
}

// ---- sending ----

static void sender_free(struct blob_sender *sender)
{
    env_hook_cancel(&sender->hook);
    list_remove(&sender->by_blob);
    sender->blob->sender_count--;
    http_blob_release(sender->blob);
    sender->magic = 0;
    mem_free(sender);
}

static void finish(struct blob_sender *sender)
{
    struct conn *conn = sender->conn;
    bool keep_alive = sender->keep_alive;
    void (*on_sent)(void *) = sender->on_sent;
    void *ctx = sender->ctx;
    if (sender->chunked) {
        transport_write(conn_transport(conn), "\r\n", 2);
    }
    conn_set_blob(conn, NULL);
    sender_free(sender);
    if (on_sent != NULL) {
        on_sent(ctx);
    } else {
        conn_answered(conn, keep_alive);
    }
}

// A block that all have sent goes at once, if nobody else can want it: to free a whole answer takes
// milliseconds.
static void drop_block(struct http_blob *b, size_t which)
{
    if (b->holders > b->sender_count) {
        return;
    }
    LIST_FOREACH (&b->senders, struct blob_sender, by_blob, sender) {
        if (sender->block <= which) {
            return;
        }
    }
    block_free(&b->blocks[which]);
}

static void send_piece(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct blob_sender *sender = CONTAINER_OF(hook, struct blob_sender, hook);
    CHECK(sender->magic == BLOB_SENDER_MAGIC);
    struct http_blob *b = sender->blob;
    if (b->count == 0) {
        finish(sender);
        return;
    }
    struct transport *t = conn_transport(sender->conn);
    const struct blob_block *block = &b->blocks[sender->block];
    const char *data = block->data + sender->offset;
    size_t left = block->size - sender->offset;
    size_t size = left < PIECE_SIZE ? left : PIECE_SIZE;
    size_t sent = transport_write_now(t, data, size);
    bool is_waiting = sent < size;
    if (is_waiting) {
        size_t queued = size - sent < QUEUED_SIZE ? size - sent : QUEUED_SIZE;
        transport_write(t, data + sent, queued);
        sent += queued;
    }
    sender->offset += sent;
    if (sender->offset == block->size) {
        sender->block++;
        sender->offset = 0;
        drop_block(b, sender->block - 1);
    }
    if (sender->block == b->count) {
        finish(sender);
    } else if (!is_waiting) {
        env_in_background(sender->env, &sender->hook);
    }
}

void blob_sender_drained(struct blob_sender *sender)
{
    CHECK(sender->magic == BLOB_SENDER_MAGIC);
    env_in_background(sender->env, &sender->hook);
}

void blob_sender_new(struct env *env, struct conn *conn, struct http_blob *blob, bool keep_alive,
                     bool chunked, void (*on_sent)(void *ctx), void *ctx)
{
    struct blob_sender *sender = mem_zalloc(sizeof(*sender));
    sender->magic = BLOB_SENDER_MAGIC;
    sender->env = env;
    sender->conn = conn;
    sender->blob = http_blob_hold(blob);
    sender->keep_alive = keep_alive;
    sender->chunked = chunked;
    sender->on_sent = on_sent;
    sender->ctx = ctx;
    sender->hook.run = send_piece;
    list_init(&sender->hook.link);
    list_append(&blob->senders, &sender->by_blob);
    blob->sender_count++;
    conn_set_blob(conn, sender);
    env_in_background(env, &sender->hook);
}

void blob_sender_cancel(struct blob_sender *sender)
{
    if (sender != NULL) {
        CHECK(sender->magic == BLOB_SENDER_MAGIC);
        sender_free(sender);
    }
}

// ---- packing ----

struct http_packing {
    uv_work_t work;
    struct http_blob *from;
    struct http_blob *to; // nobody else's until it is told
    void (*on_packed)(void *ctx, struct http_blob *packed);
    void *ctx;
};

static void pack_block(z_stream *z, struct http_blob *to, const struct blob_block *block, int flush)
{
    CHECK(block->size <= UINT32_MAX / 2);
    z->next_in = (unsigned char *)block->data;
    z->avail_in = (uInt)block->size;
    int r;
    do {
        if (z->avail_out == 0) {
            char *data = mem_alloc(PACKED_BLOCK_SIZE);
            http_blob_add(to, data, PACKED_BLOCK_SIZE, PACKED_BLOCK_SIZE);
            z->next_out = (unsigned char *)data;
            z->avail_out = PACKED_BLOCK_SIZE;
        }
        r = deflate(z, flush);
        CHECK(r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR);
    } while (flush == Z_FINISH ? r != Z_STREAM_END : z->avail_in > 0);
}

// On one of libuv's threads: `from` is only read, `to` is its own.
static void pack(uv_work_t *work)
{
    struct http_packing *p = work->data;
    z_stream z = {0};
    CHECK(deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
    for (size_t i = 0; i < p->from->count; i++) {
        pack_block(&z, p->to, &p->from->blocks[i], Z_NO_FLUSH);
    }
    char nothing[1];
    pack_block(&z, p->to, &(struct blob_block){.data = nothing}, Z_FINISH);
    p->to->blocks[p->to->count - 1].size -= z.avail_out;
    p->to->size -= z.avail_out;
    deflateEnd(&z);
}

static void is_packed(uv_work_t *work, int status)
{
    (void)status; // never cancelled
    struct http_packing *p = work->data;
    http_blob_release(p->from);
    if (p->on_packed != NULL) {
        p->on_packed(p->ctx, p->to);
    } else {
        http_blob_release(p->to);
    }
    mem_free(p);
}

struct http_packing *http_blob_pack(struct env *env, struct http_blob *blob,
                                    void (*on_packed)(void *ctx, struct http_blob *packed),
                                    void *ctx)
{
    struct http_packing *p = mem_zalloc(sizeof(*p));
    p->from = http_blob_hold(blob);
    p->to = http_blob_new();
    p->on_packed = on_packed;
    p->ctx = ctx;
    p->work.data = p;
    CHECK(uv_queue_work(env_loop(env), &p->work, pack, is_packed) == 0);
    return p;
}

void http_packing_forget(struct http_packing *p)
{
    if (p != NULL) {
        p->on_packed = NULL;
    }
}
