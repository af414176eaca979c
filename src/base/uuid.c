// SPDX-License-Identifier: Apache-2.0

#include "base/uuid.h"

#include <string.h>

struct uuid uuid_random(struct prng *prng)
{
    uint64_t words[2] = {prng_u64(prng), prng_u64(prng)};
    struct uuid uuid;

    memcpy(uuid.bytes, words, UUID_SIZE);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static bool is_hyphen_place(int at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void uuid_text(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    int at = 0;

    for (int i = 0; i < UUID_SIZE; i++) {
        if (is_hyphen_place(at))
            ret_text[at++] = '-';
        ret_text[at++] = digits[uuid->bytes[i] >> 4];
        ret_text[at++] = digits[uuid->bytes[i] & 0xf];
    }
    ret_text[at] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool uuid_parse(const char *text, struct uuid *ret_uuid)
{
    struct uuid uuid;
    int at = 0;

    if (text == NULL || strnlen(text, UUID_TEXT_SIZE) != UUID_TEXT_SIZE - 1)
        return false;
    for (int i = 0; i < UUID_SIZE; i++) {
        int high, low;

        if (is_hyphen_place(at) && text[at++] != '-')
            return false;
        high = hex_value(text[at++]);
        low = hex_value(text[at++]);
        if (high < 0 || low < 0)
            return false;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_uuid = uuid;
    return true;
}
