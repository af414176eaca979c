// SPDX-License-Identifier: Apache-2.0
//
// What the files of the HTTP server share; nobody else includes it, but for the fuzz targets and
// unit tests, which feed requests without a socket.

#pragma once

#include <llhttp.h>

#include "net/http.h"
#include "net/transport.h"

#define REQUEST_MAGIC UINT32_C(0x48545251)
#define STREAM_MAGIC UINT32_C(0x48545354)

struct conn;
struct file_sender;
struct blob_sender;

// ---- the request as it is read (request_read.c) ----

// Reading goes METHOD -> HEAD -> BODY -> WHOLE, or to BAD from any of the first three.
enum request_stage {
    REQUEST_METHOD,
    REQUEST_HEAD,
    REQUEST_BODY,
    REQUEST_WHOLE,
    REQUEST_BAD,
};

struct http_stream {
    uint32_t magic;
    bool chunked; // false towards HTTP/1.0: the end of the connection ends the answer
    bool overflowed;
    size_t queue_size_max; // 0: as of the server's options
    bool is_sized;
    uint64_t left; // of a sized one
    void (*on_close)(void *ctx, struct http_stream *s);
    void (*on_drained)(void *ctx, struct http_stream *s);
    void *ctx;
};

struct http_request {
    uint32_t magic;
    enum request_stage stage;
    llhttp_t parser;
    const struct http_options *limits;
    // "method\0target\0" and then "name\0value\0" for each header.
    struct buf head;
    uint32_t target_at; // offsets into `head`
    uint32_t headers_at;
    uint32_t header_count;
    // Where in `head` the value of a common header begins, 0: not looked for yet; 1: there is none.
    uint32_t common_at[HTTP_COMMON_COUNT];
    struct http_memo memo;
    uint32_t head_raw_size; // bytes of the head that came so far, while it is not whole
    uint32_t trailer_size;
    uint64_t framing_size; // bytes of the body's part of the message that are not body
    struct buf body;
    char *path;          // decoded
    const char *query;   // raw, within `head`; NULL: none
    struct arena *arena; // made when asked for
    // Why it is refused.
    int bad_status;
    char bad_text[96];
    bool line_ended;   // the last byte of the head so far was a line's end
    bool head_scanned; // the empty line behind the head has begun
    bool keep_alive;
    bool is_head; // HEAD
    bool is_http_1_0;
    bool is_of_known_head; // from known_head_take
    bool is_packed;        // its body came by gzip
    bool expects_continue; // and has not got it yet
    // In parts (http_on_part).
    bool in_parts;
    bool parts_paused;
    bool keeps_alive_whole; // after an answer to the whole of it
    uint64_t parts_size;    // bytes that were handed over and are not in `body` any more
    void (*on_part)(void *ctx, const void *data, size_t size, bool is_last);
    void *on_part_ctx;
    // While it is with the handler.
    struct conn *conn; // NULL: its connection has gone, the answer goes nowhere
    struct env *env;
    void (*on_abort)(void *ctx, struct http_request *r);
    void *on_abort_ctx;
    struct http_stream stream;
    struct http_header answer_headers[HTTP_ANSWER_HEADERS_MAX];
    size_t answer_header_count;
    struct env_hook hook; // tells the end of a stream whose connection has gone before it began
};

// Puts the defaults in place of zeros (server.c).
void http_options_fill(struct http_options *options);

struct http_request *request_new(const struct http_options *limits);
struct http_request *request_free(struct http_request *r);

enum request_result { REQUEST_NEEDS_MORE, REQUEST_IS_WHOLE, REQUEST_IS_BAD };
// Feeds bytes as they came. `ret_used` of them belong to this request; what is behind them to the
// next. limits: all filled in.
enum request_result request_feed(struct http_request *r, const char *data, size_t size,
                                 size_t *ret_used);

// ---- the connection, as the answers see it (server.c) ----

struct transport *conn_transport(struct conn *conn);
// The value of the Date header at this turn.
const char *conn_date(struct conn *conn);
// Sends the bytes of conn_keep_empty_answer, if they are of this second and this status.
bool conn_send_empty_answer(struct conn *conn, int status);
// The whole of an answer that says nothing but its status and the time.
void conn_keep_empty_answer(struct conn *conn, int status, const char *data, size_t size);
size_t conn_queue_size_max(const struct conn *conn);
// The answer to the current request is queued as a whole. The request is freed.
void conn_answered(struct conn *conn, bool keep_alive);
// The connection is of no more use; at the turn's end it is closed and its stream or request is
// told.
void conn_break_later(struct conn *conn);
// Parts of the body are wanted again.
void conn_resume_parts(struct conn *conn);
// Whole answer given by http_respond_file: the sender runs until it calls conn_answered.
void conn_set_file(struct conn *conn, struct file_sender *file);
// Likewise by http_respond_blob; or a stream is sending one.
void conn_set_blob(struct conn *conn, struct blob_sender *sender);
bool conn_has_blob(const struct conn *conn);
void conn_upgrade(struct conn *conn,
                  void (*on_upgraded)(void *ctx, struct transport *transport, const void *extra,
                                      size_t size),
                  void *ctx);

// ---- file answers (file_sender.c) ----

// Sends bytes of a file, one piece at a time: each is read on libuv's threads when the one before
// has left.
struct file_sender *file_sender_new(struct env *env, struct conn *conn, int fd, uint64_t offset,
                                    uint64_t size, bool keep_alive);
void file_sender_drained(struct file_sender *file);
void file_sender_cancel(struct file_sender *file); // the connection has gone

// ---- blobs (blob.c) ----

// Sends the blob, and then tells that the answer is whole; or calls on_sent, if there is one.
void blob_sender_new(struct env *env, struct conn *conn, struct http_blob *blob, bool keep_alive,
                     bool chunked, void (*on_sent)(void *ctx), void *ctx);
void blob_sender_drained(struct blob_sender *sender);
void blob_sender_cancel(struct blob_sender *sender); // NULL is fine

// ---- helpers ----

// Does Accept-Encoding allow gzip? (gzip.c)
bool gzip_is_accepted(const char *accept_encoding);
// Compresses into a new buffer (mem_free), or returns false when that saves nothing.
bool gzip_compress(const void *data, size_t size, char **ret_data, size_t *ret_size);
// Appends what was packed to `out`. -EFBIG: it is more than `size_max` bytes; -EINVAL: no gzip, or
// not whole, or something follows it.
int gzip_decompress(const void *data, size_t size, size_t size_max, struct buf *out);
