// SPDX-License-Identifier: Apache-2.0
//
// Where a master or an agent is, as users and redirects write it.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { ADDRESS_HOST_SIZE = 256, ADDRESS_PORT_MASTER = 5050, ADDRESS_PORT_AGENT = 5051 };

struct address {
    char host[ADDRESS_HOST_SIZE]; // name or IP; an IPv6 address without its brackets
    uint16_t port;
};

// "host:port", "[::1]:5050", "host" (then `default_port`). -EINVAL with a text that quotes the
// input.
int address_parse(const char *text, uint16_t default_port, struct address *ret_address,
                  struct error *err);

// What --master takes: an address, "http://host:port", or "file:///path" whose content is one of
// these. -ENOTSUP for https://, which is not there yet; zk:// is the election's (election.h).
int address_parse_master(const char *text, struct address *ret_address, struct error *err);

// The address in a Location header: "//host:port/path" or "http://host:port/path".
int address_parse_location(const char *location, struct address *ret_address, struct error *err);
