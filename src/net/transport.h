// SPDX-License-Identifier: Apache-2.0
//
// One connection as bytes: reads as they come, and a queue of owned buffers that leaves in one
// write per turn. HTTP, its client and the agent link speak through it and know no socket. This is
// the seam for TLS: a TLS session belongs between the queue and the socket in transport.c, and
// nothing above it changes.
//
// Callbacks come from the loop only, never from inside a call. A transport belongs to whoever made
// it, until transport_close, after which no callback comes.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env/env.h"

struct transport;

struct transport_callbacks {
    // transport_connect has ended; err is NULL when the connection stands.
    void (*on_connect)(void *ctx, const struct error *err);
    // `data` is valid during the call. It lies in a buffer that all connections share.
    void (*on_read)(void *ctx, const void *data, size_t size);
    // code 0: the peer will send no more (we may still write). Negative: the connection broke, what
    // is queued is lost; close it.
    void (*on_end)(void *ctx, int code);
    // Everything that was queued is with the kernel. May be NULL.
    void (*on_drained)(void *ctx);
};

// Before a handle listens: what its connections inherit from it.
void transport_prepare_listener(uv_tcp_t *listener);
// Takes a connection from a listening handle, or returns NULL (it went meanwhile). Not reading yet.
struct transport *transport_accept(struct env *env, uv_stream_t *listener);
// `host` is a name or an address; a name's addresses are tried in order, 5 seconds each.
struct transport *transport_connect(struct env *env, const char *host, uint16_t port,
                                    const struct transport_callbacks *callbacks, void *ctx);
// The same from a source address of ours (an IPv4 literal); `host` must be one too.
struct transport *transport_connect_from(struct env *env, const char *source, const char *host,
                                         uint16_t port, const struct transport_callbacks *callbacks,
                                         void *ctx);
void transport_set_owner(struct transport *t, const struct transport_callbacks *callbacks,
                         void *ctx);
void transport_read(struct transport *t, bool on);

// Queues bytes for the turn's end. Dropped silently once the connection is broken.
void transport_write(struct transport *t, const void *data, size_t size);
// The same without a copy: `data` is from mem_alloc and now belongs to the transport.
void transport_write_owned(struct transport *t, char *data, size_t size);
// Hands the kernel what it takes at once, without a copy, unless something is queued. Returns how
// many bytes it took; nothing of the rest is kept.
size_t transport_write_now(struct transport *t, const void *data, size_t size);
// At least `size` bytes at the queue's end to write into; then commit what was written.
char *transport_reserve(struct transport *t, size_t size);
void transport_commit(struct transport *t, size_t size);
// Bytes that the kernel has not taken yet.
size_t transport_queued(const struct transport *t);
// Tells the peer that no more will come, when the queue is empty. Nothing may be written after it.
void transport_finish(struct transport *t);
// Closes at once, dropping what is queued. NULL is fine; returns NULL.
struct transport *transport_close(struct transport *t);

// How many there are in this thread; each has a descriptor, or is about to have one.
size_t transport_count(void);

enum { TRANSPORT_NAME_SIZE = 64 };
// "127.0.0.1:40312", "[::1]:5050"; "" when it is not connected.
void transport_peer(const struct transport *t, char ret_name[TRANSPORT_NAME_SIZE]);
void transport_local_ip(const struct transport *t, char ret_ip[TRANSPORT_NAME_SIZE]);
