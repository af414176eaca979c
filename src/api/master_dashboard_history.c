// SPDX-License-Identifier: Apache-2.0
//
// How much of the cluster was used over the last hour, so that a chart is there when a page is
// opened: a ring of samples, one every ten seconds, in total and by role. It begins when this
// master is elected, and goes with it.

#include "api/master_dashboard_history.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { SAMPLE_COUNT = 360, RESOURCE_COUNT = 4, ROLES_MAX = 100 };
#define INTERVAL_NS (10 * NS_PER_S)

static const char *const resource_names[RESOURCE_COUNT] = {"cpus", "mem", "disk", "gpus"};

struct sample {
    float total[RESOURCE_COUNT], used[RESOURCE_COUNT], offered[RESOURCE_COUNT];
    uint32_t tasks; // that run, or begin to
};

struct role_samples {
    float used[SAMPLE_COUNT][RESOURCE_COUNT];
    uint64_t last; // number of the newest sample with something in it
};

struct dashboard_history {
    struct sample samples[SAMPLE_COUNT]; // number n is at n % SAMPLE_COUNT
    uint64_t count;                      // that were taken
    int64_t newest;                      // wall clock, ns
    struct map roles;                    // name -> struct role_samples
};

struct dashboard_history *dashboard_history_new(void)
{
    return mem_zalloc(sizeof(struct dashboard_history));
}

struct dashboard_history *dashboard_history_free(struct dashboard_history *h)
{
    if (h == NULL)
        return NULL;
    MAP_FOREACH (&h->roles, entry)
        mem_free(entry->value);
    map_free(&h->roles);
    mem_free(h);
    return NULL;
}

// ---- taking ----

// Beyond ROLES_MAX roles the others are not told apart.
static float *role_sample(struct dashboard_history *h, const char *name)
{
    struct role_samples *role = map_get(&h->roles, name);
    if (role == NULL) {
        if (h->roles.count >= ROLES_MAX)
            return NULL;
        role = mem_zalloc(sizeof(*role));
        map_put(&h->roles, name, role);
    }
    role->last = h->count;
    return role->used[h->count % SAMPLE_COUNT];
}

static void add_by_role(struct dashboard_history *h, const struct framework *f)
{
    if (resources_is_empty(f->used))
        return;
    const char *only = f->role_count == 1 ? f->roles[0] : NULL;
    if (only != NULL) {
        float *sample = role_sample(h, only);
        for (size_t i = 0; sample != NULL && i < RESOURCE_COUNT; i++)
            sample[i] += (float)resources_scalar(f->used, resource_names[i]) / 1000;
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(f->used, arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t k = 0; k < count; k++) {
        const Mesos__V1__Resource *one = messages[k];
        if (one->allocation_info == NULL || one->allocation_info->role == NULL ||
            one->scalar == NULL)
            continue;
        float *sample = role_sample(h, one->allocation_info->role);
        for (size_t i = 0; sample != NULL && i < RESOURCE_COUNT; i++) {
            if (strcmp(resource_names[i], one->name) == 0)
                sample[i] += (float)one->scalar->value;
        }
    }
}

static void add_framework(struct sample *s, const struct framework *f)
{
    for (size_t i = 0; i < RESOURCE_COUNT; i++) {
        s->used[i] += (float)resources_scalar(f->used, resource_names[i]) / 1000;
        s->offered[i] += (float)resources_scalar(f->offered, resource_names[i]) / 1000;
    }
    s->tasks += (uint32_t)f->tasks.count;
}

static void clear_place(struct dashboard_history *h)
{
    size_t at = h->count % SAMPLE_COUNT;
    h->samples[at] = (struct sample){0};
    MAP_FOREACH (&h->roles, entry) {
        struct role_samples *role = entry->value;
        if (h->count - role->last >= SAMPLE_COUNT) {
            map_remove(&h->roles, entry->key);
            mem_free(role);
        } else {
            memset(role->used[at], 0, sizeof(role->used[at]));
        }
    }
}

void dashboard_history_take(struct dashboard_history *h, const struct master *m, int64_t wall_ns)
{
    clear_place(h);
    struct sample *s = &h->samples[h->count % SAMPLE_COUNT];
    for (size_t i = 0; i < RESOURCE_COUNT; i++) {
        int64_t total, held;
        allocator_get_amounts(m->allocator, resource_names[i], &total, &held);
        s->total[i] = (float)total / 1000;
    }
    MAP_FOREACH (&m->frameworks, entry) {
        add_framework(s, entry->value);
        add_by_role(h, entry->value);
    }
    h->count++;
    h->newest = wall_ns;
}

// ---- telling ----

static void put_number(struct json_writer *w, double value)
{
    // As far as a chart can show it.
    double step = fabs(value) >= 1000 ? 1 : fabs(value) >= 10 ? 100 : 1000;
    double rounded = round(value * step) / step;
    if (rounded == floor(rounded) && fabs(rounded) < 1e15)
        json_i64(w, (int64_t)rounded);
    else
        json_double(w, rounded);
}

static size_t kept(const struct dashboard_history *h)
{
    return h->count < SAMPLE_COUNT ? (size_t)h->count : SAMPLE_COUNT;
}

static void put_series(struct json_writer *w, const struct dashboard_history *h, const char *key,
                       const float *first, size_t stride)
{
    json_key(w, key);
    json_array_open(w);
    for (uint64_t n = h->count - kept(h); n < h->count; n++)
        put_number(w, (double)*(const float *)((const char *)first + stride * (n % SAMPLE_COUNT)));
    json_array_close(w);
}

static void put_total(struct json_writer *w, const struct dashboard_history *h)
{
    json_key(w, "resources");
    json_object_open(w);
    for (size_t i = 0; i < RESOURCE_COUNT; i++) {
        json_key(w, resource_names[i]);
        json_object_open(w);
        put_series(w, h, "total", &h->samples[0].total[i], sizeof(struct sample));
        put_series(w, h, "used", &h->samples[0].used[i], sizeof(struct sample));
        put_series(w, h, "offered", &h->samples[0].offered[i], sizeof(struct sample));
        json_object_close(w);
    }
    json_object_close(w);
    json_key(w, "tasks");
    json_array_open(w);
    for (uint64_t n = h->count - kept(h); n < h->count; n++)
        json_u64(w, h->samples[n % SAMPLE_COUNT].tasks);
    json_array_close(w);
}

static void put_roles(struct json_writer *w, const struct dashboard_history *h)
{
    json_key(w, "roles");
    json_object_open(w);
    MAP_FOREACH (&h->roles, entry) {
        const struct role_samples *role = entry->value;
        json_key(w, entry->key);
        json_object_open(w);
        for (size_t i = 0; i < RESOURCE_COUNT; i++)
            put_series(w, h, resource_names[i], &role->used[0][i], sizeof(role->used[0]));
        json_object_close(w);
    }
    json_object_close(w);
}

void dashboard_history_put(const struct dashboard_history *h, struct json_writer *w)
{
    json_object_open(w);
    json_key_double(w, "interval", (double)INTERVAL_NS / (double)NS_PER_S);
    json_key_double(w, "newest", (double)h->newest / (double)NS_PER_S);
    json_key_u64(w, "samples", kept(h));
    put_total(w, h);
    put_roles(w, h);
    json_object_close(w);
}

int64_t dashboard_history_interval_ns(void)
{
    return INTERVAL_NS;
}
