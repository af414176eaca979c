// SPDX-License-Identifier: Apache-2.0
//
// See master_answers.h. One answer is made at a time, the others wait: there is one snapshot. Those
// that are being sent are counted, and while they are more than --max_answers_size the next is not
// begun; if that lasts, the oldest of them is cut off, since its readers do not read. The blocks of
// those that were sent are used again: a quarter of that size is kept until nobody has asked for
// ten seconds.

#include "api/master_answers.h"

#include <string.h>

#include "api/master_walk.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define KEEP_NS (10 * NS_PER_S)

enum {
    SMALL_SIZE = 64 * 1024,
    KEEP_PART = 4,   // of --max_answers_size
    DROP_BLOCKS = 2, // in one piece of work
};

struct answer {
    struct list link; // answers->waiting, or alone while it is made
    const struct answer_kind *kind;
    char *parameter;
    struct list readers;
    void *made;
};

// A blob that somebody still sends.
struct sent_blob {
    struct list link; // answers->sent, the oldest first
    struct master_answers *answers;
    struct http_blob *blob;
};

struct master_answers {
    struct master_server *server;
    struct list waiting;    // those that did not begin
    struct answer *current; // that is being made
    struct master_walk *walk;
    struct env_hook hook;
    struct list sent;
    size_t sent_size;
    struct timer patience; // set while too much is being sent
    struct timer idle;     // set while blocks are kept for the next answer
    struct env_hook drop;  // gives them back
};

static void answer_free(struct answer *a)
{
    if (a == NULL)
        return;
    if (a->made != NULL)
        a->kind->free(a->made);
    list_remove(&a->link);
    mem_free(a->parameter);
    mem_free(a);
}

// ---- what is being sent ----

static void go_on(struct master_answers *answers);

static void blob_is_gone(void *ctx, struct http_blob *blob)
{
    struct sent_blob *sent = ctx;
    struct master_answers *answers = sent->answers;
    answers->sent_size -= http_blob_size(blob);
    list_remove(&sent->link);
    mem_free(sent);
    go_on(answers);
}

static void count_blob(struct master_answers *answers, struct http_blob *blob)
{
    struct sent_blob *sent = mem_zalloc(sizeof(*sent));
    sent->answers = answers;
    sent->blob = blob;
    list_append(&answers->sent, &sent->link);
    answers->sent_size += http_blob_size(blob);
    http_blob_watch(blob, blob_is_gone, sent);
}

static void cut_oldest(struct timer *timer, struct instant now)
{
    (void)now;
    struct master_answers *answers = CONTAINER_OF(timer, struct master_answers, patience);
    if (list_is_empty(&answers->sent))
        return;
    struct sent_blob *oldest = LIST_ENTRY(answers->sent.next, struct sent_blob, link);
    size_t size = http_blob_size(oldest->blob);
    size_t count = http_blob_cut(oldest->blob);
    answers->server->answers_cut += count;
    log_error("Closing %zu connections that do not read an answer of %zu bytes: %zu bytes of "
              "answers wait to be sent, and --max_answers_size allows no more than %zu",
              count, size, answers->sent_size, answers->server->answers_size_max);
    env_timer_set(answers->server->env, &answers->patience, PATIENCE_NS);
}

// False: the next answer has to wait until some of the others were read.
static bool has_room(struct master_answers *answers)
{
    struct env *env = answers->server->env;
    if (answers->sent_size <= answers->server->answers_size_max) {
        env_timer_cancel(env, &answers->patience);
        return true;
    }
    if (!timer_is_set(&answers->patience))
        env_timer_set(env, &answers->patience, PATIENCE_NS);
    return false;
}

// ---- what is kept ----

static void drop_blocks(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct master_answers *answers = CONTAINER_OF(hook, struct master_answers, drop);
    if (http_blocks_drop(DROP_BLOCKS))
        env_in_background(answers->server->env, &answers->drop);
}

// Nobody has asked for a while.
static void is_idle(struct timer *timer, struct instant now)
{
    (void)now;
    struct master_answers *answers = CONTAINER_OF(timer, struct master_answers, idle);
    if (answers->current != NULL || !list_is_empty(&answers->sent))
        env_timer_set(answers->server->env, &answers->idle, KEEP_NS);
    else
        env_in_background(answers->server->env, &answers->drop);
}

// ---- making ----

static void go_on(struct master_answers *answers)
{
    if (answers->current != NULL || (!list_is_empty(&answers->waiting) && has_room(answers)))
        env_in_background(answers->server->env, &answers->hook);
}

static void begin(struct master_answers *answers)
{
    struct answer *a = LIST_ENTRY(answers->waiting.next, struct answer, link);
    list_remove(&a->link);
    env_hook_cancel(&answers->drop);
    env_timer_set(answers->server->env, &answers->idle, KEEP_NS);
    answers->current = a;
    a->made = a->kind->begin(answers->server, a->parameter);
    const char *only = a->kind->is_of_framework && a->parameter[0] != '\0' ? a->parameter : NULL;
    answers->walk =
        master_walk_new(answers->server->core, a->kind->records, only, a->kind->visit, a->made);
    LIST_FOREACH (&a->readers, struct answer_reader, link, reader) {
        if (reader->begins != NULL)
            reader->begins(reader);
    }
}

static void hand_out(struct master_answers *answers, struct answer *a, struct http_blob *blob)
{
    if (http_blob_size(blob) > SMALL_SIZE)
        count_blob(answers, blob);
    while (!list_is_empty(&a->readers)) {
        struct answer_reader *reader = LIST_ENTRY(a->readers.next, struct answer_reader, link);
        list_remove(&reader->link);
        reader->ready(reader, blob);
    }
    http_blob_release(blob);
}

static void make_piece(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct master_answers *answers = CONTAINER_OF(hook, struct master_answers, hook);
    if (answers->current == NULL && !list_is_empty(&answers->waiting) && has_room(answers))
        begin(answers);
    struct answer *a = answers->current;
    if (a == NULL)
        return;
    if (list_is_empty(&a->readers)) {
        // They have all gone.
        answers->walk = master_walk_free(answers->walk);
        answers->current = NULL;
        answer_free(a);
    } else if (master_walk_step(answers->walk, ENV_PIECE_NS)) {
        answers->walk = master_walk_free(answers->walk);
        answers->current = NULL;
        struct http_blob *blob = a->kind->finish(a->made);
        hand_out(answers, a, blob);
        answer_free(a);
    }
    go_on(answers);
}

void master_answers_before_change(void *ctx, enum master_record kind, void *record)
{
    struct master_server *server = ctx;
    CHECK(server->answers->walk != NULL);
    master_walk_visit(server->answers->walk, kind, record);
}

void master_answers_ask(struct master_server *server, const struct answer_kind *kind,
                        const char *parameter, struct answer_reader *reader)
{
    struct master_answers *answers = server->answers;
    struct answer *found = NULL;
    LIST_FOREACH (&answers->waiting, struct answer, link, a) {
        if (a->kind == kind && strcmp(a->parameter, parameter) == 0)
            found = a;
    }
    if (found == NULL) {
        found = mem_zalloc(sizeof(*found));
        found->kind = kind;
        found->parameter = mem_strdup(parameter);
        list_init(&found->readers);
        list_append(&answers->waiting, &found->link);
    }
    list_append(&found->readers, &reader->link);
    go_on(answers);
}

void master_answers_leave(struct answer_reader *reader)
{
    list_remove(&reader->link);
}

// ---- requests ----

struct request_reader {
    struct answer_reader base;
    struct master_server *server;
    struct http_request *request;
    enum content_type type;
    struct http_packing *packing;
};

// The request has gone, and its memory with it.
static void request_is_gone(void *ctx, struct http_request *r)
{
    (void)r;
    struct request_reader *reader = ctx;
    master_answers_leave(&reader->base);
    http_packing_forget(reader->packing);
}

static void respond_whole(struct request_reader *reader, struct http_blob *blob)
{
    AUTO_BUF struct buf whole = {.data = http_blob_copy(blob),
                                 .size = http_blob_size(blob),
                                 .capacity = http_blob_size(blob) + 1};
    if (reader->type == CONTENT_JSON)
        api_respond_json(reader->request, &whole);
    else
        http_respond_buf(reader->request, 200, content_type_name(reader->type), &whole, NULL, 0);
}

static void is_packed(void *ctx, struct http_blob *packed)
{
    struct request_reader *reader = ctx;
    reader->packing = NULL;
    count_blob(reader->server->answers, packed);
    http_respond_blob(reader->request, 200, content_type_name(reader->type), packed, true);
    http_blob_release(packed);
}

static void is_ready(struct answer_reader *base, struct http_blob *blob)
{
    struct request_reader *reader = CONTAINER_OF(base, struct request_reader, base);
    if (blob == NULL)
        http_respond_text(reader->request, 503, "The master ends");
    else if (http_blob_size(blob) <= SMALL_SIZE || http_query(reader->request, "jsonp") != NULL)
        respond_whole(reader, blob);
    else if (http_accepts_gzip(reader->request))
        reader->packing = http_blob_pack(reader->server->env, blob, is_packed, reader);
    else
        http_respond_blob(reader->request, 200, content_type_name(reader->type), blob, false);
}

void master_answers_respond(struct master_server *server, struct http_request *r,
                            const struct answer_kind *kind, const char *parameter,
                            enum content_type type)
{
    struct request_reader *reader = arena_zalloc(http_arena(r), sizeof(*reader));
    reader->base.ready = is_ready;
    list_init(&reader->base.link);
    reader->server = server;
    reader->request = r;
    reader->type = type;
    http_on_abort(r, request_is_gone, reader);
    master_answers_ask(server, kind, parameter, &reader->base);
}

// ---- life ----

void master_answers_init(struct master_server *server)
{
    struct master_answers *answers = mem_zalloc(sizeof(*answers));
    answers->server = server;
    answers->hook.run = make_piece;
    answers->patience.run = cut_oldest;
    answers->idle.run = is_idle;
    answers->drop.run = drop_blocks;
    list_init(&answers->hook.link);
    list_init(&answers->drop.link);
    list_init(&answers->waiting);
    list_init(&answers->sent);
    http_blocks_keep(server->answers_size_max / KEEP_PART);
    server->answers = answers;
}

static void refuse(struct answer *a)
{
    while (!list_is_empty(&a->readers)) {
        struct answer_reader *reader = LIST_ENTRY(a->readers.next, struct answer_reader, link);
        list_remove(&reader->link);
        reader->ready(reader, NULL);
    }
    answer_free(a);
}

void master_answers_free(struct master_server *server)
{
    struct master_answers *answers = server->answers;
    if (answers == NULL)
        return;
    env_hook_cancel(&answers->hook);
    env_hook_cancel(&answers->drop);
    env_timer_cancel(server->env, &answers->patience);
    env_timer_cancel(server->env, &answers->idle);
    if (answers->current != NULL) {
        master_walk_free(answers->walk);
        refuse(answers->current);
    }
    LIST_FOREACH (&answers->waiting, struct answer, link, a)
        refuse(a);
    LIST_FOREACH (&answers->sent, struct sent_blob, link, sent) {
        http_blob_watch(sent->blob, NULL, NULL);
        list_remove(&sent->link);
        mem_free(sent);
    }
    http_blocks_keep(0);
    http_blocks_drop(SIZE_MAX);
    mem_free(answers);
    server->answers = NULL;
}
