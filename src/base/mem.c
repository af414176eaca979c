// SPDX-License-Identifier: Apache-2.0
//
// malloc that does not fail.

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *mem_alloc(size_t size)
{
    void *p = malloc(size != 0 ? size : 1);

    CHECK(p != NULL);
    return p;
}

void *mem_zalloc(size_t size)
{
    return mem_calloc(1, size);
}

void *mem_calloc(size_t count, size_t item_size)
{
    void *p = calloc(count != 0 ? count : 1, item_size != 0 ? item_size : 1);

    CHECK(p != NULL);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    p = realloc(p, size != 0 ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_realloc_array(void *p, size_t count, size_t item_size)
{
    size_t size;

    CHECK(!__builtin_mul_overflow(count, item_size, &size));
    return mem_realloc(p, size);
}

char *mem_strdup(const char *s)
{
    return s != NULL ? mem_dup(s, strlen(s) + 1) : NULL;
}

char *mem_strndup(const char *s, size_t size)
{
    size_t length = strnlen(s, size);
    char *copy = mem_alloc(length + 1);

    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);

    if (size != 0)
        memcpy(copy, p, size);
    return copy;
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(size >= 0);
    text = mem_alloc((size_t)size + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}

void mem_free(void *p)
{
    free(p);
}
