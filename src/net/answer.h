// SPDX-License-Identifier: Apache-2.0
//
// Bytes to an HTTP answer, without sockets: for http_client.c, link.c, tests and fuzz targets.

#pragma once

#include <llhttp.h>

#include "net/http.h"

struct answer_callbacks {
    void (*on_head)(void *ctx, int status);
    void (*on_data)(void *ctx, const void *data, size_t size); // chunk framing removed
};

struct answer_reader {
    llhttp_t parser;
    const struct answer_callbacks *callbacks;
    void *ctx;
    struct buf head; // "name\0value\0" for each header
    size_t header_count;
    size_t head_raw_size; // of all heads of this answer, provisional ones too
    bool is_head;         // the request was HEAD: no body follows
    bool in_head;         // the headers are not whole yet
    bool head_told;       // on_head was called
    bool whole;
    bool keep_alive;   // when whole: the connection may be used again
    bool stopped;      // answer_stop
    char bad_text[96]; // "" while nothing is wrong
};

enum answer_result { ANSWER_NEEDS_MORE, ANSWER_IS_WHOLE, ANSWER_IS_BAD, ANSWER_STOPPED };

// May be called again on the same reader, for the next answer.
void answer_start(struct answer_reader *a, bool is_head, const struct answer_callbacks *callbacks,
                  void *ctx);
void answer_free(struct answer_reader *a);
// `ret_used` of the bytes belong to this answer. Provisional answers (1xx) are skipped; 101 is
// whole.
enum answer_result answer_feed(struct answer_reader *a, const void *data, size_t size,
                               size_t *ret_used);
// The peer will send no more: some answers end that way.
enum answer_result answer_end(struct answer_reader *a);
// From within a callback: nothing more of this answer is wanted.
void answer_stop(struct answer_reader *a);
const char *answer_header(const struct answer_reader *a, const char *name);
