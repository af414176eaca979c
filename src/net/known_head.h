// SPDX-License-Identifier: Apache-2.0
//
// The head of the last call on a connection. A framework sends the same head thousands of times a
// second, but for the length of the body: then what was read of it once is taken again, and only
// the length is read. Equal bytes mean the same, so a request that is taken so is what the parser
// would have made of it.

#pragma once

#include "net/http_internal.h"

struct known_head;

// After `request` was read whole from the first `size` of `data`, in one piece. NULL when it is
// none of the kind: a POST over HTTP/1.1 that keeps the connection, with a Content-Length and no
// Expect.
struct known_head *known_head_new(const struct http_request *request, const char *data,
                                  size_t size);
struct known_head *known_head_free(struct known_head *known); // NULL is fine; returns NULL

// A whole request, when `data` begins with that head and holds the whole body; else NULL. It ends
// by known_head_give_back, or by request_free.
struct http_request *known_head_take(struct known_head *known, const struct http_options *limits,
                                     const char *data, size_t size, size_t *ret_used);
// A request of known_head_take that was answered: it is kept for the next of its kind.
void known_head_give_back(struct known_head *known, struct http_request *r);
