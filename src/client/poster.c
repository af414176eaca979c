// SPDX-License-Identifier: Apache-2.0
//
// Calls beside the stream of events. Each remembers who waits for its answer.

#include "client/poster.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/http_client.h"

// Of silence. A master that is flooded may take its time, while its events come; whether it is
// there at all is known by the stream's heartbeats.
#define POST_TIMEOUT_NS (120 * NS_PER_S)

enum {
    POST_MAGIC = 0x506f7374,
    POST_TEXT_MAX = 1024,
    POSTS_UNDER_WAY_MAX = 256,
};

struct poster {
    struct env *env;
    struct http_client *http;
    char *target;
    char *authorization;
    char *stream_id;
    enum content_type content;
    struct list posts; // of struct post, that wait for an answer
};

struct post {
    uint32_t magic;
    struct list link;
    poster_answer_fn *on_answer;
    void *ctx;
    int tag;
    int status;
    struct buf text;
};

static void post_free(struct post *post)
{
    list_remove(&post->link);
    buf_free(&post->text);
    post->magic = 0;
    mem_free(post);
}

static void post_on_head(void *ctx, struct http_call *call, int status)
{
    (void)call;
    struct post *post = CHECK_CAST(post, POST_MAGIC, ctx);
    post->status = status;
}

static void post_on_data(void *ctx, struct http_call *call, const void *data, size_t size)
{
    (void)call;
    struct post *post = CHECK_CAST(post, POST_MAGIC, ctx);
    buf_append(&post->text, data, size);
}

static void post_on_end(void *ctx, struct http_call *call, const struct error *err)
{
    (void)call;
    struct post *post = CHECK_CAST(post, POST_MAGIC, ctx);
    if (post->on_answer != NULL) {
        char text[ERROR_TEXT_SIZE] = "";
        if (err != NULL) {
            snprintf(text, sizeof(text), "%s", err->text);
        } else if (post->text.data != NULL) {
            snprintf(text, sizeof(text), "%.*s", (int)strcspn(post->text.data, "\r\n"),
                     post->text.data);
        }
        post->on_answer(post->ctx, post->tag, err != NULL ? 0 : post->status, text);
    }
    post_free(post);
}

struct poster *poster_new(struct env *env, const struct poster_order *order)
{
    struct poster *p = mem_zalloc(sizeof(*p));
    p->env = env;
    p->http = http_client_new(env, order->address->host, order->address->port);
    http_client_pipeline(p->http, POSTS_UNDER_WAY_MAX);
    p->target = mem_strdup(order->target);
    p->authorization = mem_strdup(order->authorization);
    p->stream_id = mem_strdup(order->stream_id);
    p->content = order->content;
    list_init(&p->posts);
    return p;
}

struct poster *poster_free(struct poster *p)
{
    if (p == NULL) {
        return NULL;
    }
    p->http = http_client_free(p->http);
    LIST_FOREACH (&p->posts, struct post, link, post) {
        post_free(post);
    }
    mem_free(p->target);
    mem_free(p->authorization);
    mem_free(p->stream_id);
    mem_free(p);
    return NULL;
}

void poster_send(struct poster *p, const ProtobufCMessage *call, int tag,
                 poster_answer_fn *on_answer, void *ctx)
{
    static const struct http_call_callbacks callbacks = {
        .on_head = post_on_head,
        .on_data = post_on_data,
        .on_end = post_on_end,
    };
    struct post *post = mem_zalloc(sizeof(*post));
    post->magic = POST_MAGIC;
    post->on_answer = on_answer;
    post->ctx = ctx;
    post->tag = tag;
    buf_init(&post->text, POST_TEXT_MAX);
    list_append(&p->posts, &post->link);

    AUTO_BUF struct buf body = BUF_INIT;
    content_encode(p->content, call, &body);
    const char *name = content_type_name(p->content);
    struct http_header headers[4] = {{"Content-Type", name}, {"Accept", name}};
    size_t count = 2;
    if (p->stream_id != NULL) {
        headers[count++] = (struct http_header){"Mesos-Stream-Id", p->stream_id};
    }
    if (p->authorization != NULL) {
        headers[count++] = (struct http_header){"Authorization", p->authorization};
    }
    struct http_call_options options = {
        .method = "POST",
        .target = p->target,
        .headers = headers,
        .header_count = count,
        .body = body.data,
        .body_size = body.size,
        .timeout_ns = POST_TIMEOUT_NS,
    };
    http_client_send(p->http, &options, &callbacks, post);
}
