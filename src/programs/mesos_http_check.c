// SPDX-License-Identifier: Apache-2.0
//
// mesos-http-check URL: asks for it once and writes the status of the answer to standard output,
// or, with exit status 1, why there was none. Redirects are followed; certificates are not looked
// at. Who started it sees to the time.

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { REDIRECTS_MAX = 50 };

static size_t drop_body(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static CURLcode ask(CURL *curl, const char *url, long *ret_status, char *text)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); // the task is on this machine
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: mesos-http-check URL\n");
        return EXIT_FAILURE;
    }
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        fprintf(stderr, "libcurl does not start\n");
        return EXIT_FAILURE;
    }
    char text[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode result = ask(curl, argv[1], &status, text);
    curl_easy_cleanup(curl);
    if (result != CURLE_OK) {
        fprintf(stderr, "%s\n", text[0] != '\0' ? text : curl_easy_strerror(result));
        return EXIT_FAILURE;
    }
    return printf("%ld\n", status) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
