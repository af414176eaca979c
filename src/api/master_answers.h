// SPDX-License-Identifier: Apache-2.0
//
// Answers that show all of the master's records (/state and its kin, GET_STATE, the first event of
// SUBSCRIBE). Each shows one moment; it is made in pieces, in the background, while the master goes
// on (master_walk.h), and is then shared by all who asked for it before that moment. Who asks while
// it is made gets the next one, so that each answer is as new as the question. It is sent in pieces
// too (http_blob).

#pragma once

#include "api/master_internal.h"

// How a kind of answer is made. `made` is what it keeps meanwhile.
struct answer_kind {
    unsigned records; // bits of 1 << enum master_record
    // The moment has come. `parameter`: as of master_answers_ask.
    void *(*begin)(struct master_server *server, const char *parameter);
    void (*visit)(void *made, enum master_record kind, void *record);
    // All was visited. The blob is the caller's.
    struct http_blob *(*finish)(void *made);
    void (*free)(void *made);
    // Visits only what belongs to the framework that `parameter` names, if it is not "".
    bool is_of_framework;
};

// Who wants one; in the record of whoever that is, which stays until `ready` or
// master_answers_leave.
struct answer_reader {
    struct list link; // of the answer
    // The moment has come: what changes from now on is not in the answer. May be NULL.
    void (*begins)(struct answer_reader *reader);
    // Hold the blob to keep it. NULL: the master ends.
    void (*ready)(struct answer_reader *reader, struct http_blob *blob);
};

// `parameter`: what tells one answer of a kind from another; copied.
void master_answers_ask(struct master_server *server, const struct answer_kind *kind,
                        const char *parameter, struct answer_reader *reader);
void master_answers_leave(struct answer_reader *reader);
// Answers the request so: as JSON, with jsonp if it asks for that; or with that content type.
void master_answers_respond(struct master_server *server, struct http_request *r,
                            const struct answer_kind *kind, const char *parameter,
                            enum content_type type);

void master_answers_init(struct master_server *server);
void master_answers_free(struct master_server *server);
// ops->before_change
void master_answers_before_change(void *ctx, enum master_record kind, void *record);
