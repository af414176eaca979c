// SPDX-License-Identifier: Apache-2.0

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "container/fetch_steps.h"

enum { REDIRECTS_MAX = 50, CONNECT_TIMEOUT_S = 60 };

struct transfer {
    CURL *curl;
    fetch_target_fn *target;
    void *ctx;
    int fd;   // -1 until the body begins
    int code; // why we ended it ourselves
    struct error *err;
};

static bool is_http(const char *uri)
{
    return text_starts_with(uri, "http");
}

static int open_target(struct transfer *transfer)
{
    curl_off_t size = -1;
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    return transfer->target(transfer->ctx, size, &transfer->fd, transfer->err);
}

static size_t on_body(char *data, size_t item_size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t size = item_size * count;
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300 && status < 600 && status != 350) {
        return size; // the text of an error, or of a redirect: not what was asked for
    }
    if (transfer->fd < 0 && (transfer->code = open_target(transfer)) < 0) {
        return 0;
    }
    for (size_t written = 0; written < size;) {
        ssize_t n = write(transfer->fd, data + written, size - written);
        if (n < 0 && errno != EINTR) {
            transfer->code = error_errno(transfer->err, -errno, "Failed to write");
            return 0;
        }
        written += n < 0 ? 0 : (size_t)n;
    }
    return size;
}

// libcurl itself looks at neither of these; its command line tool does, and so do people.
static void use_certificates(CURL *curl)
{
    const char *file = getenv("CURL_CA_BUNDLE");
    file = file == NULL ? getenv("SSL_CERT_FILE") : file;
    if (file != NULL && file[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, file);
    }
    const char *directory = getenv("SSL_CERT_DIR");
    if (directory != NULL && directory[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAPATH, directory);
    }
}

static void set_options(CURL *curl, const char *uri, int64_t stall_timeout_s, char *text)
{
    curl_easy_setopt(curl, CURLOPT_URL, uri);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    // A redirect may not lead to a file of this machine.
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    if (stall_timeout_s > 0) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)stall_timeout_s);
    }
    use_certificates(curl);
}

static int check_result(struct transfer *transfer, const char *uri, CURLcode result,
                        const char *text)
{
    if (transfer->code < 0) {
        return error_wrap(transfer->err, transfer->code, "Error downloading resource");
    }
    if (result != CURLE_OK) {
        return error_set(transfer->err, -EIO, "Error downloading resource: %s",
                         text[0] == '\0' ? curl_easy_strerror(result) : text);
    }
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (is_http(uri) && status != 200) {
        return error_set(transfer->err, -EIO,
                         "Error downloading resource, received HTTP return code %ld", status);
    }
    if (!is_http(uri) && status != 226) {
        return error_set(transfer->err, -EIO,
                         "Error downloading resource, received FTP return code %ld", status);
    }
    return transfer->fd >= 0 ? 0 : open_target(transfer); // an empty file is one too
}

int fetch_download(const char *uri, int64_t stall_timeout_s, fetch_target_fn *target, void *ctx,
                   struct error *err)
{
    struct error own = {0};
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return error_set(err, -ENOMEM, "Failed to start a transfer");
    }
    struct transfer transfer = {
        .curl = curl,
        .target = target,
        .ctx = ctx,
        .fd = -1,
        .err = err == NULL ? &own : err,
    };
    char text[CURL_ERROR_SIZE] = "";
    set_options(curl, uri, stall_timeout_s, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    CURLcode result = curl_easy_perform(curl);
    int code = check_result(&transfer, uri, result, text);
    curl_easy_cleanup(curl);
    return code;
}
