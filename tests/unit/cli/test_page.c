// SPDX-License-Identifier: Apache-2.0
//
// docs/cli.md says what the table of commands says. test_cli_page PAGE --write (or --write alone,
// in the source folder) makes its generated part anew.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/cli.h"

#define BEGIN "## Flags of every command\n"

static const char *page_path = "docs/cli.md";

static void the_page_is_true(void **state)
{
    (void)state;
    struct error err;
    AUTO_FREE char *page = NULL;
    size_t size;
    if (file_read(page_path, 1024 * 1024, &page, &size, &err) < 0) {
        fail_msg("%s", err.text);
    }
    const char *part = strstr(page, BEGIN);
    AUTO_BUF struct buf made = BUF_INIT;
    cli_put_page(&made);
    assert_non_null(part);
    assert_string_equal(part, made.data);
}

static int write_page(void)
{
    struct error err;
    AUTO_FREE char *page = NULL;
    size_t size;
    int r = file_read(page_path, 1024 * 1024, &page, &size, &err);
    if (r == 0) {
        const char *part = strstr(page, BEGIN);
        AUTO_BUF struct buf made = BUF_INIT;
        buf_append(&made, page, part != NULL ? (size_t)(part - page) : size);
        cli_put_page(&made);
        r = file_write(page_path, made.data, made.size, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
    }
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_is_true)};
    if (argc > 1 && strcmp(argv[1], "--write") != 0) {
        page_path = argv[1];
    }
    if (argc > 1 && strcmp(argv[argc - 1], "--write") == 0) {
        return write_page();
    }
    return cmocka_run_group_tests_name("cli-page", tests, NULL, NULL);
}
