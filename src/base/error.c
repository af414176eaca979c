// SPDX-License-Identifier: Apache-2.0
//
// Errors with their text inside: no allocation, cut when too long.

#include "base/error.h"

#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__
#undef error_set
#undef error_errno
#undef error_wrap
#endif

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

int error_errno(struct error *err, int code, const char *format, ...)
{
    va_list args;
    size_t size;
    char buffer[128];

    if (err == NULL)
        return code;
    err->code = code;
    const char *reason = strerror_r(code < 0 ? -code : code, buffer, sizeof(buffer));
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text) - strlen(reason) - 2, format, args);
    va_end(args);
    size = strlen(err->text);
    snprintf(err->text + size, sizeof(err->text) - size, ": %s", reason);
    return code;
}

int error_wrap(struct error *err, int code, const char *format, ...)
{
    char former[ERROR_TEXT_SIZE];
    va_list args;
    size_t size;

    if (err == NULL)
        return code;
    memcpy(former, err->text, sizeof(former));
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    size = strlen(err->text);
    snprintf(err->text + size, sizeof(err->text) - size, ": %s", former);
    return err->code != 0 ? err->code : code;
}
