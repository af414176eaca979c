// SPDX-License-Identifier: Apache-2.0
//
// The agent link: one TCP connection, opened by the agent's side to the leading master with
//   GET /meseta/link HTTP/1.1 · Upgrade: meseta-link/1 · Connection: Upgrade
// and then frames both ways. A frame is: 4 bytes size of the payload, 4 bytes channel (both big
// endian), payload. Channel 0 belongs to the link itself (empty payload: keep-alive); each agent
// behind the connection has a channel of its own, from 1, where an empty payload says that the
// sender has closed it, while the connection goes on: the next frame begins it anew. Frames sent in
// one turn leave in one write. What the payload means is not the link's matter (proto/link.proto).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env/env.h"
#include "net/http.h"

#define LINK_PATH "/meseta/link"
#define LINK_PROTOCOL "meseta-link/1"
enum { LINK_FRAME_SIZE_MAX = 64 * 1024 * 1024 };

struct link;

struct link_callbacks {
    void (*on_open)(void *ctx, struct link *link); // client side only
    void (*on_frame)(void *ctx, struct link *link, uint32_t channel, const void *data, size_t size);
    // The link broke or was refused; the last callback. Not called after link_free.
    void (*on_close)(void *ctx, struct link *link, const struct error *err);
};

// Server side: answers the request with 101 (or 4xx when it is no upgrade to our protocol, and
// then returns NULL).
struct link *link_accept(struct env *env, struct http_request *request,
                         const struct link_callbacks *callbacks, void *ctx);
// Client side: connects. A redirect (307) is reported through on_close with code -EREMCHG and the
// text "host:port" of the leader.
struct link *link_connect(struct env *env, const char *host, uint16_t port,
                          const struct link_callbacks *callbacks, void *ctx);
// The same from an address of ours; both are IPv4 literals.
struct link *link_connect_from(struct env *env, const char *source, const char *host, uint16_t port,
                               const struct link_callbacks *callbacks, void *ctx);
struct link *link_free(struct link *link);
void link_send(struct link *link, uint32_t channel, const void *data, size_t size);
size_t link_queued(const struct link *link);
const char *link_peer(const struct link *link);
// The local address of the connection, on the side that connected ("" on the other, and before it
// stands): how an agent learns its own IP.
const char *link_local_ip(const struct link *link);
