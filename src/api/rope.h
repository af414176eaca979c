// SPDX-License-Identifier: Apache-2.0
//
// A list of JSON values or protobuf fields that is written bit by bit and handed on without a copy:
// what is written is kept in blocks.

#pragma once

#include "net/http.h"
#include "wire/content.h"
#include "wire/json.h"

struct rope {
    struct buf buf;         // the block that is being written
    struct http_blob *blob; // those before it; NULL: none
    size_t count;           // elements begun
};

// A writer that puts one more value of a JSON list at the end, behind a comma if need be. Then
// rope_put_end.
struct json_writer rope_put_begin(struct rope *r);
void rope_put_end(struct rope *r);
// The message as one more value of a list: of JSON, or of a repeated protobuf field with that
// number.
void rope_put_message(struct rope *r, enum content_type type, unsigned field,
                      const ProtobufCMessage *message);
size_t rope_size(const struct rope *r);
// Moves what `from` has to the end of `to`.
void rope_join(struct rope *to, struct rope *from);
// All that was written; the rope is empty afterwards.
struct http_blob *rope_take(struct rope *r);
void rope_free(struct rope *r);
#define AUTO_ROPE __attribute__((cleanup(rope_free)))

// The tag and the length of a protobuf field that holds `size` bytes.
void rope_put_field_head(struct buf *out, unsigned field, size_t size);
