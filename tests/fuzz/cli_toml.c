// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the command line's configuration file. What is read can be changed: a key that is
// set reads back as it was set, all others stay, and one that is taken out is gone.

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "cli/cli_toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct toml_entry *entry, size_t size)
{
    CHECK(entry->key[0] != '\0' && entry->line > 0);
    CHECK(entry->line_at <= entry->value_at && entry->value_at < entry->value_end);
    CHECK(entry->value_end <= size);
    CHECK((entry->type == TOML_LIST) == (entry->items != NULL));
    CHECK(entry->type == TOML_LIST || entry->text != NULL);
}

// Sets (or, with NULL, removes) a key and reads what came of it.
static void change(const struct toml *toml, const char *text, size_t size, const char *key,
                   const char *value)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf out = BUF_INIT;
    AUTO_BUF struct buf quoted = BUF_INIT;
    struct toml after;
    struct error err;
    if (value != NULL) {
        toml_put_string(value, &quoted);
    }
    toml_put_changed(toml, text, size, key, value != NULL ? quoted.data : NULL, &out);
    if (toml_parse(arena, out.size > 0 ? out.data : "", out.size, &after, &err) < 0) {
        CHECK(value != NULL); // it grew beyond a limit
        return;
    }
    const struct toml_entry *entry = toml_get(&after, key);
    CHECK((entry != NULL) == (value != NULL));
    CHECK(entry == NULL || (entry->type == TOML_TEXT && strcmp(entry->text, value) == 0));
    for (size_t i = 0; i < toml->count; i++) {
        CHECK(strcmp(toml->entries[i].key, key) == 0 ||
              toml_get(&after, toml->entries[i].key) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_FREE char *text = mem_alloc(size + 1);
    struct toml toml;
    struct error err = {0};
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (toml_parse(arena, text, size, &toml, &err) < 0) {
        CHECK(err.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < toml.count; i++) {
        check_entry(&toml.entries[i], size);
    }
    if (toml.count > 0) {
        change(&toml, text, size, toml.entries[toml.count / 2].key, NULL);
    }
    if (size < TOML_SIZE_MAX / 2) {
        change(&toml, text, size, "master.address", "a\"b\\c\n:5050");
        change(&toml, text, size, "core.output", "json");
    }
    return 0;
}
