// SPDX-License-Identifier: Apache-2.0
//
// Scalars by number instead of by name, and bits by member: what the inner loops calculate with.

#include <string.h>

#include "allocator/state.h"
#include "base/mem.h"

// ---- names ----

static bool is_name_excluded(const struct allocator *a, const char *name)
{
    char wanted[256];
    size_t size = strlen(name);
    if (size + 3 > sizeof(wanted)) {
        return false;
    }
    wanted[0] = ',';
    memcpy(wanted + 1, name, size);
    wanted[size + 1] = ',';
    wanted[size + 2] = '\0';
    return strstr(a->excluded_names, wanted) != NULL;
}

size_t name_number(struct allocator *a, struct intern *name)
{
    for (size_t i = 0; i < a->name_count; i++) {
        if (a->names[i] == name) {
            return i;
        }
    }
    size_t number = a->name_count++;
    a->names = mem_realloc_array(a->names, a->name_count, sizeof(struct intern *));
    a->is_excluded = mem_realloc_array(a->is_excluded, a->name_count, sizeof(bool));
    a->is_excluded[number] = is_name_excluded(a, name->text);
    a->names[number] = intern_hold(name);
    return number;
}

// ---- amounts ----

void amounts_free(struct amounts *amounts)
{
    if (amounts->items != amounts->few) {
        mem_free(amounts->items);
    }
    *amounts = (struct amounts){0};
}

void amounts_reserve(struct amounts *amounts, size_t count, int64_t fill)
{
    if (amounts->items == NULL) {
        amounts->items = amounts->few;
    }
    if (count > AMOUNTS_INLINE && amounts->items == amounts->few) {
        amounts->items = mem_calloc(count, sizeof(amounts->items[0]));
        memcpy(amounts->items, amounts->few, amounts->count * sizeof(amounts->items[0]));
    } else if (count > AMOUNTS_INLINE && count > amounts->count) {
        amounts->items = mem_realloc_array(amounts->items, count, sizeof(amounts->items[0]));
    }
    while (amounts->count < count) {
        amounts->items[amounts->count++] = fill;
    }
}

void amounts_clear(struct amounts *amounts)
{
    if (amounts->count > 0) {
        memset(amounts->items, 0, amounts->count * sizeof(amounts->items[0]));
    }
}

void amount_add(struct allocator *a, struct amounts *amounts, size_t number, int64_t value)
{
    if (number >= amounts->count) {
        amounts_reserve(amounts, a->name_count, 0);
    }
    // Wraps round without harm: what is added is taken back in the same steps.
    amounts->items[number] = (int64_t)((uint64_t)amounts->items[number] + (uint64_t)value);
}

void amounts_add(struct allocator *a, struct amounts *amounts, const struct amounts *by, int sign)
{
    size_t count = by->count; // without the zeros behind
    while (count > 0 && by->items[count - 1] == 0) {
        count--;
    }
    if (count > amounts->count) {
        amounts_reserve(amounts, a->name_count, 0);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)by->items[i];
        amounts->items[i] = (int64_t)((uint64_t)amounts->items[i] + (sign > 0 ? value : -value));
    }
}

bool entry_is_firm(const struct resource_entry *entry)
{
    const struct resource_kind *kind = entry->kind;
    return kind->type == MESOS__V1__VALUE__TYPE__SCALAR && kind->role == NULL && !kind->revocable;
}

void amounts_add_scalars(struct allocator *a, struct amounts *amounts, const struct resources *r,
                         bool is_firm, int sign)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR ||
            (is_firm && !entry_is_firm(entry))) {
            continue;
        }
        uint64_t value = (uint64_t)entry->scalar * (entry->kind->shared ? 1 : entry->count);
        amount_add(a, amounts, name_number(a, entry->kind->interned_name),
                   (int64_t)(sign > 0 ? value : -value));
    }
}

// ---- bits ----

void bits_set(struct bits *bits, uint32_t number)
{
    size_t words = number / 64 + 1;
    if (words > bits->count) {
        bits->words = mem_realloc_array(bits->words, words, sizeof(bits->words[0]));
        memset(&bits->words[bits->count], 0, (words - bits->count) * sizeof(bits->words[0]));
        bits->count = words;
    }
    bits->words[number / 64] |= UINT64_C(1) << (number % 64);
}

void bits_clear_all(struct bits *bits)
{
    if (bits->count > 0) {
        memset(bits->words, 0, bits->count * sizeof(bits->words[0]));
    }
}

void bits_free(struct bits *bits)
{
    mem_free(bits->words);
    *bits = (struct bits){0};
}
