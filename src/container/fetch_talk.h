// SPDX-License-Identifier: Apache-2.0
//
// What mesos-fetcher and the agent say to each other over a socket pair of packets (descriptor
// ORDER_REPLY_FD of the child), one struct a packet.

#pragma once

#include <stdint.h>

enum fetch_word {
    FETCH_WANTS_SPACE = 1, // child: may item `item`, of `size` bytes, go into the cache?
    FETCH_YES,             // agent: reserved
    FETCH_NO,              // agent: no room; put it into the sandbox
    FETCH_CACHED,          // child: the cache file of item `item` is complete
    FETCH_NOT_CACHED,      // child: item `item` does not go into the cache
};

struct fetch_packet {
    uint32_t word;
    uint32_t item;
    uint64_t size;
};
