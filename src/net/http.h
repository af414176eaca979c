// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 server on libuv and llhttp. What llhttp leaves out is here: limits on heads, bodies and
// time; a bounded write queue per connection; exactly one Host, no obs-fold, no Content-Length
// beside Transfer-Encoding; 100-continue; answers to pipelined requests in order; chunk trailers
// ignored. Bad requests get a 4xx with the reason in one line of text/plain and lose only their own
// connection. Writes are gathered: one write per connection and turn.
//
// A request is handed over when its body is whole (but see http_options.wants_parts); the next one
// of its connection when the answer is complete (what a client pipelines waits, up to 64 KiB, and
// then is not read). It is answered once, now or later, by http_respond, http_respond_stream or
// http_upgrade; the handler may keep the pointer until then or until on_abort. Its strings and body
// live until it is answered (or, for a stream, until the stream is closed).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "env/env.h"
#include "net/transport.h"

struct http_server;
struct http_request;
struct http_stream;
struct http_blob;
struct http_packing;

struct http_header {
    const char *name;
    const char *value;
};

struct http_options {
    // Asked once a head with a body is whole: whether the handler takes the body in parts, as it
    // comes, from then on (http_on_part). With the server's ctx. NULL: never.
    bool (*wants_parts)(void *ctx, const struct http_request *request);
    size_t head_size_max;        // 0: 64 KiB
    size_t header_count_max;     // 0: 100
    size_t body_size_max;        // 0: 64 MiB
    size_t queue_size_max;       // bytes waiting on one stream; 0: 64 MiB. One more: it is closed
    size_t connection_count_max; // 0: 19,000. Beyond: the longest idle one is closed
    int64_t idle_timeout_ns;     // between requests; 0: 10 minutes
    int64_t head_timeout_ns;     // from first byte to whole head; 0: 30 s
    int64_t body_timeout_ns;     // without progress of a body; 0: 60 s
};

typedef void http_handler_fn(void *ctx, struct http_request *request);

int http_server_new(struct env *env, const struct http_options *options, http_handler_fn *handler,
                    void *ctx, struct http_server **ret_server, struct error *err);
// ip as text ("0.0.0.0", "::"); port 0 picks one. May be called for several addresses.
int http_server_listen(struct http_server *server, const char *ip, uint16_t port,
                       struct error *err);
uint16_t http_server_port(const struct http_server *server); // of the first address
// Stops listening, closes all connections (open requests and streams get their on_abort or on_close
// before it returns); on the next turns the memory goes. NULL is fine; returns NULL.
struct http_server *http_server_free(struct http_server *server);

// ---- the request ----
const char *http_method(const struct http_request *r);     // "GET"
const char *http_path(const struct http_request *r);       // decoded, without the query
const char *http_raw_target(const struct http_request *r); // as it came
const char *http_query(const struct http_request *r, const char *name);      // decoded, or NULL
const char *http_get_header(const struct http_request *r, const char *name); // any case, or NULL
// The same for a header that is asked for with each call. Where it stands is found once for each
// head, however often a connection repeats that.
enum http_common_header { HTTP_CONTENT_TYPE, HTTP_MESOS_STREAM_ID, HTTP_COMMON_COUNT };
const char *http_get_common_header(struct http_request *r, enum http_common_header header);
// What a handler found out from the head alone, but no pointer into it. A request that repeats the
// head of the one before it on its connection, but for the length of its body, may come with what
// that one's handler left here; all others come with zeros.
struct http_memo {
    const void *route;
    unsigned kind; // of request
};
struct http_memo *http_memo(struct http_request *r);
const void *http_body(const struct http_request *r, size_t *ret_size);
// A field of an application/x-www-form-urlencoded body, or NULL.
const char *http_form(struct http_request *r, const char *name);
// A header for whatever answer this request will get, up to HTTP_ANSWER_HEADERS_MAX of them. Both
// texts are constants.
enum { HTTP_ANSWER_HEADERS_MAX = 4 };
void http_add_answer_header(struct http_request *r, const char *name, const char *value);
bool http_accepts_gzip(const struct http_request *r); // by its Accept-Encoding
// "127.0.0.1:40312"; "" when the connection has gone.
void http_peer(const struct http_request *r, char ret_name[TRANSPORT_NAME_SIZE]);
struct arena *http_arena(struct http_request *r); // lives as long as the request
// Of a request that is handed over in parts, from the handler: `on_part` gets the body as it comes,
// `is_last` with the last part (which may be empty). It never runs inside the handler. An answer
// before the last part ends the connection.
void http_on_part(struct http_request *r,
                  void (*on_part)(void *ctx, const void *data, size_t size, bool is_last),
                  void *ctx);
bool http_is_in_parts(const struct http_request *r);
// No more parts, until they are wanted again; what the peer sends waits in its own buffers.
void http_pause_parts(struct http_request *r, bool is_paused);
// Called if the connection goes before the answer (also by http_server_free); the request is gone
// when it returns. Without it the request stays valid and its answer goes nowhere.
void http_on_abort(struct http_request *r, void (*on_abort)(void *ctx, struct http_request *r),
                   void *ctx);

// ---- the answer ----
// Standard reason phrase; Content-Length and Date are added. `content_type` may be NULL (no body).
// The body is copied. With gzip allowed by the client and 1024 bytes or more of body it is
// compressed (never a stream). A HEAD gets no body.
void http_respond(struct http_request *r, int status, const char *content_type, const void *body,
                  size_t body_size, const struct http_header *headers, size_t header_count);
// Says nothing but the status.
void http_respond_status(struct http_request *r, int status);
// With a body that is given away: `body` is empty afterwards, and a large one is not copied.
void http_respond_buf(struct http_request *r, int status, const char *content_type,
                      struct buf *body, const struct http_header *headers, size_t header_count);
// Text answer: text/plain; charset=utf-8.
void http_respond_text(struct http_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// A range of a file, sent without reading it whole (/files/download). `fd` is taken over.
void http_respond_file(struct http_request *r, int status, const char *content_type, int fd,
                       uint64_t offset, uint64_t size, const struct http_header *headers,
                       size_t header_count);

// ---- large bodies ----
// Bytes in blocks, put together bit by bit, that do not change any more once they are handed out.
// Answers share them and send them a piece at a time, in the background (env_in_background).
struct http_blob *http_blob_new(void); // its maker holds it
// `data` is from mem_alloc, with room for `capacity`, and now belongs to the blob.
void http_blob_add(struct http_blob *b, char *data, size_t size, size_t capacity);
// A block for one. When a blob goes, those of its blocks that have this capacity may be kept for
// the next, because new memory costs a page fault for each page. One thread.
enum { HTTP_BLOCK_SIZE = 36 * 1024 };
char *http_block_new(void);
// So many bytes of them at most. None, before that is called.
void http_blocks_keep(size_t size_max);
// Gives back so many of those that are kept; true when there are more.
bool http_blocks_drop(size_t count);
// Moves the blocks of `other`, which nobody else holds, to the end, and frees it.
void http_blob_join(struct http_blob *b, struct http_blob *other);
size_t http_blob_size(const struct http_blob *b);
char *http_blob_copy(const struct http_blob *b); // whole, with a NUL behind it; mem_free
struct http_blob *http_blob_hold(struct http_blob *b);
struct http_blob *http_blob_release(struct http_blob *b); // NULL is fine; returns NULL
// Tells when nobody holds it any more, before it goes. NULL: nobody is told.
void http_blob_watch(struct http_blob *b, void (*on_gone)(void *ctx, struct http_blob *b),
                     void *ctx);
// Breaks the connections that it is being sent over; how many those are.
size_t http_blob_cut(struct http_blob *b);
// Packs it by gzip on another thread. on_packed gets what came out, and holds it.
struct http_packing *http_blob_pack(struct env *env, struct http_blob *blob,
                                    void (*on_packed)(void *ctx, struct http_blob *packed),
                                    void *ctx);
void http_packing_forget(struct http_packing *p); // on_packed is not called. NULL is fine
// Answers with a blob, which is held until it was sent.
void http_respond_blob(struct http_request *r, int status, const char *content_type,
                       struct http_blob *blob, bool is_packed);
// One chunk of a stream, behind `prefix`. Nothing else may be sent on the stream until on_sent.
void http_stream_send_blob(struct http_stream *s, const void *prefix, size_t prefix_size,
                           struct http_blob *blob, void (*on_sent)(void *ctx), void *ctx);

// A chunked answer that stays open. `on_close` is called once when the peer goes, the queue
// overflows or the server is freed, never after http_stream_close and never inside another call on
// the stream; the stream is gone when it returns.
struct http_stream *http_respond_stream(struct http_request *r, const char *content_type,
                                        const struct http_header *headers, size_t header_count,
                                        void (*on_close)(void *ctx, struct http_stream *s),
                                        void *ctx);
// The same for a body of a known size, which is sent as it is, with Content-Length: pieces sum up
// to `size`. Closed before that, the connection is broken, and so the peer knows.
struct http_stream *http_respond_sized_stream(struct http_request *r, const char *content_type,
                                              uint64_t size, const struct http_header *headers,
                                              size_t header_count,
                                              void (*on_close)(void *ctx, struct http_stream *s),
                                              void *ctx);
// Called whenever all that was sent is with the kernel, with the ctx of on_close.
void http_stream_on_drained(struct http_stream *s,
                            void (*on_drained)(void *ctx, struct http_stream *s));
// Ends the answer out of order: the connection is closed at the turn's end, without on_close.
void http_stream_break(struct http_stream *s);
// One chunk, whole, in one write. Dropped silently when the stream is broken. When more than
// queue_size_max wait already the stream ends (so one chunk may be of any size).
void http_stream_send(struct http_stream *s, const void *data, size_t size);
// The same for what lies in two places.
void http_stream_send_behind(struct http_stream *s, const void *prefix, size_t prefix_size,
                             const void *data, size_t size);
// How many bytes may wait on this stream, instead of the server's queue_size_max.
void http_stream_set_queue_max(struct http_stream *s, size_t size);
// More than queue_size_max waited when something was to be sent: that is why it ends.
bool http_stream_overflowed(const struct http_stream *s);
size_t http_stream_queued(const struct http_stream *s); // bytes not yet written
void http_stream_close(struct http_stream *s);          // ends the answer in order

// 101 Switching Protocols; the connection leaves HTTP. When the head has left, the callback gets
// the connection, which it owns from then on (src/net/transport.h), and the bytes that came after
// the request; or NULL when the connection broke before. It gives the transport its owner, or
// closes it, before it returns: it may be reading. Not for a request whose connection is gone: call
// it from the handler. The request is gone when it returns.
void http_upgrade(struct http_request *r, const char *protocol,
                  void (*on_upgraded)(void *ctx, struct transport *transport, const void *extra,
                                      size_t size),
                  void *ctx);

const char *http_reason(int status);
