// SPDX-License-Identifier: Apache-2.0
//
// GET /master/allocator?framework=ID, and the call MESETA_EXPLAIN_OFFERS of the operator API: what
// a framework was offered of late, and why each group of agents is not offered to it now, in words
// and figures. It looks at every agent, so it is for people who ask, not for polling.

#include <stdio.h>
#include <string.h>

#include "allocator/allocator.h"
#include "api/master_v0.h"
#include "api/master_v1.h"
#include "base/check.h"
#include "base/mem.h"
#include "master/internal.h"
#include "wire/wire.h"

enum { AGENTS_NAMED = 10, AMOUNTS_NAMED = 16 };

// Agents with one reason in one role.
struct group {
    enum allocator_reason reason;
    char *detail;
    size_t count;
    const struct agent *agents[AGENTS_NAMED];
    const char *names[AMOUNTS_NAMED];
    int64_t amounts[AMOUNTS_NAMED]; // free on all of them, in thousandths
    size_t name_count;
    int64_t first_until_ns, last_until_ns; // of filters
    size_t offered_to_others;              // agents with offers to other frameworks
    size_t offered_to_it;
    size_t in_maintenance;         // agents whose machines are in the maintenance schedule
    const struct framework *other; // one of those
};

struct answer {
    const struct master *master;
    const struct framework *framework;
    struct arena *arena;
    struct map roles;      // role -> struct map: reason and detail -> struct group
    const char *held_back; // why the role that is told gets no offer, whatever the agents have
    struct json_writer w;
};

static const char *const reason_names[] = {
    [ALLOCATOR_DEACTIVATED] = "AGENT_INACTIVE",
    [ALLOCATOR_NOT_WHITELISTED] = "NOT_WHITELISTED",
    [ALLOCATOR_NOTHING_FREE] = "NOTHING_FREE",
    [ALLOCATOR_REGION] = "REGION",
    [ALLOCATOR_GPUS] = "GPUS",
    [ALLOCATOR_CONSTRAINTS] = "OFFER_CONSTRAINTS",
    [ALLOCATOR_RESERVED] = "RESERVED",
    [ALLOCATOR_CAPABILITY] = "CAPABILITY",
    [ALLOCATOR_MINIMUM] = "BELOW_MINIMUM",
    [ALLOCATOR_FILTERED] = "FILTERED",
    [ALLOCATOR_SHARED] = "SHARED",
    [ALLOCATOR_LIMIT] = "QUOTA_LIMIT",
    [ALLOCATOR_HEADROOM] = "QUOTA_HEADROOM",
    [ALLOCATOR_NEXT] = "NEXT_ROUND",
};

static const char *const reason_texts[] = {
    [ALLOCATOR_DEACTIVATED] = "the agent is taken out of service",
    [ALLOCATOR_NOT_WHITELISTED] = "its host is not in the master's --whitelist",
    [ALLOCATOR_NOTHING_FREE] = "nothing is free: it is used by tasks or stands in offers",
    [ALLOCATOR_REGION] = "it is in another region, and the framework is not REGION_AWARE",
    [ALLOCATOR_GPUS] = "it has GPUs, and the framework has not the capability GPU_RESOURCES",
    [ALLOCATOR_CONSTRAINTS] = "the framework's offer constraints exclude it",
    [ALLOCATOR_RESERVED] = "what is free is reserved for another role",
    [ALLOCATOR_CAPABILITY] = "the framework lacks a capability for what is free",
    [ALLOCATOR_MINIMUM] = "too little is free",
    [ALLOCATOR_FILTERED] =
        "the framework declined what is free there, or more, and its filter holds",
    [ALLOCATOR_SHARED] = "only a shared volume is free, and it stands in another offer",
    [ALLOCATOR_LIMIT] = "the quota limit is reached",
    [ALLOCATOR_HEADROOM] = "what is free is kept for guarantees of other roles",
    [ALLOCATOR_NEXT] = "nothing is in the way: it is offered in the next round",
};

// ---- grouping ----

static const char *inactive_detail(const struct agent *a)
{
    if (a == NULL || a->channel == NULL)
        return "not connected";
    const struct deactivation *d = map_get(&a->master->deactivations, a->id);
    if (d == NULL || !d->now.is_deactivated)
        return "inactive";
    return d->now.is_draining ? "draining" : "deactivated by an operator";
}

static struct group *find_group(struct answer *answer, const char *role,
                                enum allocator_reason reason, const char *detail)
{
    struct map *groups = map_get(&answer->roles, role);
    if (groups == NULL) {
        groups = mem_zalloc(sizeof(*groups));
        map_put(&answer->roles, role, groups);
    }
    const char *key = arena_printf(answer->arena, "%d %s", (int)reason, detail);
    struct group *group = map_get(groups, key);
    if (group == NULL) {
        group = arena_calloc(answer->arena, 1, sizeof(*group));
        group->reason = reason;
        group->detail = arena_strdup(answer->arena, detail);
        map_put(groups, key, group);
    }
    return group;
}

static void add_free(struct answer *answer, struct group *group, const struct resources *free)
{
    const char **names;
    size_t count = resources_scalar_names(free, answer->arena, &names);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < group->name_count && strcmp(group->names[at], names[i]) != 0)
            at++;
        if (at == AMOUNTS_NAMED)
            continue;
        group->names[at] = names[i];
        group->name_count += at == group->name_count;
        group->amounts[at] += resources_scalar(free, names[i]);
    }
}

static void note_agent(void *ctx, const char *role, const char *agent_id,
                       const struct allocator_why *why)
{
    struct answer *answer = ctx;
    const struct agent *a = master_agent(answer->master, agent_id);
    const char *detail = why->reason == ALLOCATOR_DEACTIVATED ? inactive_detail(a) : why->detail;
    struct group *group = find_group(answer, role, why->reason, detail);
    if (a != NULL && group->count < AGENTS_NAMED)
        group->agents[group->count] = a;
    group->count++;
    add_free(answer, group, why->free);
    if (why->until_ns > 0) {
        if (group->first_until_ns == 0 || why->until_ns < group->first_until_ns)
            group->first_until_ns = why->until_ns;
        if (why->until_ns > group->last_until_ns)
            group->last_until_ns = why->until_ns;
    }
    bool is_others = false;
    bool is_its = false;
    if (a != NULL) {
        LIST_FOREACH (&a->offers, struct offer, by_agent, o) {
            is_its = is_its || o->framework == answer->framework;
            if (o->framework != answer->framework) {
                is_others = true;
                group->other = o->framework;
            }
        }
    }
    group->in_maintenance += a != NULL && !list_is_empty(&a->unavailable);
    group->offered_to_others += is_others;
    group->offered_to_it += is_its;
}

// ---- telling ----

static void put_sentence(struct answer *answer, const struct group *group)
{
    AUTO_BUF struct buf text = BUF_INIT;
    buf_puts(&text, group->reason == ALLOCATOR_NEXT && answer->held_back != NULL
                        ? "nothing on the agents' side is in the way"
                        : reason_texts[group->reason]);
    if (group->detail[0] != '\0')
        buf_puts(&text, arena_printf(answer->arena, " (%s)", group->detail));
    if (group->first_until_ns > 0) {
        double first =
            (double)(group->first_until_ns - answer->master->now.mono) / (double)NS_PER_S;
        double last = (double)(group->last_until_ns - answer->master->now.mono) / (double)NS_PER_S;
        buf_puts(&text, arena_printf(answer->arena, ", for %.1f s more", first > 0 ? first : 0));
        if (last > first)
            buf_puts(&text, arena_printf(answer->arena, " to %.1f s", last));
    }
    if (group->offered_to_others > 0)
        buf_puts(&text, arena_printf(
                            answer->arena,
                            "; %zu of these agents stand in offers to other frameworks, as "
                            "to %s (%s)",
                            group->offered_to_others, group->other->id, group->other->info->name));
    if (group->offered_to_it > 0)
        buf_puts(&text, arena_printf(answer->arena, "; %zu of them in offers to this framework",
                                     group->offered_to_it));
    if (group->in_maintenance > 0)
        buf_puts(&text, arena_printf(answer->arena,
                                     "; %zu of them are to be unavailable for maintenance, which "
                                     "offers say, and keeps nothing back",
                                     group->in_maintenance));
    json_key_string(&answer->w, "text", text.data);
}

static void put_group(struct answer *answer, const struct group *group)
{
    struct json_writer *w = &answer->w;
    json_object_open(w);
    bool is_held_back = group->reason == ALLOCATOR_NEXT && answer->held_back != NULL;
    json_key_string(w, "reason", is_held_back ? answer->held_back : reason_names[group->reason]);
    put_sentence(answer, group);
    json_key_string(w, "detail", group->detail);
    json_key_u64(w, "agents", group->count);
    json_key(w, "agent_ids"); // of the first few
    json_array_open(w);
    for (size_t i = 0; i < group->count && i < AGENTS_NAMED; i++) {
        if (group->agents[i] != NULL)
            json_string(w, group->agents[i]->id);
    }
    json_array_close(w);
    json_key(w, "free");
    json_object_open(w);
    for (size_t i = 0; i < group->name_count; i++)
        json_key_double(w, group->names[i], (double)group->amounts[i] / 1000);
    json_object_close(w);
    if (group->first_until_ns > 0) {
        int64_t wall = answer->master->now.wall - answer->master->now.mono;
        json_key_double(w, "filtered_until", master_v0_seconds(group->first_until_ns + wall));
        json_key_double(w, "filtered_until_last", master_v0_seconds(group->last_until_ns + wall));
    }
    json_object_close(w);
}

static const char *held_back(const struct answer *answer, const struct allocator_standing *standing)
{
    return !standing->is_active                                ? "FRAMEWORK_INACTIVE"
           : standing->is_suppressed                           ? "SUPPRESSED"
           : standing->paused_until > answer->master->now.mono ? "PAUSED"
                                                               : NULL;
}

static const char *standing_text(const struct answer *answer,
                                 const struct allocator_standing *standing)
{
    if (!standing->is_active)
        return "the framework is not connected: it gets no offers";
    if (standing->is_suppressed)
        return "the framework suppressed offers in this role; REVIVE ends that";
    if (standing->paused_until > answer->master->now.mono)
        return "after a failover no offers are made until enough agents are back";
    if (standing->is_sated)
        return "the framework declined everything of late, so those that take something go first";
    if (standing->before + standing->after == 0)
        return "nobody else wants offers";
    if (standing->is_by_chance)
        return arena_printf(answer->arena,
                            "%zu others want offers, and who comes first is drawn by chance: a "
                            "sorter is random; a framework counts once for each of its roles",
                            standing->after);
    return arena_printf(answer->arena,
                        "of the others that want offers %zu come before it and %zu after it; a "
                        "framework counts once for each of its roles",
                        standing->before, standing->after);
}

static void put_role(struct answer *answer, const char *role, const struct map *groups)
{
    struct json_writer *w = &answer->w;
    struct allocator_standing standing;
    if (!allocator_get_standing(answer->master->allocator, answer->framework->id, role, &standing))
        return;
    answer->held_back = held_back(answer, &standing);
    json_object_open(w);
    json_key_string(w, "role", role);
    json_key_string(w, "text", standing_text(answer, &standing));
    json_key_bool(w, "suppressed", standing.is_suppressed);
    json_key_double(w, "share", standing.share);
    json_key_double(w, "role_share", standing.role_share);
    json_key_i64(w, "filters", standing.filters);
    json_key_u64(w, "before", standing.before);
    json_key_u64(w, "after", standing.after);
    json_key(w, "not_offered");
    json_array_open(w);
    MAP_FOREACH (groups, entry)
        put_group(answer, entry->value);
    json_array_close(w);
    json_object_close(w);
}

static void put_offer(void *ctx, const char *role, const char *agent_id, int64_t wall_ns,
                      const struct resources *offered)
{
    struct answer *answer = ctx;
    struct json_writer *w = &answer->w;
    AUTO_BUF struct buf text = BUF_INIT;
    AUTO_RESOURCES struct resources *bare = resources_copy(offered);
    resources_unallocate(bare);
    resources_put_text(bare, &text);
    const struct agent *a = master_agent(answer->master, agent_id);
    json_object_open(w);
    json_key_double(w, "time", master_v0_seconds(wall_ns));
    json_key_string(w, "role", role);
    json_key_string(w, "agent_id", agent_id);
    if (a != NULL)
        json_key_string(w, "hostname", a->info->hostname);
    json_key_string(w, "resources", text.data);
    json_object_close(w);
}

static void put_offers(struct answer *answer)
{
    const struct framework *f = answer->framework;
    struct json_writer *w = &answer->w;
    size_t outstanding = 0;
    LIST_FOREACH (&f->offers, struct offer, by_framework, o) {
        (void)o;
        outstanding++;
    }
    json_key(w, "offers");
    json_object_open(w);
    json_key_u64(w, "outstanding", outstanding);
    json_key_u64(w, "accepted", f->offers_accepted);
    json_key_u64(w, "declined", f->offers_declined);
    json_key_u64(w, "rescinded", f->offers_rescinded);
    json_key(w, "latest");
    json_array_open(w);
    uint64_t made = allocator_walk_offers(answer->master->allocator, f->id, put_offer, answer);
    json_array_close(w);
    json_key_u64(w, "made", made);
    json_object_close(w);
}

static void put_answer(struct answer *answer)
{
    const struct framework *f = answer->framework;
    struct json_writer *w = &answer->w;
    json_object_open(w);
    json_key_string(w, "framework_id", f->id);
    json_key_string(w, "name", f->info->name);
    json_key_bool(w, "active", f->active);
    put_offers(answer);
    json_key(w, "roles");
    json_array_open(w);
    for (size_t i = 0; i < f->role_count; i++) {
        static const struct map none = MAP_INIT;
        const struct map *groups = map_get(&answer->roles, f->roles[i]);
        put_role(answer, f->roles[i], groups != NULL ? groups : &none);
    }
    json_array_close(w);
    json_object_close(w);
}

// Writes the answer about the framework; false when there is none of that id.
static bool explain(struct master_server *server, const char *framework_id, struct buf *out)
{
    struct master *m = server->core;
    master_enter(m, env_now(server->env));
    const struct framework *f = master_framework(m, framework_id);
    if (f == NULL)
        return false;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct answer answer = {.master = m, .framework = f, .arena = arena};
    allocator_explain(m->allocator, framework_id, note_agent, &answer);
    json_begin(&answer.w, out);
    put_answer(&answer);
    MAP_FOREACH (&answer.roles, entry) {
        map_free(entry->value);
        mem_free(entry->value);
    }
    map_free(&answer.roles);
    return true;
}

static void allocator_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r) || !api_require_method(r, "GET"))
        return;
    const char *id = http_query(r, "framework");
    if (id == NULL || id[0] == '\0') {
        http_respond_text(r, 400, "Missing query parameter: /master/allocator?framework=ID");
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    if (!explain(server, id, &out)) {
        http_respond_text(r, 404, "No framework found with ID %s", id);
        return;
    }
    api_respond_json(r, &out);
}

// The message is read from what the endpoint says, so that the two cannot differ.
void master_v1_explain_offers(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__MesetaExplainOffers *body =
        (const Mesos__V1__Master__Call__MesetaExplainOffers *)q->body;
    AUTO_BUF struct buf out = BUF_INIT;
    if (!explain(q->ctx, body->framework_id->value, &out)) {
        http_respond_text(q->http, 404, "No framework found with ID %s", body->framework_id->value);
        return;
    }
    ProtobufCMessage *answer;
    struct error err;
    int r = wire_json_decode(&mesos__v1__master__response__meseta_explain_offers__descriptor,
                             http_arena(q->http), out.data, out.size, &answer, &err);
    if (r < 0) {
        http_respond_text(q->http, 500, "%s", err.text);
        return;
    }
    api_v1_respond(q, answer);
}

static const struct api_route routes[] = {
    {"/allocator", NULL, allocator_endpoint,
     "Why a framework (?framework=ID) is offered what it is, and not the rest."},
};

void master_allocator_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
