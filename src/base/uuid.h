// SPDX-License-Identifier: Apache-2.0
//
// Random (version 4) UUIDs, as 16 bytes and as text.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37 // with the NUL

struct uuid {
    uint8_t bytes[UUID_SIZE];
};

struct uuid uuid_random(struct prng *prng);
void uuid_text(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE]); // lower case, hyphens
bool uuid_parse(const char *text, struct uuid *ret_uuid);
