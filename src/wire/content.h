// SPDX-License-Identifier: Apache-2.0
//
// The two encodings of Mesos' HTTP APIs behind one switch.

#pragma once

#include "wire/wire.h"

enum content_type { CONTENT_JSON, CONTENT_PROTOBUF };

#define CONTENT_JSON_NAME "application/json"
#define CONTENT_PROTOBUF_NAME "application/x-protobuf"
#define CONTENT_RECORDIO_NAME "application/recordio"

const char *content_type_name(enum content_type type);
// Errors as of wire_decode and wire_json_decode.
int content_decode(enum content_type type, const ProtobufCMessageDescriptor *descriptor,
                   struct arena *arena, const void *data, size_t size,
                   ProtobufCMessage **ret_message, struct error *err);
// As wire_decode_pinned, where it is protobuf.
int content_decode_pinned(enum content_type type, const ProtobufCMessageDescriptor *descriptor,
                          struct arena *arena, const void *data, size_t size,
                          const ProtobufCMessageDescriptor *pinned, ProtobufCMessage **ret_message,
                          struct error *err);
void content_encode(enum content_type type, const ProtobufCMessage *message, struct buf *out);
