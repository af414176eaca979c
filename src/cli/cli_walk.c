// SPDX-License-Identifier: Apache-2.0
//
// The framing of protobuf alone: numbers and lengths of fields. What is in them wire.h reads.

#include "cli/cli_walk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "wire/wire.h"

struct field {
    unsigned number;
    const uint8_t *data; // NULL: it is not of a kind that has a length
    size_t size;
};

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

// The next field; false at what is no field.
static bool take_field(const uint8_t **at, const uint8_t *end, struct field *ret_field)
{
    uint64_t key, size;
    if (!take_varint(at, end, &key)) {
        return false;
    }
    *ret_field = (struct field){.number = (unsigned)(key >> 3)};
    switch (key & 7) {
    case 0:
        return take_varint(at, end, &size);
    case 1:
        size = 8;
        break;
    case 5:
        size = 4;
        break;
    case 2:
        if (!take_varint(at, end, &size)) {
            return false;
        }
        ret_field->data = *at;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(end - *at)) {
        return false;
    }
    ret_field->size = (size_t)size;
    *at += size;
    return true;
}

static int broken(struct error *err)
{
    return error_set(err, -EREMOTEIO, "The answer cannot be read: it is no protobuf message");
}

// Goes down the path; the last message of a name counts. An absent one is empty.
static int descend(const uint8_t **data, const uint8_t **end, const unsigned *path,
                   struct error *err)
{
    for (; *path != 0; path++) {
        const uint8_t *at = *data;
        const uint8_t *inner = *end;
        size_t inner_size = 0;
        while (at < *end) {
            struct field field;
            if (!take_field(&at, *end, &field)) {
                return broken(err);
            }
            if (field.number == *path && field.data != NULL) {
                inner = field.data;
                inner_size = field.size;
            }
        }
        *data = inner;
        *end = inner + inner_size;
    }
    return 0;
}

int cli_walk(const void *data, size_t size, const unsigned *path, const struct cli_walk_list *lists,
             size_t list_count, struct arena *arena,
             void (*on_item)(void *ctx, unsigned number, const ProtobufCMessage *item), void *ctx,
             struct error *err)
{
    const uint8_t *at = data;
    const uint8_t *end = at + size;
    int r = descend(&at, &end, path, err);
    while (r == 0 && at < end) {
        struct field field;
        if (!take_field(&at, end, &field)) {
            return broken(err);
        }
        for (size_t i = 0; i < list_count && r == 0; i++) {
            if (lists[i].number != field.number || field.data == NULL) {
                continue;
            }
            ProtobufCMessage *message;
            r = wire_decode(lists[i].descriptor, arena, field.data, field.size, &message, err);
            if (r < 0) {
                r = cli_wrap(err, -EREMOTEIO, "The answer cannot be read");
            } else {
                on_item(ctx, field.number, message);
                arena_reset(arena);
            }
        }
    }
    return r;
}

size_t cli_walk_count(const void *data, size_t size, const unsigned *path, unsigned number)
{
    const uint8_t *at = data;
    const uint8_t *end = at + size;
    size_t count = 0;
    if (descend(&at, &end, path, NULL) < 0) {
        return 0;
    }
    struct field field;
    while (at < end && take_field(&at, end, &field)) {
        count += field.number == number;
    }
    return count;
}
