// SPDX-License-Identifier: Apache-2.0
//
// A server and raw sockets towards it, in one thread: the test sends bytes, turns the loop, and
// looks at what came back.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/http.h"
#include "net/transport.h"

struct harness {
    struct env *env;
    struct http_server *server;
    uint16_t port;
    unsigned handled;           // requests that reached the handler
    struct http_request *kept;  // of /keep
    struct http_stream *stream; // of /stream
    unsigned aborted;           // on_abort calls
    unsigned stream_closed;     // on_close calls
    struct transport *upgraded; // of /upgrade
    struct buf upgraded_extra;
    unsigned upgrade_failed;
    int file_fd; // what /file sends
    uint64_t file_size;
    bool free_in_handler;     // /free frees the server
    http_handler_fn *handler; // instead of the one with the paths above
    void *handler_ctx;
};

// `options` may be NULL. Ends with harness_free, which frees the server and the loop: whatever was
// left open makes it fail.
void harness_init(struct harness *h, const struct http_options *options);
void harness_free(struct harness *h);

// Turns the loop once without sleeping.
void harness_turn(struct harness *h);
void harness_turn_for(struct harness *h, int ms);

int harness_dial(struct harness *h);
void harness_send(struct harness *h, int fd, const void *data, size_t size);
void harness_puts(struct harness *h, int fd, const char *text);
// Turns until `until` is in `out` (NULL: until the peer has closed) or 5 s are over (fails).
void harness_receive(struct harness *h, int fd, struct buf *out, const char *until);
// Sends, closes our side for writing, and gives all that comes until the peer closes.
void harness_ask(struct harness *h, const char *request, struct buf *out);
// Takes the Date lines out, so that the rest can be compared.
void harness_drop_dates(struct buf *b);
// Closes our side with a reset instead of an end.
void harness_reset(int fd);
// A listening socket of ours, for tests of clients.
int harness_listen(uint16_t *ret_port);
int harness_accept(struct harness *h, int listener);
// Turns until the condition holds; fails after 5 s.
#define HARNESS_UNTIL(h, condition)                                                                \
    do {                                                                                           \
        for (int turns_ = 0; !(condition); turns_++) {                                             \
            assert_true(turns_ < 5000);                                                            \
            harness_turn_for((h), 1);                                                              \
        }                                                                                          \
    } while (0)
