// SPDX-License-Identifier: Apache-2.0
//
// HTTP requests, one after another, on libcurl. Connections are kept for the next request.

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_curl.h"

// Beyond this an answer is refused: the tasks of a very big cluster take a tenth of it.
#define ANSWER_SIZE_MAX (4ull * 1024 * 1024 * 1024)
#define SILENCE_S 60 // without any byte: it is given up; events have a heartbeat each 15 seconds
#define CONNECT_MS 5000

struct cli_http {
    CURL *curl;
};

struct cli_http *cli_http_new(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK);
    struct cli_http *http = mem_zalloc(sizeof(*http));
    http->curl = curl_easy_init();
    CHECK(http->curl != NULL);
    return http;
}

struct cli_http *cli_http_free(struct cli_http *http)
{
    if (http != NULL) {
        curl_easy_cleanup(http->curl);
        curl_global_cleanup();
        mem_free(http);
    }
    return NULL;
}

void cli_curl_set_url(CURL *curl, const struct address *address, const char *target)
{
    bool is_ip6 = strchr(address->host, ':') != NULL;
    AUTO_FREE char *url = mem_printf("http://%s%s%s:%u%s", is_ip6 ? "[" : "", address->host,
                                     is_ip6 ? "]" : "", address->port, target);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mesos-cli");
}

void cli_curl_set_user(CURL *curl, const char *principal, const char *secret)
{
    if (principal != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, principal);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, secret != NULL ? secret : "");
    }
}

struct curl_slist *cli_curl_header(struct curl_slist *list, const char *name, const char *value)
{
    AUTO_FREE char *line = mem_printf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    CHECK(longer != NULL);
    return longer;
}

int cli_curl_error(CURLcode code, const char *text, const struct address *address,
                   struct error *err)
{
    return error_set(err, CLI_ERROR_UNREACHABLE, "%s:%u: %s", address->host, address->port,
                     text[0] != '\0' ? text : curl_easy_strerror(code));
}

// ---- one request ----

struct taking {
    const struct cli_request *request;
    CURL *curl;
    struct buf body;
    int result; // of on_data
};

static size_t take_data(char *data, size_t size, size_t count, void *ctx)
{
    struct taking *taking = ctx;
    size *= count;
    long status = 0;
    curl_easy_getinfo(taking->curl, CURLINFO_RESPONSE_CODE, &status);
    if (taking->request->on_data != NULL && status == 200) {
        taking->result = taking->request->on_data(taking->request->ctx, data, size);
        return taking->result < 0 ? 0 : size;
    }
    if (taking->body.size + size > ANSWER_SIZE_MAX) {
        taking->result = -EFBIG;
        return 0;
    }
    buf_append(&taking->body, data, size);
    return size;
}

static void set_body(CURL *curl, const struct cli_request *request)
{
    if (text_is_equal(request->method, "GET")) {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
}

static struct curl_slist *make_headers(const struct cli_request *request)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (request->content_type != NULL) {
        headers = cli_curl_header(headers, "Content-Type", request->content_type);
    }
    return cli_curl_header(headers, "Accept", request->accept != NULL ? request->accept : "*/*");
}

// The bytes, some of which may be NUL, with one more behind them.
static const char *keep(struct arena *arena, const struct buf *body)
{
    char *copy = arena_alloc(arena, body->size + 1);
    if (body->size > 0) {
        memcpy(copy, body->data, body->size);
    }
    copy[body->size] = '\0';
    return copy;
}

int cli_http_ask(struct cli *cli, const struct cli_request *request, struct cli_answer *ret_answer,
                 struct error *err)
{
    CURL *curl = cli->http->curl;
    struct taking taking = {.request = request, .curl = curl};
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_reset(curl); // its connections stay
    cli_curl_set_url(curl, request->address, request->target);
    cli_curl_set_user(curl, request->principal, request->secret);
    set_body(curl, request);
    struct curl_slist *headers = make_headers(request);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taking);
    if (request->on_data == NULL) {
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(request->connect_ms != 0 ? request->connect_ms : CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    char *location = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
    *ret_answer = (struct cli_answer){
        .status = (int)status,
        .location = arena_strdup(cli->arena, location),
        .size = taking.body.size,
        .body = keep(cli->arena, &taking.body),
    };
    buf_free(&taking.body);
    curl_slist_free_all(headers);
    if (taking.result < 0) {
        return taking.result == -EFBIG ? error_set(err, -EFBIG, "%s:%u: the answer is too large",
                                                   request->address->host, request->address->port)
                                       : taking.result;
    }
    return code == CURLE_OK ? 0 : cli_curl_error(code, text, request->address, err);
}

int cli_http_check(const struct cli_answer *answer, const char *who, struct error *err)
{
    int status = answer->status;
    if (status == 200 || status == 202) {
        return 0;
    }
    AUTO_FREE char *copy = mem_strndup(answer->body, answer->size < 600 ? answer->size : 600);
    const char *text = text_trim(copy);
    int code = status == 401 || status == 403 ? CLI_ERROR_DENIED
               : status == 404                ? CLI_ERROR_NOT_FOUND
               : status == 503                ? CLI_ERROR_UNREACHABLE
                                              : CLI_ERROR_FAILED;
    if (text[0] == '\0') {
        return error_set(err, code, "%s answers with status %d", who, status);
    }
    return error_set(err, code, "%s: %s (status %d)", who, text, status);
}
