// SPDX-License-Identifier: Apache-2.0
//
// One table of all interned strings. It holds no references of its own: the last drop takes the
// string out, and with the last string the table's memory goes, too.

#include "model/intern.h"

#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

static struct map strings;
// The one that was asked for last: the same role comes many times in a row.
static struct intern *last;

struct intern *intern_get(const char *text)
{
    CHECK(text != NULL);
    if (last != NULL && strcmp(last->text, text) == 0) {
        return intern_hold(last);
    }
    struct intern *s = map_get(&strings, text);
    if (s == NULL) {
        size_t size = strlen(text);
        CHECK(size < UINT32_MAX);
        s = mem_alloc(sizeof(*s) + size + 1);
        s->references = 0;
        s->size = (uint32_t)size;
        memcpy(s->text, text, size + 1);
        map_put(&strings, text, s);
    }
    s->references++;
    last = s;
    return s;
}

void intern_forget(struct intern *s)
{
    CHECK(map_remove(&strings, s->text) == s);
    if (last == s) {
        last = NULL;
    }
    mem_free(s);
    if (strings.count == 0) {
        map_free(&strings);
    }
}
