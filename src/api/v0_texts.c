// SPDX-License-Identifier: Apache-2.0
//
// See v0_texts.h. A table by hash, of two places each: who comes later takes the one that was not
// taken last.

#include "api/v0_texts.h"

#include "api/v0_json.h"
#include "base/mem.h"

enum { SLOTS = 64, PLACES = 2 };

struct remembered {
    struct resources *resources; // NULL: nothing yet
    struct buf text;             // both empty until asked for
    struct buf full;
};

struct slot {
    struct remembered places[PLACES];
    unsigned next; // place to be taken
};

struct v0_texts {
    struct slot slots[SLOTS];
};

struct v0_texts *v0_texts_new(void)
{
    return mem_zalloc(sizeof(struct v0_texts));
}

static void slot_free(struct slot *slot)
{
    for (size_t i = 0; i < PLACES; i++) {
        resources_free(slot->places[i].resources);
        buf_free(&slot->places[i].text);
        buf_free(&slot->places[i].full);
    }
}

struct v0_texts *v0_texts_free(struct v0_texts *texts)
{
    if (texts == NULL)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        slot_free(&texts->slots[i]);
    mem_free(texts);
    return NULL;
}

static struct remembered *find(struct v0_texts *texts, const struct resources *r)
{
    struct slot *slot = &texts->slots[resources_hash(r) % SLOTS];
    for (size_t i = 0; i < PLACES; i++) {
        struct remembered *place = &slot->places[i];
        if (place->resources != NULL && resources_is_same(place->resources, r))
            return place;
    }
    struct remembered *place = &slot->places[slot->next];
    slot->next = (slot->next + 1) % PLACES;
    resources_free(place->resources);
    place->resources = resources_copy(r);
    buf_clear(&place->text);
    buf_clear(&place->full);
    return place;
}

const struct buf *v0_texts_resources(struct v0_texts *texts, const struct resources *r)
{
    struct remembered *place = find(texts, r);
    if (place->text.size == 0) {
        struct json_writer w;
        json_begin(&w, &place->text);
        v0_put_resources(&w, r);
    }
    return &place->text;
}

const struct buf *v0_texts_resources_full(struct v0_texts *texts, const struct resources *r)
{
    struct remembered *place = find(texts, r);
    if (place->full.size == 0) {
        struct json_writer w;
        json_begin(&w, &place->full);
        v0_put_resources_full(&w, r);
    }
    return &place->full;
}
