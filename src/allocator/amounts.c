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
    if (amounts->count > AMOUNTS_FEW) {
        mem_free(amounts->many);
    }
    *amounts = (struct amounts){0};
}

void amounts_reserve(struct amounts *amounts, size_t count, int64_t fill)
{
    uint32_t before = amounts->count;
    if (count <= before) {
        return;
    }
    if (count > AMOUNTS_FEW && before <= AMOUNTS_FEW) {
        int64_t *many = mem_calloc(count, sizeof(many[0]));
        memcpy(many, amounts->few, before * sizeof(many[0]));
        amounts->many = many;
    } else if (count > AMOUNTS_FEW) {
        amounts->many = mem_realloc_array(amounts->many, count, sizeof(amounts->many[0]));
    }
    amounts->count = (uint32_t)count;
    for (size_t i = before; i < count; i++) {
        amounts_items(amounts)[i] = fill;
    }
}

void amounts_clear(struct amounts *amounts)
{
    if (amounts->count > 0) {
        memset(amounts_items(amounts), 0, amounts->count * sizeof(int64_t));
    }
}

void amount_add(struct amounts *amounts, size_t number, int64_t value)
{
    amounts_reserve(amounts, number + 1, 0);
    int64_t *item = &amounts_items(amounts)[number];
    // Wraps round without harm: what is added is taken back in the same steps.
    *item = (int64_t)((uint64_t)*item + (uint64_t)value);
}

void amounts_add(struct amounts *amounts, const struct amounts *by, int sign)
{
    const int64_t *values = amounts_items(by);
    size_t count = by->count; // without the zeros behind
    while (count > 0 && values[count - 1] == 0) {
        count--;
    }
    amounts_reserve(amounts, count, 0);
    int64_t *items = amounts_items(amounts);
    for (size_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)values[i];
        items[i] = (int64_t)((uint64_t)items[i] + (sign > 0 ? value : -value));
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
        amount_add(amounts, name_number(a, entry->kind->interned_name),
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
