// SPDX-License-Identifier: Apache-2.0
//
// /files over a real server and a real directory, and the ways out of it that must not be.

#include "../net/harness.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

struct world {
    struct harness h;
    struct api_common *common;
    struct api_router *router;
    char root[64]; // holds box/ (attached as /sandbox) and secret
};

static void write_file(const char *directory, const char *name, const void *data, size_t size)
{
    AUTO_FREE char *path = mem_printf("%s/%s", directory, name);
    struct error err;
    assert_int_equal(file_write(path, data, size, &err), 0);
    assert_int_equal(chmod(path, 0640), 0);
}

static void make_link(const char *directory, const char *name, const char *target)
{
    AUTO_FREE char *path = mem_printf("%s/%s", directory, name);
    assert_int_equal(symlink(target, path), 0);
}

static void dispatch(void *ctx, struct http_request *r)
{
    api_router_dispatch(((struct world *)ctx)->router, r);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    harness_init(&w->h, NULL);
    w->common = api_common_new(&(struct api_common_options){.env = w->h.env});
    w->router = api_router_new("slave(1)");
    api_common_add_routes(w->common, w->router);
    w->h.handler = dispatch;
    w->h.handler_ctx = w;

    snprintf(w->root, sizeof(w->root), "/tmp/meseta-files-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    AUTO_FREE char *box = mem_printf("%s/box", w->root);
    AUTO_FREE char *boxer = mem_printf("%s/boxer", w->root);
    AUTO_FREE char *run = mem_printf("%s/box/runs/1", w->root);
    AUTO_FREE char *runs = mem_printf("%s/box/runs", w->root);
    AUTO_FREE char *secret = mem_printf("%s/secret", w->root);
    AUTO_FREE char *fifo = mem_printf("%s/fifo", box);
    struct error err;
    assert_int_equal(path_make_directories(run, 0755, &err), 0);
    assert_int_equal(path_make_directories(boxer, 0755, &err), 0);
    write_file(w->root, "secret", "secret", 6);
    write_file(boxer, "inner", "secret", 6);
    write_file(box, "stdout", "hello\nworld\n", 12);
    write_file(box, "page.html", "<p>", 3);
    write_file(box, "a;\"b", "x", 1);
    write_file(box, "binary", "a\xff\0b\xc3\xa9", 6);
    write_file(run, "stderr", "oops", 4);
    make_link(runs, "latest", run);
    make_link(box, "relative", "runs/1");
    make_link(box, "out", secret);
    make_link(box, "up", "..");
    make_link(box, "neighbour", boxer);
    make_link(box, "loop", "loop");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(api_files_attach(w->common, "/sandbox", box, &err), 0);
}

static void world_free(struct world *w)
{
    api_router_free(w->router);
    api_common_free(w->common);
    harness_free(&w->h);
    struct error err;
    assert_int_equal(path_remove_tree(w->root, &err), 0);
}

static void ask(struct world *w, const char *target, struct buf *out)
{
    AUTO_FREE char *request =
        mem_printf("GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target);
    buf_clear(out);
    harness_ask(&w->h, request, out);
}

static const char *body_of(const struct buf *answer)
{
    const char *end = strstr(answer->data, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static int status_of(const struct buf *answer)
{
    return atoi(answer->data + strlen("HTTP/1.1 "));
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int status;
        const char *body;
    } rows[] = {
        {"path=/sandbox/stdout&offset=0", 200, "{\"data\":\"hello\\nworld\\n\",\"offset\":0}"},
        {"path=/sandbox/stdout&offset=0&length=5", 200, "{\"data\":\"hello\",\"offset\":0}"},
        {"path=/sandbox/stdout&offset=6&length=100", 200, "{\"data\":\"world\\n\",\"offset\":6}"},
        {"path=/sandbox/stdout&offset=6&length=-1", 200, "{\"data\":\"world\\n\",\"offset\":6}"},
        {"path=/sandbox/stdout&offset=6&length=0", 200, "{\"data\":\"\",\"offset\":6}"},
        {"path=/sandbox/stdout&offset=12", 200, "{\"data\":\"\",\"offset\":12}"},
        {"path=/sandbox/stdout&offset=99", 200, "{\"data\":\"\",\"offset\":99}"},
        // Without an offset, or with -1: how long the file is.
        {"path=/sandbox/stdout", 200, "{\"data\":\"\",\"offset\":12}"},
        {"path=/sandbox/stdout&offset=-1&length=3", 200, "{\"data\":\"\",\"offset\":12}"},
        {"path=sandbox//stdout&offset=0&length=1&jsonp=f", 200, "f({\"data\":\"h\",\"offset\":0})"},
        {"path=/sandbox/binary&offset=0", 200,
         "{\"data\":\"a\\ufffd\\u0000b\\u00e9\",\"offset\":0}"},
        // The last character is not cut in two, unless there is nothing else.
        {"path=/sandbox/binary&offset=0&length=5", 200,
         "{\"data\":\"a\\ufffd\\u0000b\",\"offset\":0}"},
        {"path=/sandbox/binary&offset=4&length=1", 200, "{\"data\":\"\\ufffd\",\"offset\":4}"},
        {"path=/sandbox/runs/latest/stderr&offset=0", 200, "{\"data\":\"oops\",\"offset\":0}"},
        {"path=/sandbox/relative/stderr&offset=0", 200, "{\"data\":\"oops\",\"offset\":0}"},
        // What is asked for in a wrong way.
        {"", 400, "Expecting 'path=value' in query.\n"},
        {"path=", 400, "Expecting 'path=value' in query.\n"},
        {"path=/sandbox/stdout&offset=x", 400,
         "Failed to parse offset: Failed to convert 'x' to number.\n"},
        {"path=/sandbox/stdout&offset=-2", 400, "Negative offset provided: -2.\n"},
        {"path=/sandbox/stdout&length=-2", 400, "Negative length provided: -2.\n"},
        {"path=/sandbox/stdout&length=1e3", 400,
         "Failed to parse length: Failed to convert '1e3' to number.\n"},
        {"path=/sandbox", 400, "Cannot read a directory.\n"},
        {"path=/sandbox/fifo&offset=0", 400, "Cannot read what is not a regular file.\n"},
        // What is not there, or not to be had.
        {"path=/nothing", 404, "There is no '/nothing'.\n"},
        {"path=/sandboxes/stdout", 404, "There is no '/sandboxes/stdout'.\n"},
        {"path=/sandbox/none", 404, "There is no '/sandbox/none'.\n"},
        {"path=/sandbox/stdout/x", 404, "There is no '/sandbox/stdout/x'.\n"},
        {"path=/etc/passwd", 404, "There is no '/etc/passwd'.\n"},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf answer = BUF_INIT;
        AUTO_FREE char *target = mem_printf("/files/read?%s", rows[i].query);
        ask(&w, target, &answer);
        if (status_of(&answer) != rows[i].status || strcmp(body_of(&answer), rows[i].body) != 0) {
            fail_msg("%s: %s", rows[i].query, answer.data);
        }
    }
    world_free(&w);
}

static void test_no_way_out(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/sandbox/../secret", "/sandbox/out",
        "/sandbox/up/secret", "/sandbox/neighbour/inner",
        "/sandbox/up",        "/sandbox/..",
        "/sandbox/loop",      "/sandbox/runs/../../secret",
        "/sandbox/neighbour", "/sandbox/../boxer/inner",
    };
    static const char *const endpoints[] = {"read", "browse", "download"};
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(endpoints); j++) {
            AUTO_BUF struct buf answer = BUF_INIT;
            AUTO_FREE char *target =
                mem_printf("/files/%s?path=%s&offset=0", endpoints[j], paths[i]);
            ask(&w, target, &answer);
            if (status_of(&answer) != 400 || strstr(body_of(&answer), "\"secret\"") != NULL) {
                fail_msg("%s: %s", target, answer.data);
            }
        }
    }
    world_free(&w);
}

static void test_browse(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    AUTO_BUF struct buf answer = BUF_INIT;
    ask(&w, "/files/browse?path=/sandbox/runs/latest/", &answer);
    AUTO_FREE char *path = mem_printf("%s/box/runs/1/stderr", w.root);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    AUTO_BUF struct buf expected = BUF_INIT;
    buf_printf(&expected,
               "[{\"gid\":\"%s\",\"mode\":\"-rw-r-----\",\"mtime\":", getgrgid(st.st_gid)->gr_name);
    text_put_double(&expected, (double)st.st_mtime);
    buf_printf(&expected,
               ",\"nlink\":1,\"path\":\"/sandbox/runs/latest/stderr\",\"size\":4,\"uid\":\"%s\"}]",
               getpwuid(st.st_uid)->pw_name);
    assert_string_equal(body_of(&answer), expected.data);

    // Sorted; links within show what they lead to, others only themselves.
    ask(&w, "/files/browse?path=/sandbox", &answer);
    static const char *const order[] = {"/a;\\\"b\"",   "/binary\"", "/fifo\"",      "/loop\"",
                                        "/neighbour\"", "/out\"",    "/page.html\"", "/relative\"",
                                        "/runs\"",      "/stdout\"", "/up\""};
    const char *at = body_of(&answer);
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    static const struct {
        const char *name;
        char kind;
    } kinds[] = {{"fifo", 'p'}, {"out", 'l'}, {"relative", 'd'}, {"runs", 'd'}, {"up", 'l'}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        AUTO_FREE char *name = mem_printf("\"path\":\"/sandbox/%s\"", kinds[i].name);
        const char *entry = strstr(body_of(&answer), name);
        assert_non_null(entry);
        while (strncmp(entry, "\"mode\":\"", 8) != 0) {
            entry--;
        }
        assert_int_equal(entry[8], kinds[i].kind);
    }

    ask(&w, "/files/browse?path=/sandbox/stdout", &answer);
    assert_string_equal(body_of(&answer), "[]");
    ask(&w, "/files/browse?path=/sandbox/none", &answer);
    assert_int_equal(status_of(&answer), 404);
    ask(&w, "/files/browse", &answer);
    assert_string_equal(body_of(&answer), "Expecting 'path=value' in query.\n");
    world_free(&w);
}

static void test_download(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *header;
        const char *body;
    } rows[] = {
        {"/sandbox/stdout", "\r\nContent-Type: application/octet-stream\r\n", "hello\nworld\n"},
        {"/sandbox/stdout", "\r\nContent-Disposition: attachment; filename=stdout\r\n",
         "hello\nworld\n"},
        {"/sandbox/page.html", "\r\nContent-Type: text/html\r\n", "<p>"},
        {"/sandbox/a%3b%22b", "\r\nContent-Disposition: attachment; filename=a__b\r\n", "x"},
        {"/sandbox", "HTTP/1.1 400 ", "Cannot download a directory.\n"},
        {"/sandbox/fifo", "HTTP/1.1 400 ", "Cannot download what is not a regular file.\n"},
        {"/sandbox/none", "HTTP/1.1 404 ", "There is no '/sandbox/none'.\n"},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf answer = BUF_INIT;
        AUTO_FREE char *target = mem_printf("/files/download?path=%s", rows[i].path);
        ask(&w, target, &answer);
        if (strstr(answer.data, rows[i].header) == NULL) {
            fail_msg("%s: %s", rows[i].path, answer.data);
        }
        assert_string_equal(body_of(&answer), rows[i].body);
    }
    world_free(&w);
}

static void test_large_file(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    AUTO_FREE char *data = mem_alloc(200000);
    memset(data, 'x', 200000);
    write_file(w.root, "box/large", data, 200000);
    AUTO_BUF struct buf answer = BUF_INIT;
    ask(&w, "/files/read?path=/sandbox/large&offset=10", &answer);
    assert_int_equal(strspn(strstr(body_of(&answer), "xxx"), "x"), 65536);
    ask(&w, "/files/download?path=/sandbox/large", &answer);
    assert_int_equal(strlen(body_of(&answer)), 200000);
    world_free(&w);
}

static void test_attaching(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct error err;
    AUTO_BUF struct buf answer = BUF_INIT;
    AUTO_FREE char *secret = mem_printf("%s/secret", w.root);
    AUTO_FREE char *none = mem_printf("%s/none", w.root);
    AUTO_FREE char *text =
        mem_printf("Failed to get realpath of '%s': No such file or directory", none);
    assert_int_equal(api_files_attach(w.common, "/none", none, &err), -ENOENT);
    assert_string_equal(err.text, text);

    // A file; and the longest attached prefix counts.
    assert_int_equal(api_files_attach(w.common, "/sandbox/log/", secret, &err), 0);
    ask(&w, "/files/read?path=/sandbox/log&offset=0", &answer);
    assert_string_equal(body_of(&answer), "{\"data\":\"secret\",\"offset\":0}");
    ask(&w, "/files/read?path=/sandbox/log/x&offset=0", &answer);
    assert_int_equal(status_of(&answer), 404);

    ask(&w, "/slave(1)/files/debug.json", &answer);
    AUTO_FREE char *debug =
        mem_printf("{\"/sandbox\":\"%s/box\",\"/sandbox/log/\":\"%s\"}", w.root, secret);
    assert_string_equal(body_of(&answer), debug);

    api_files_detach(w.common, "sandbox/log");
    ask(&w, "/files/read?path=/sandbox/log&offset=0", &answer);
    assert_int_equal(status_of(&answer), 404);
    api_files_detach(w.common, "/sandbox");
    api_files_detach(w.common, "/sandbox");
    ask(&w, "/files/read?path=/sandbox/stdout&offset=0", &answer);
    assert_int_equal(status_of(&answer), 404);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),       cmocka_unit_test(test_no_way_out),
        cmocka_unit_test(test_browse),     cmocka_unit_test(test_download),
        cmocka_unit_test(test_large_file), cmocka_unit_test(test_attaching),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
