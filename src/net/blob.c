// SPDX-License-Identifier: Apache-2.0
//
// Large bodies in blocks that never change once they are handed out: several answers share one,
// each is sent a piece at a time, and the next piece is taken when the one before has left. So a
// slow reader holds one piece besides its share of the blob, and no piece holds up others for long:
// they are written in the background, one in a turn, whosever it is.

#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define BLOB_MAGIC UINT32_C(0x424c4f42)
#define BLOB_SENDER_MAGIC UINT32_C(0x424c5344)

enum { PIECE_SIZE = 64 * 1024, PACKED_BLOCK_SIZE = 256 * 1024, GZIP_WINDOW_BITS = 15 + 16 };

struct blob_block {
    char *data;
    size_t size;
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

// ---- blobs ----

struct http_blob *http_blob_new(void)
{
    struct http_blob *b = mem_zalloc(sizeof(*b));
    b->magic = BLOB_MAGIC;
    b->holders = 1;
    list_init(&b->senders);
    return b;
}

void http_blob_add(struct http_blob *b, char *data, size_t size)
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
    b->blocks[b->count++] = (struct blob_block){data, size};
    b->size += size;
}

void http_blob_join(struct http_blob *b, struct http_blob *other)
{
    CHECK(other->magic == BLOB_MAGIC && other->holders == 1);
    for (size_t i = 0; i < other->count; i++) {
        http_blob_add(b, other->blocks[i].data, other->blocks[i].size);
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
        mem_free(b->blocks[i].data);
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
    mem_free(TAKE_PTR(b->blocks[which].data));
}

static void send_piece(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct blob_sender *sender = CONTAINER_OF(hook, struct blob_sender, hook);
    CHECK(sender->magic == BLOB_SENDER_MAGIC);
    struct http_blob *b = sender->blob;
    size_t left = PIECE_SIZE;
    while (left > 0 && sender->block < b->count) {
        const struct blob_block *block = &b->blocks[sender->block];
        size_t size = block->size - sender->offset < left ? block->size - sender->offset : left;
        transport_write(conn_transport(sender->conn), block->data + sender->offset, size);
        sender->offset += size;
        left -= size;
        if (sender->offset == block->size) {
            sender->block++;
            sender->offset = 0;
            drop_block(b, sender->block - 1);
        }
    }
    if (sender->block == b->count) {
        finish(sender);
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
            http_blob_add(to, data, PACKED_BLOCK_SIZE);
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
    pack_block(&z, p->to, &(struct blob_block){nothing, 0}, Z_FINISH);
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
