// SPDX-License-Identifier: Apache-2.0
//
// Sends a range of a file. One piece is read on libuv's threads, queued, and when it has left, the
// next: a slow reader holds one piece of memory, and a slow disk holds up nobody else.

#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define FILE_SENDER_MAGIC UINT32_C(0x46534e44)

enum { PIECE_SIZE = 256 * 1024 };

struct file_sender {
    uint32_t magic;
    bool keep_alive;
    bool reading; // a read is under way
    bool failed;
    uv_fs_t request;
    uv_loop_t *loop;
    struct conn *conn; // NULL: cancelled
    int fd;
    uint64_t offset;
    uint64_t left; // bytes still to be read
    char *piece;
};

static void file_sender_free(struct file_sender *file)
{
    close(file->fd);
    mem_free(file->piece);
    file->magic = 0;
    mem_free(file);
}

static void on_piece(uv_fs_t *request)
{
    struct file_sender *file = CHECK_CAST(file_sender, FILE_SENDER_MAGIC, request->data);
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    file->reading = false;
    if (file->conn == NULL) {
        file_sender_free(file);
        return;
    }
    if (n <= 0) {
        // The head promised more: only a cut connection can tell the peer.
        file->failed = true;
        conn_break_later(file->conn);
        return;
    }
    file->offset += (uint64_t)n;
    file->left -= (uint64_t)n;
    transport_write_owned(conn_transport(file->conn), TAKE_PTR(file->piece), (size_t)n);
    if (file->left == 0) {
        struct conn *conn = file->conn;
        bool keep_alive = file->keep_alive;
        conn_set_file(conn, NULL);
        file_sender_free(file);
        conn_answered(conn, keep_alive);
    }
}

static void read_piece(struct file_sender *file)
{
    size_t size = file->left < PIECE_SIZE ? (size_t)file->left : PIECE_SIZE;
    file->piece = mem_alloc(size);
    file->request.data = file;
    file->reading = true;
    uv_buf_t buffer = uv_buf_init(file->piece, (unsigned)size);
    CHECK(uv_fs_read(file->loop, &file->request, file->fd, &buffer, 1, (int64_t)file->offset,
                     on_piece) == 0);
}

struct file_sender *file_sender_new(struct env *env, struct conn *conn, int fd, uint64_t offset,
                                    uint64_t size, bool keep_alive)
{
    struct file_sender *file = mem_zalloc(sizeof(*file));
    file->magic = FILE_SENDER_MAGIC;
    file->loop = env_loop(env);
    file->conn = conn;
    file->fd = fd;
    file->offset = offset;
    file->left = size;
    file->keep_alive = keep_alive;
    read_piece(file);
    return file;
}

void file_sender_drained(struct file_sender *file)
{
    CHECK(file->magic == FILE_SENDER_MAGIC);
    if (!file->reading && !file->failed) {
        read_piece(file);
    }
}

void file_sender_cancel(struct file_sender *file)
{
    if (file == NULL) {
        return;
    }
    CHECK(file->magic == FILE_SENDER_MAGIC);
    file->conn = NULL;
    if (file->reading) {
        uv_cancel((uv_req_t *)&file->request);
    } else {
        file_sender_free(file);
    }
}
