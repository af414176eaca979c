// SPDX-License-Identifier: Apache-2.0
//
// See content.h.

#include "wire/content.h"

const char *content_type_name(enum content_type type)
{
    return type == CONTENT_JSON ? CONTENT_JSON_NAME : CONTENT_PROTOBUF_NAME;
}

int content_decode_pinned(enum content_type type, const ProtobufCMessageDescriptor *descriptor,
                          struct arena *arena, const void *data, size_t size,
                          const ProtobufCMessageDescriptor *pinned, ProtobufCMessage **ret_message,
                          struct error *err)
{
    return type == CONTENT_JSON
               ? wire_json_decode(descriptor, arena, data, size, ret_message, err)
               : wire_decode_pinned(descriptor, arena, data, size, pinned, ret_message, err);
}

int content_decode(enum content_type type, const ProtobufCMessageDescriptor *descriptor,
                   struct arena *arena, const void *data, size_t size,
                   ProtobufCMessage **ret_message, struct error *err)
{
    return content_decode_pinned(type, descriptor, arena, data, size, NULL, ret_message, err);
}

void content_encode(enum content_type type, const ProtobufCMessage *message, struct buf *out)
{
    if (type == CONTENT_JSON) {
        wire_json_encode(message, out);
    } else {
        wire_encode(message, out);
    }
}
