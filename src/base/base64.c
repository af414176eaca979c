// SPDX-License-Identifier: Apache-2.0

#include "base/base64.h"

#include <errno.h>
#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t size, struct buf *out)
{
    const uint8_t *p = data;
    char quads[256], *quad = quads;

    buf_reserve(out, (size / 3 + 1) * 4);
    for (; size >= 3; p += 3, size -= 3, quad += 4) {
        if (quad == quads + sizeof(quads)) {
            buf_append(out, quads, sizeof(quads));
            quad = quads;
        }
        quad[0] = alphabet[p[0] >> 2];
        quad[1] = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        quad[2] = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        quad[3] = alphabet[p[2] & 63];
    }
    buf_append(out, quads, (size_t)(quad - quads));
    quad = quads;
    if (size != 0) {
        uint8_t second = size == 2 ? p[1] : 0;

        quad[0] = alphabet[p[0] >> 2];
        quad[1] = alphabet[(p[0] & 3) << 4 | second >> 4];
        quad[2] = size == 2 ? alphabet[(second & 15) << 2] : '=';
        quad[3] = '=';
        buf_append(out, quad, 4);
    }
}

// A character's six bits, or -1.
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

ssize_t base64_decode(const char *text, size_t text_size, void *ret_data)
{
    uint8_t *out = ret_data;
    uint32_t bits = 0;
    size_t padding = 0;

    while (padding < 2 && text_size > padding && text[text_size - padding - 1] == '=')
        padding++;
    if (padding != 0 && text_size % 4 != 0)
        return -EINVAL;
    text_size -= padding;
    if (text_size % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < text_size; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            *out++ = (uint8_t)(bits >> 16);
            *out++ = (uint8_t)(bits >> 8);
            *out++ = (uint8_t)bits;
        }
    }
    if (text_size % 4 == 3) {
        *out++ = (uint8_t)(bits >> 10);
        *out++ = (uint8_t)(bits >> 2);
    } else if (text_size % 4 == 2) {
        *out++ = (uint8_t)(bits >> 4);
    }
    return out - (uint8_t *)ret_data;
}
