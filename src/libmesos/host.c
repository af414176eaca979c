// SPDX-License-Identifier: Apache-2.0

#include "host.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

static struct {
    void (*sink)(void *ctx, int level, const char *text);
    void *ctx;
} user_log;

static void pass_line(void *ctx, enum log_level level, const char *file, int line, const char *text,
                      size_t size)
{
    (void)ctx;
    (void)size;
    (void)file;
    (void)line;
    user_log.sink(user_log.ctx, (int)level, text);
}

void mesos_log(void (*sink)(void *ctx, int level, const char *text), void *ctx)
{
    user_log.sink = sink;
    user_log.ctx = ctx;
    log_set_sink(sink != NULL ? pass_line : NULL, NULL);
}

static void on_async(uv_async_t *async)
{
    struct host *host = async->data;
    host->woken(host->ctx);
}

static void on_async_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

int host_open(struct host *host, void (*woken)(void *ctx), void *ctx, struct error *err)
{
    host->woken = woken;
    host->ctx = ctx;
    int r = env_new(&host->env, err);
    if (r < 0)
        return r;
    host->async = mem_zalloc(sizeof(*host->async));
    host->async->data = host;
    CHECK(uv_async_init(env_loop(host->env), host->async, on_async) == 0);
    return 0;
}

void host_close(struct host *host)
{
    if (host->env == NULL)
        return;
    uv_close((uv_handle_t *)host->async, on_async_closed);
    host->env = env_free(host->env);
}

void host_wake(struct host *host)
{
    uv_async_send(host->async);
}

int host_fail(struct mesos_error *to, int r, const struct error *err)
{
    if (to != NULL) {
        to->code = r;
        snprintf(to->text, sizeof(to->text), "%s", err->text);
    }
    return r;
}

void host_copy(void *to, size_t to_size, const void *from)
{
    size_t size;
    memcpy(&size, from, sizeof(size));
    memset(to, 0, to_size);
    memcpy(to, from, size < to_size ? size : to_size);
}

int host_put_more(struct json_writer *w, const char *more, const char *what, struct error *err)
{
    if (more == NULL)
        return 0;
    const char *begin = more + strspn(more, " \t\r\n");
    size_t size = strlen(begin);
    while (size > 0 && strchr(" \t\r\n", begin[size - 1]) != NULL)
        size--;
    if (size < 2 || begin[0] != '{' || begin[size - 1] != '}')
        return error_set(err, -EINVAL, "More fields of %s must be a JSON object", what);
    begin++;
    size -= 2;
    if (strspn(begin, " \t\r\n") >= size)
        return 0;
    if (w->needs_comma)
        buf_putc(w->out, ',');
    buf_append(w->out, begin, size);
    w->needs_comma = true;
    return 0;
}

const struct mesos_message *host_message(const void *message)
{
    return message;
}
