// SPDX-License-Identifier: Apache-2.0
//
// error, mem, arena, buf, fd.

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/slab.h"

#if defined(__SANITIZE_ADDRESS__)
#define BLOCKS_GO_BACK 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCKS_GO_BACK 0
#endif
#endif
#ifndef BLOCKS_GO_BACK
#define BLOCKS_GO_BACK 1 // the address sanitizer keeps what is freed for a while
#endif

static void error_carries_code_and_text(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(error_set(&err, -EINVAL, "bad %s", "thing"), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, "bad thing");
    assert_int_equal(error_errno(&err, -ENOENT, "open '%s'", "x"), -ENOENT);
    assert_string_equal(err.text, "open 'x': No such file or directory");
    assert_int_equal(error_wrap(&err, -EIO, "load"), -ENOENT);
    assert_string_equal(err.text, "load: open 'x': No such file or directory");
}

static void error_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, -EINVAL, "x"), -EINVAL);
    assert_int_equal(error_errno(NULL, -EIO, "x"), -EIO);
    assert_int_equal(error_wrap(NULL, -EPERM, "x"), -EPERM);
}

static void error_cuts_long_texts(void **state)
{
    char text[ERROR_TEXT_SIZE * 2];
    struct error err = {0};

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&err, -E2BIG, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
    error_wrap(&err, 0, "wrapped");
    assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
    assert_memory_equal(err.text, "wrapped: aaa", 12);
    // What went wrong is worth more than where.
    error_errno(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
    assert_non_null(strstr(err.text, "aaa: Input/output error"));
}

// Runs `f` in a child and tells whether it aborted.
static bool aborts(void (*f)(void))
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        f();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void fail_check(void)
{
    CHECK(1 + 1 == 3);
}

struct thing {
    uint32_t magic;
};

static void cast_wrongly(void)
{
    struct thing thing = {.magic = 1};

    (void)CHECK_CAST(thing, 2, (void *)&thing);
}

static void overflow_calloc(void)
{
    mem_free(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
}

static void exceed_arena(void)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 100);

    arena_alloc(arena, 60);
    arena_alloc(arena, 41);
}

static void fit_arena(void)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 100);

    arena_alloc(arena, 60);
    arena_alloc(arena, 40);
}

static void check_aborts(void **state)
{
    (void)state;
    assert_true(aborts(fail_check));
    assert_true(aborts(cast_wrongly));
    assert_true(aborts(overflow_calloc));
    assert_true(aborts(exceed_arena));
    assert_false(aborts(fit_arena));
}

static void mem_copies(void **state)
{
    AUTO_FREE char *whole = mem_strdup("abc");
    AUTO_FREE char *part = mem_strndup("abcdef", 3);
    AUTO_FREE char *shorter = mem_strndup("ab", 10);
    AUTO_FREE char *printed = mem_printf("%d-%s", 7, "x");
    AUTO_FREE int *zeros = mem_calloc(10, sizeof(int));
    char *taken = TAKE_PTR(whole);

    (void)state;
    assert_null(whole);
    assert_string_equal(taken, "abc");
    mem_free(taken);
    assert_string_equal(part, "abc");
    assert_string_equal(shorter, "ab");
    assert_string_equal(printed, "7-x");
    for (int i = 0; i < 10; i++)
        assert_int_equal(zeros[i], 0);
    assert_null(mem_strdup(NULL));
    mem_free(NULL);
}

// What is freed comes back, and no block is given out twice or is too small.
static void cache_gives_blocks_back(void **state)
{
    (void)state;
    enum { COUNT = 400, ROUNDS = 40 };
    unsigned char *blocks[COUNT] = {0};
    size_t sizes[COUNT] = {0};
    mem_cache_begin();
    mem_cache_begin();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = round % 3; i < COUNT; i += 1 + round % 4) {
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(blocks[i][k], i & 0xff);
            size_t size = (i * 37 + round * 91) % 6000;
            if (round % 5 == 0) {
                mem_free(blocks[i]);
                blocks[i] = mem_calloc(1, size);
                for (size_t k = 0; k < size; k++)
                    assert_int_equal(blocks[i][k], 0);
            } else if (round % 2 == 0) {
                size_t kept = size < sizes[i] ? size : sizes[i];
                blocks[i] = mem_realloc(blocks[i], size);
                for (size_t k = 0; k < kept; k++)
                    assert_int_equal(blocks[i][k], i & 0xff);
            } else {
                mem_free(blocks[i]);
                blocks[i] = mem_alloc(size);
            }
            memset(blocks[i], (int)i, size);
            sizes[i] = size;
        }
    }
    for (size_t i = 0; i < COUNT; i += 2)
        mem_free(blocks[i]);
    mem_cache_end();
    mem_cache_end();
    for (size_t i = 1; i < COUNT; i += 2)
        mem_free(blocks[i]);
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long all = 0;
    unsigned long resident = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

// A heap of many small blocks that grows, shrinks and grows again: each block keeps what it holds,
// and most of the memory goes back.
static void large_heap_goes_back(void **state)
{
    enum { COUNT = 120000, SIZE = 1000 };
    unsigned char **blocks = mem_calloc(COUNT, sizeof(*blocks));
    size_t before = resident_bytes();

    (void)state;
    mem_cache_begin();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++)
            blocks[i] = memset(mem_alloc(SIZE), (int)i, SIZE);
        size_t most = resident_bytes();
        assert_true(most > before + (size_t)COUNT * SIZE / 2);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(blocks[i][0], i & 0xff);
            assert_int_equal(blocks[i][SIZE - 1], i & 0xff);
            mem_free(blocks[i]);
        }
        if (round == 1)
            mem_cache_end();
        if (round == 1 && BLOCKS_GO_BACK)
            assert_true(resident_bytes() < before + (most - before) / 2);
    }
    mem_free(blocks);
}

static void arena_gives_distinct_aligned_memory(void **state)
{
    static const size_t firsts[] = {0, 1, 64, 5000};

    (void)state;
    for (size_t f = 0; f < ARRAY_COUNT(firsts); f++) {
        AUTO_ARENA struct arena *arena = arena_new(firsts[f], 0);
        unsigned char *parts[300];
        size_t total = 0;

        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
                size_t size = i * i % 700 + (i == 150 ? 200000 : 0);

                parts[i] = arena_alloc(arena, size);
                total += size;
                assert_int_equal((uintptr_t)parts[i] % (size >= 16 ? 16 : 8), 0);
                memset(parts[i], (int)i, size);
            }
            assert_in_range(arena_size(arena), total, total + ARRAY_COUNT(parts) * ARENA_ALIGNMENT);
            for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
                for (size_t k = 0; k < i * i % 700; k++)
                    assert_int_equal(parts[i][k], i & 0xff);
            arena_reset(arena);
            total = 0;
            assert_int_equal(arena_size(arena), 0);
        }
    }
}

static void arena_copies_text(void **state)
{
    AUTO_ARENA struct arena *arena = arena_new(32, 0);
    char text[600];

    (void)state;
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_null(arena_strdup(arena, NULL));
    assert_string_equal(arena_strdup(arena, "hello"), "hello");
    assert_string_equal(arena_strndup(arena, "hello", 2), "he");
    assert_string_equal(arena_strndup(arena, "he", 20), "he");
    assert_memory_equal(arena_dup(arena, "a\0b", 3), "a\0b", 3);
    assert_string_equal(arena_printf(arena, "%d %s", 5, "x"), "5 x");
    assert_string_equal(arena_printf(arena, "%s", text), text);
    for (int i = 0; i < 100; i++)
        assert_int_equal(((char *)arena_calloc(arena, 10, 10))[i], 0);
    assert_null(arena_free(NULL));
}

static void buf_grows_and_terminates(void **state)
{
    AUTO_BUF struct buf buf = BUF_INIT;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        buf_putc(&buf, 'x');
        assert_int_equal(buf.data[buf.size], '\0');
    }
    assert_int_equal(buf.size, 1000);
    buf_clear(&buf);
    assert_string_equal(buf.data, "");
    buf_puts(&buf, "a");
    buf_printf(&buf, "-%0500d-", 7);
    assert_int_equal(buf.size, 503);
    buf_consume(&buf, 499);
    assert_string_equal(buf.data, "007-");
    buf_put_u64(&buf, UINT64_MAX);
    buf_putc(&buf, ' ');
    buf_put_i64(&buf, INT64_MIN);
    buf_putc(&buf, ' ');
    buf_put_i64(&buf, 0);
    assert_string_equal(buf.data, "007-18446744073709551615 -9223372036854775808 0");
}

static void buf_drops_what_is_beyond_its_limit(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    buf_puts(&buf, "12345678");
    buf_puts(&buf, "9abc");
    assert_true(buf.overflow);
    buf_putc(&buf, 'x');
    buf_printf(&buf, "y");
    assert_string_equal(buf.data, "12345678");
    buf_clear(&buf);
    assert_false(buf.overflow);
    for (int i = 0; i < 11; i++)
        buf_putc(&buf, 'a');
    assert_true(buf.overflow);
    assert_int_equal(buf.size, 10);
    buf_free(&buf);
    assert_int_equal(buf.limit, 10);
    buf_printf(&buf, "%0300d", 1);
    assert_true(buf.overflow);
    assert_int_equal(buf.size, 0);
}

static void buf_take_gives_the_bytes_away(void **state)
{
    AUTO_BUF struct buf buf = BUF_INIT;
    AUTO_FREE char *empty = buf_take(&buf);
    AUTO_FREE char *full = NULL;

    (void)state;
    assert_string_equal(empty, "");
    buf_puts(&buf, "full");
    full = buf_take(&buf);
    assert_string_equal(full, "full");
    assert_int_equal(buf.size, 0);
    assert_null(buf.data);
}

// A fresh directory; *state is its path.
static int make_directory(void **state)
{
    char *path = mem_strdup("/tmp/meseta-unit-XXXXXX");

    *state = path;
    return mkdtemp(path) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    int result = path_remove_tree(*state, NULL);

    mem_free(*state);
    return result;
}

static void files_are_written_and_read(void **state)
{
    AUTO_FREE char *path = mem_printf("%s/file", (char *)*state);
    AUTO_FREE char *data = NULL;
    struct error err;
    struct stat status;
    size_t size;

    assert_int_equal(file_write(path, "one", 3, NULL), 0);
    assert_int_equal(file_replace(path, "tw\0o", 4, 0640, NULL), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(file_read(path, 4, &data, &size, NULL), 0);
    assert_int_equal(size, 4);
    assert_memory_equal(data, "tw\0o", 5);
    mem_free(TAKE_PTR(data));
    assert_int_equal(file_read(path, 3, &data, &size, &err), -EFBIG);
    assert_null(data);
    assert_int_equal(file_read("/nowhere/at/all", 10, &data, &size, &err), -ENOENT);
    assert_string_equal(err.text, "Failed to open '/nowhere/at/all': No such file or directory");
    assert_int_equal(file_replace("/nowhere/x", "a", 1, 0600, &err), -ENOENT);
}

static void directories_are_made(void **state)
{
    AUTO_FREE char *deep = mem_printf("%s/a//b/c/", (char *)*state);
    AUTO_FREE char *file = mem_printf("%s/file", (char *)*state);
    AUTO_FREE char *below = mem_printf("%s/file/x", (char *)*state);
    struct stat status;

    assert_int_equal(path_make_directories(deep, 0755, NULL), 0);
    assert_int_equal(path_make_directories(deep, 0755, NULL), 0);
    assert_int_equal(stat(deep, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(file_write(file, "", 0, NULL), 0);
    assert_int_equal(path_make_directories(below, 0755, NULL), -ENOTDIR);
    assert_int_equal(path_make_directories("/", 0755, NULL), 0);
}

static void trees_are_removed_without_following_links(void **state)
{
    AUTO_FREE char *outside = mem_printf("%s/outside", (char *)*state);
    AUTO_FREE char *kept = mem_printf("%s/outside/kept", (char *)*state);
    AUTO_FREE char *tree = mem_printf("%s/tree", (char *)*state);
    AUTO_FREE char *inner = mem_printf("%s/tree/a/b", (char *)*state);
    AUTO_FREE char *link = mem_printf("%s/tree/a/link", (char *)*state);

    assert_int_equal(path_make_directories(outside, 0755, NULL), 0);
    assert_int_equal(file_write(kept, "x", 1, NULL), 0);
    assert_int_equal(path_make_directories(inner, 0755, NULL), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(path_remove_tree(tree, NULL), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(path_remove_tree(tree, NULL), 0);
    assert_int_equal(symlink(outside, tree), 0);
    assert_int_equal(path_remove_tree(tree, NULL), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
}

static void very_deep_trees_are_removed(void **state)
{
    enum { DEPTH = 3000 };
    AUTO_FREE char *top = mem_printf("%s/deep", (char *)*state);
    AUTO_CLOSE int at = -1;

    assert_int_equal(mkdir(top, 0700), 0);
    at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        int next;

        assert_int_equal(mkdirat(at, "directory", 0700), 0);
        next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    assert_int_equal(path_remove_tree(top, NULL), 0);
    assert_int_equal(access(top, F_OK), -1);
}

struct slab_thing {
    uint64_t words[9]; // two lines
};

static void slab_gives_zeroed_lines_and_uses_them_again(void **state)
{
    (void)state;
    enum { THINGS = 30000 }; // some of them in blocks of huge pages
    struct slab slab = SLAB_INIT(struct slab_thing);
    struct slab_thing **things = mem_calloc(THINGS, sizeof(struct slab_thing *));
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < THINGS; i++) {
            if (things[i] == NULL) {
                things[i] = slab_take(&slab);
                assert_int_equal((uintptr_t)things[i] % SLAB_LINE, 0);
                for (size_t k = 0; k < ARRAY_COUNT(things[i]->words); k++) {
                    assert_int_equal(things[i]->words[k], 0);
                    things[i]->words[k] = i;
                }
            }
        }
        assert_int_equal(slab.taken, THINGS);
        for (size_t i = 0; i < THINGS; i++) {
            assert_int_equal(things[i]->words[0], i);
            assert_int_equal(things[i]->words[8], i);
            if (pass == 2 || i % 3 == 0) {
                slab_give(&slab, things[i]);
                things[i] = NULL;
            }
        }
    }
    assert_int_equal(slab.taken, 0);
    assert_null(slab.blocks);
    mem_free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_carries_code_and_text),
        cmocka_unit_test(error_may_be_null),
        cmocka_unit_test(error_cuts_long_texts),
        cmocka_unit_test(check_aborts),
        cmocka_unit_test(mem_copies),
        cmocka_unit_test(cache_gives_blocks_back),
        cmocka_unit_test(large_heap_goes_back),
        cmocka_unit_test(slab_gives_zeroed_lines_and_uses_them_again),
        cmocka_unit_test(arena_gives_distinct_aligned_memory),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(buf_grows_and_terminates),
        cmocka_unit_test(buf_drops_what_is_beyond_its_limit),
        cmocka_unit_test(buf_take_gives_the_bytes_away),
        cmocka_unit_test_setup_teardown(files_are_written_and_read, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(directories_are_made, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(trees_are_removed_without_following_links, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(very_deep_trees_are_removed, make_directory,
                                        remove_directory),
    };

    return cmocka_run_group_tests_name("base-memory", tests, NULL, NULL);
}
