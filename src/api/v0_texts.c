// SPDX-License-Identifier: Apache-2.0
//
// See v0_texts.h. A table by hash, of one place each: who comes later takes it.

#include "api/v0_texts.h"

#include "api/v0_json.h"
#include "base/mem.h"

enum { PLACES = 64 };

struct remembered {
    struct resources *resources; // NULL: nothing yet
    struct buf text;             // both empty until asked for
    struct buf full;
};

struct v0_texts {
    struct remembered places[PLACES];
};

struct v0_texts *v0_texts_new(void)
{
    return mem_zalloc(sizeof(struct v0_texts));
}

struct v0_texts *v0_texts_free(struct v0_texts *texts)
{
    if (texts == NULL)
        return NULL;
    for (size_t i = 0; i < PLACES; i++) {
        resources_free(texts->places[i].resources);
        buf_free(&texts->places[i].text);
        buf_free(&texts->places[i].full);
    }
    mem_free(texts);
    return NULL;
}

static struct remembered *find(struct v0_texts *texts, const struct resources *r)
{
    struct remembered *place = &texts->places[resources_hash(r) % PLACES];
    if (place->resources != NULL && resources_is_same(place->resources, r))
        return place;
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
