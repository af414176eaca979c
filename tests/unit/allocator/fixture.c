// SPDX-License-Identifier: Apache-2.0
//
// What the allocator's tests share.

#include "fixture.h"

#include <string.h>

#include "wire/wire.h"

static void note_offer(void *ctx, const char *framework_id, const char *role, const char *agent_id,
                       const struct resources *offered)
{
    struct fixture *f = ctx;
    f->offers = mem_realloc_array(f->offers, f->offer_count + 1, sizeof(f->offers[0]));
    f->offers[f->offer_count++] = (struct offer){
        .framework = mem_strdup(framework_id),
        .role = mem_strdup(role),
        .agent = mem_strdup(agent_id),
        .resources = resources_copy(offered),
    };
}

static void drop_offers(struct fixture *f)
{
    for (size_t i = 0; i < f->offer_count; i++) {
        mem_free(f->offers[i].framework);
        mem_free(f->offers[i].role);
        mem_free(f->offers[i].agent);
        resources_free(f->offers[i].resources);
    }
    mem_free(f->offers);
    f->offers = NULL;
    f->offer_count = 0;
}

void fixture_open(struct fixture *f, const struct allocator_options *options)
{
    const struct allocator_callbacks callbacks = {.offer = note_offer};
    *f = (struct fixture){.now = {.mono = 1000 * NS_PER_S}};
    f->allocator = allocator_new(options, &callbacks, f);
}

void fixture_close(struct fixture *f)
{
    drop_offers(f);
    f->allocator = allocator_free(f->allocator);
}

size_t fixture_run(struct fixture *f)
{
    drop_offers(f);
    size_t count = allocator_run(f->allocator, f->now);
    assert_int_equal(count, f->offer_count);
    return count;
}

void fixture_advance(struct fixture *f, int64_t ns)
{
    f->now.mono += ns;
}

void fixture_decline(struct fixture *f, const struct offer *offer, int64_t refuse_ns)
{
    allocator_recover(f->allocator, offer->framework, offer->agent, offer->resources, refuse_ns,
                      f->now);
}

size_t fixture_count(const struct fixture *f, const char *framework)
{
    size_t count = 0;
    for (size_t i = 0; i < f->offer_count; i++) {
        count += strcmp(f->offers[i].framework, framework) == 0;
    }
    return count;
}

void add_framework(struct fixture *f, const char *id, const char *role, unsigned capabilities)
{
    allocator_add_framework(f->allocator, id, &role, 1, NULL, 0, capabilities, true);
}

struct resources *parse(const char *text)
{
    struct resources *r = NULL;
    struct error err = {0};
    if (text[0] == '[') {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        ProtobufCMessage **messages;
        size_t count;
        if (wire_json_decode_list(&mesos__v1__resource__descriptor, arena, text, strlen(text),
                                  &messages, &count, &err) != 0 ||
            resources_from_proto((Mesos__V1__Resource **)messages, count, &r, &err) != 0) {
            fail_msg("'%s': %s", text, err.text);
        }
        return r;
    }
    if (resources_parse(text, "*", &r, &err) != 0) {
        fail_msg("'%s': %s", text, err.text);
    }
    return r;
}

void add_agent(struct fixture *f, const char *id, const char *resources)
{
    AUTO_RESOURCES struct resources *total = parse(resources);
    allocator_add_agent(f->allocator, id, total, NULL, 0);
}

void assert_resources(const struct resources *r, const char *expected)
{
    struct buf text = BUF_INIT;
    resources_put_text(r, &text);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}
