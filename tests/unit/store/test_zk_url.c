// SPDX-License-Identifier: Apache-2.0

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "store/zk.h"

static void expect(const char *text, const char *servers, const char *credentials, const char *path)
{
    struct zk_url url;
    struct error err = {0};
    assert_int_equal(zk_url_parse(text, &url, &err), 0);
    assert_string_equal(url.servers, servers);
    if (credentials == NULL)
        assert_null(url.credentials);
    else
        assert_string_equal(url.credentials, credentials);
    assert_string_equal(url.path, path);
    assert_true(zk_url_is(text));
    zk_url_free(&url);
}

static void test_good(void **state)
{
    (void)state;
    expect("zk://h:2181/mesos", "h:2181", NULL, "/mesos");
    expect("zk://a:1,b:2,c:3/x/y/z", "a:1,b:2,c:3", NULL, "/x/y/z");
    expect("zk://h:1/mesos/", "h:1", NULL, "/mesos");
    expect("zk://u:p@h:1/m", "h:1", "u:p", "/m");
    expect("zk://u:p@:q@h:1/m", "h:1", "u:p@:q", "/m");
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "h:1/m",
        "ZK://h:1/m",
        "zk://",
        "zk://h:1",
        "zk://h:1/",
        "zk:///m",
        "zk://u@h/m",
        "zk://u:p@/",
        "zk://u:p@/m",
        "zk://h:1//",
        "zk://h:1/a//b",
        "zk://h:1/a b",
        "zk://h:1/..",
        "zk://h:1/./a",
        "zk://h:1/a/.",
        "file:///no/such/file",
    };
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct zk_url url;
        struct error err = {0};
        assert_true(zk_url_parse(urls[i], &url, &err) < 0);
        assert_true(err.text[0] != '\0');
    }
}

// Nobody's password shall be printed.
static void test_errors_keep_the_password(void **state)
{
    (void)state;
    static const char *const urls[] = {"zk://user:geheim@h:1", "zk://user:geheim@h:1/",
                                       "zk://user:geheim@/m", "zx://user:geheim@h:1/m",
                                       "zk://user:geheim@h:1/a//b"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct zk_url url;
        struct error err = {0};
        assert_int_equal(zk_url_parse(urls[i], &url, &err), -EINVAL);
        assert_null(strstr(err.text, "geheim"));
    }
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/meseta-zk-url-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, " zk://h:1/m\n", 12), 12);
    close(fd);
    AUTO_FREE char *text = mem_printf("file://%s", path);
    expect(text, "h:1", NULL, "/m");
    assert_int_equal(file_write(path, "h:5050\n", 7, NULL), 0);
    bool is_url = zk_url_is(text);
    unlink(path);
    assert_false(is_url);
    assert_false(zk_url_is(text));
    assert_false(zk_url_is("h:5050"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_errors_keep_the_password),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
