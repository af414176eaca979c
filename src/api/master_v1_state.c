// SPDX-License-Identifier: Apache-2.0
//
// What the master's operator API tells of the cluster.

#include <string.h>

#include "api/master_answers.h"
#include "api/master_v0.h"
#include "api/master_v1.h"
#include "api/rope.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

static Mesos__V1__TimeInfo *make_time(struct arena *arena, int64_t wall_ns)
{
    Mesos__V1__TimeInfo *time = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    time->nanoseconds = wall_ns;
    return time;
}

static size_t put_resources(struct arena *arena, const struct resources *from,
                            Mesos__V1__Resource ***ret_resources)
{
    return resources_to_proto(from, arena, RESOURCES_ENDPOINT_FORM, true, ret_resources);
}

// ---- agents ----

Mesos__V1__Master__Response__GetAgents__Agent *master_v1_agent(struct arena *arena,
                                                               const struct agent *a)
{
    Mesos__V1__Master__Response__GetAgents__Agent *agent =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetAgents__Agent,
                 mesos__v1__master__response__get_agents__agent);
    agent->agent_info = a->info;
    agent->active = a->active;
    agent->has_deactivated = true;
    agent->deactivated = master_agent_is_deactivated(a);
    agent->version = arena_strdup(arena, a->version);
    agent->pid = arena_strdup(arena, a->pid);
    agent->registered_time = make_time(arena, a->registered);
    if (a->reregistered != 0)
        agent->reregistered_time = make_time(arena, a->reregistered);
    agent->n_total_resources = put_resources(arena, a->total, &agent->total_resources);
    agent->n_allocated_resources = put_resources(arena, a->used, &agent->allocated_resources);
    agent->n_offered_resources = put_resources(arena, a->offered, &agent->offered_resources);
    agent->n_capabilities = a->capability_count;
    agent->capabilities = a->capabilities;
    const struct deactivation *d = map_get(&a->master->deactivations, a->id);
    if (d != NULL) {
        agent->drain_info = master_deactivation_drain_info(d, arena);
        if (agent->drain_info != NULL && d->drain_started != 0)
            agent->estimated_drain_start_time = make_time(arena, d->drain_started);
    }
    return agent;
}

// ---- frameworks ----

// For LIST_FOREACH over records that are only read.
#define READ_ONLY(head) ((struct list *)(uintptr_t) & (head))

static void put_offers(struct arena *arena, const struct framework *f,
                       Mesos__V1__Master__Response__GetFrameworks__Framework *framework)
{
    size_t count = 0;
    LIST_FOREACH (READ_ONLY(f->offers), const struct offer, by_framework, counted)
        count += counted->framework == f;
    framework->offers = arena_calloc(arena, count + 1, sizeof(*framework->offers));
    LIST_FOREACH (READ_ONLY(f->offers), const struct offer, by_framework, o)
        framework->offers[framework->n_offers++] = master_offer_message(o, arena);
    const struct master *m = f->master;
    framework->inverse_offers =
        arena_calloc(arena, m->inverse_offers.count + 1, sizeof(*framework->inverse_offers));
    MAP_FOREACH (&m->inverse_offers, entry) {
        const struct inverse *i = entry->value;
        Mesos__V1__InverseOffer *offer =
            strcmp(i->framework_id, f->id) == 0 ? master_inverse_message(i, arena) : NULL;
        if (offer != NULL)
            framework->inverse_offers[framework->n_inverse_offers++] = offer;
    }
}

Mesos__V1__Master__Response__GetFrameworks__Framework *master_v1_framework(
    struct arena *arena, const struct framework *f)
{
    Mesos__V1__Master__Response__GetFrameworks__Framework *framework =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetFrameworks__Framework,
                 mesos__v1__master__response__get_frameworks__framework);
    framework->framework_info = f->info;
    framework->active = f->active;
    framework->connected = f->subscriber != NULL;
    framework->recovered = f->recovered;
    if (f->registered != 0)
        framework->registered_time = make_time(arena, f->registered);
    if (f->reregistered != 0)
        framework->reregistered_time = make_time(arena, f->reregistered);
    if (f->unregistered != 0)
        framework->unregistered_time = make_time(arena, f->unregistered);
    framework->offer_constraints = f->offer_constraints;
    put_offers(arena, f, framework);
    framework->n_allocated_resources =
        put_resources(arena, f->used, &framework->allocated_resources);
    framework->n_offered_resources =
        put_resources(arena, f->offered, &framework->offered_resources);
    return framework;
}

// ---- roles ----

static void add_of_role(struct arena *arena, struct resources *sum, const struct resources *from,
                        const char *role)
{
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(from, arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = messages[i]->allocation_info;
        if (allocation == NULL || strcmp(allocation->role, role) != 0)
            continue;
        struct resources *part;
        messages[i]->allocation_info = NULL;
        int r = resources_from_proto(&messages[i], 1, &part, NULL);
        CHECK(r == 0); // it was one a moment ago
        resources_add(sum, part);
        resources_free(part);
    }
}

// What frameworks hold in the role, or are offered.
static size_t put_role_resources(struct arena *arena, const struct master *m, const char *role,
                                 Mesos__V1__Resource ***ret_resources)
{
    AUTO_RESOURCES struct resources *sum = resources_new();
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        const struct resources *both[] = {f->used, f->offered};
        for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
            add_of_role(arena, sum, both[i], role);
        }
    }
    return put_resources(arena, sum, ret_resources);
}

static Mesos__V1__Role *make_role(struct arena *arena, const struct master *m, const char *name)
{
    Mesos__V1__Role *role = WIRE_NEW(arena, Mesos__V1__Role, mesos__v1__role);
    role->name = arena_strdup(arena, name);
    const double *weight = map_get(&m->weights, name);
    role->weight = weight != NULL ? *weight : 1.0;
    role->frameworks = arena_calloc(arena, m->frameworks.count + 1, sizeof(*role->frameworks));
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        if (master_v0_is_in_role(f, name))
            role->frameworks[role->n_frameworks++] = f->info->id;
    }
    role->n_resources = put_role_resources(arena, m, name, &role->resources);
    return role;
}

void master_v1_get_roles(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const struct master *m = server->core;
    struct arena *arena = http_arena(q->http);
    const char **names;
    size_t count = master_v0_roles(m, arena, &names);
    Mesos__V1__Role **roles = arena_calloc(arena, count + 1, sizeof(Mesos__V1__Role *));
    for (size_t i = 0; i < count; i++)
        roles[i] = make_role(arena, m, names[i]);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "roles", roles, count);
    api_v1_respond(q, body);
}

// ---- all of it, and its parts ----

// The lists that the answers are made of, in the order in which they stand there.
enum list_name {
    LIST_TASKS,
    LIST_UNREACHABLE_TASKS,
    LIST_COMPLETED_TASKS,
    LIST_EXECUTORS,
    LIST_FRAMEWORKS,
    LIST_COMPLETED_FRAMEWORKS,
    LIST_AGENTS,
    LIST_RECOVERED_AGENTS,
    LIST_COUNT,
};

// The messages that hold them.
enum part {
    PART_TASKS = 1u << 0,
    PART_EXECUTORS = 1u << 1,
    PART_FRAMEWORKS = 1u << 2,
    PART_AGENTS = 1u << 3,
};

static const struct list_row {
    enum part part;
    const char *part_name; // in GetState, and in Response
    const ProtobufCMessageDescriptor *part_type;
    const char *name;
} list_rows[LIST_COUNT] = {
#define ROW(PART, part_name, type, name)                                                           \
    {                                                                                              \
        PART, part_name, &mesos__v1__master__response__get_##type##__descriptor, name              \
    }
    [LIST_TASKS] = ROW(PART_TASKS, "get_tasks", tasks, "tasks"),
    [LIST_UNREACHABLE_TASKS] = ROW(PART_TASKS, "get_tasks", tasks, "unreachable_tasks"),
    [LIST_COMPLETED_TASKS] = ROW(PART_TASKS, "get_tasks", tasks, "completed_tasks"),
    [LIST_EXECUTORS] = ROW(PART_EXECUTORS, "get_executors", executors, "executors"),
    [LIST_FRAMEWORKS] = ROW(PART_FRAMEWORKS, "get_frameworks", frameworks, "frameworks"),
    [LIST_COMPLETED_FRAMEWORKS] =
        ROW(PART_FRAMEWORKS, "get_frameworks", frameworks, "completed_frameworks"),
    [LIST_AGENTS] = ROW(PART_AGENTS, "get_agents", agents, "agents"),
    [LIST_RECOVERED_AGENTS] = ROW(PART_AGENTS, "get_agents", agents, "recovered_agents"),
#undef ROW
};

static unsigned field_number(const ProtobufCMessageDescriptor *type, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(type, name);
    CHECK(field != NULL);
    return field->id;
}

struct lists {
    enum content_type type;
    struct arena *arena;
    struct rope ropes[LIST_COUNT];
    unsigned numbers[LIST_COUNT]; // of the fields, in protobuf
};

static void *begin_lists(enum content_type type)
{
    struct lists *lists = mem_zalloc(sizeof(*lists));
    lists->type = type;
    lists->arena = arena_new(0, 0);
    for (size_t i = 0; i < LIST_COUNT; i++)
        lists->numbers[i] = field_number(list_rows[i].part_type, list_rows[i].name);
    return lists;
}

static void *begin_json(struct master_server *server, const char *parameter)
{
    (void)server;
    (void)parameter;
    return begin_lists(CONTENT_JSON);
}

static void *begin_protobuf(struct master_server *server, const char *parameter)
{
    (void)server;
    (void)parameter;
    return begin_lists(CONTENT_PROTOBUF);
}

static void free_lists(void *made)
{
    struct lists *lists = made;
    for (size_t i = 0; i < LIST_COUNT; i++)
        rope_free(&lists->ropes[i]);
    arena_free(lists->arena);
    mem_free(lists);
}

static void add(struct lists *lists, enum list_name name, const ProtobufCMessage *message)
{
    rope_put_message(&lists->ropes[name], lists->type, lists->numbers[name], message);
}

static void visit_task(struct lists *lists, const struct task *t)
{
    static const enum list_name names[] = {
        [TASK_ON_AGENT] = LIST_TASKS,
        [TASK_UNREACHABLE] = LIST_UNREACHABLE_TASKS,
        [TASK_COMPLETED] = LIST_COMPLETED_TASKS,
    };
    add(lists, names[t->place], &master_v0_task(lists->arena, t)->base);
}

static void visit_executor(struct lists *lists, const struct executor *e)
{
    Mesos__V1__Master__Response__GetExecutors__Executor executor =
        MESOS__V1__MASTER__RESPONSE__GET_EXECUTORS__EXECUTOR__INIT;
    executor.executor_info = master_v0_executor(lists->arena, e);
    executor.agent_id = e->agent->info->id;
    add(lists, LIST_EXECUTORS, &executor.base);
}

static void visit(void *made, enum master_record kind, void *record)
{
    struct lists *lists = made;
    arena_reset(lists->arena);
    switch (kind) {
    case RECORD_AGENT:
        add(lists, LIST_AGENTS, &master_v1_agent(lists->arena, record)->base);
        return;
    case RECORD_RECOVERED_AGENT:
        add(lists, LIST_RECOVERED_AGENTS, &((struct recovered_agent *)record)->info->base);
        return;
    case RECORD_FRAMEWORK: {
        const struct framework *f = record;
        add(lists, f->completed ? LIST_COMPLETED_FRAMEWORKS : LIST_FRAMEWORKS,
            &master_v1_framework(lists->arena, f)->base);
        return;
    }
    case RECORD_TASK:
        visit_task(lists, record);
        return;
    case RECORD_EXECUTOR:
        visit_executor(lists, record);
        return;
    case RECORD_OFFER:
        return; // in its framework
    }
}

// Wraps what was written so far as the field of a message.
static void wrap(struct rope *out, enum content_type type,
                 const ProtobufCMessageDescriptor *message, const char *name)
{
    struct rope outer = {0};
    if (type == CONTENT_PROTOBUF)
        rope_put_field_head(&outer.buf, field_number(message, name), rope_size(out));
    else
        buf_printf(&outer.buf, "\"%s\":{", name);
    rope_join(&outer, out);
    if (type != CONTENT_PROTOBUF)
        buf_puts(&outer.buf, "}");
    *out = outer;
}

// The fields of the message that holds one part.
static void put_part(struct rope *out, struct lists *lists, enum part part)
{
    bool is_first = true;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        struct rope *list = &lists->ropes[i];
        if (list_rows[i].part != part || list->count == 0)
            continue;
        if (lists->type == CONTENT_PROTOBUF) {
            rope_join(out, list);
            continue;
        }
        buf_printf(&out->buf, "%s\"%s\":[", is_first ? "" : ",", list_rows[i].name);
        rope_join(out, list);
        buf_puts(&out->buf, "]");
        is_first = false;
    }
}

// The fields of a GetState.
static void put_state(struct rope *out, struct lists *lists)
{
    static const enum list_name firsts[] = {LIST_TASKS, LIST_EXECUTORS, LIST_FRAMEWORKS,
                                            LIST_AGENTS};
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        const struct list_row *row = &list_rows[firsts[i]];
        struct rope part = {0};
        put_part(&part, lists, row->part);
        wrap(&part, lists->type, &mesos__v1__master__response__get_state__descriptor,
             row->part_name);
        if (i > 0 && lists->type != CONTENT_PROTOBUF)
            buf_puts(&out->buf, ",");
        rope_join(out, &part);
    }
}

// The whole of a Response or an Event around the one field that is in `body`, with its type.
static struct http_blob *put_whole(struct rope *body, enum content_type type,
                                   const ProtobufCMessage *empty)
{
    AUTO_ROPE struct rope out = {0};
    if (type == CONTENT_PROTOBUF) {
        wire_encode(empty, &out.buf);
        rope_join(&out, body);
        return rope_take(&out);
    }
    wire_json_encode(empty, &out.buf);
    CHECK(out.buf.size > 1 && out.buf.data[out.buf.size - 1] == '}');
    out.buf.size--;
    buf_puts(&out.buf, ",");
    rope_join(&out, body);
    buf_puts(&out.buf, "}");
    return rope_take(&out);
}

static struct http_blob *finish_response(struct lists *lists, const char *field,
                                         Mesos__V1__Master__Response__Type type, unsigned part)
{
    Mesos__V1__Master__Response response = MESOS__V1__MASTER__RESPONSE__INIT;
    response.has_type = true;
    response.type = type;
    struct rope body = {0};
    if (part == 0)
        put_state(&body, lists);
    else
        put_part(&body, lists, part);
    wrap(&body, lists->type, &mesos__v1__master__response__descriptor, field);
    return put_whole(&body, lists->type, &response.base);
}

static struct http_blob *finish_subscribed(void *made)
{
    struct lists *lists = made;
    Mesos__V1__Master__Event event = MESOS__V1__MASTER__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED;
    Mesos__V1__Master__Event__Subscribed subscribed = MESOS__V1__MASTER__EVENT__SUBSCRIBED__INIT;
    subscribed.has_heartbeat_interval_seconds = true;
    subscribed.heartbeat_interval_seconds = MASTER_V1_HEARTBEAT_S;
    AUTO_ROPE struct rope body = {0};
    put_state(&body, lists);
    wrap(&body, lists->type, subscribed.base.descriptor, "get_state");
    if (lists->type == CONTENT_PROTOBUF) {
        wire_encode(&subscribed.base, &body.buf);
    } else {
        AUTO_BUF struct buf rest = BUF_INIT;
        wire_json_encode(&subscribed.base, &rest);
        CHECK(rest.size > 2);
        buf_puts(&body.buf, ",");
        buf_append(&body.buf, rest.data + 1, rest.size - 2); // without its braces
    }
    wrap(&body, lists->type, event.base.descriptor, "subscribed");
    return put_whole(&body, lists->type, &event.base);
}

// A call that is answered with the parts: one kind of answer for each encoding.
#define CALL(name, NAME, part, record_bits)                                                        \
    static struct http_blob *finish_##name(void *made)                                             \
    {                                                                                              \
        return finish_response(made, #name, MESOS__V1__MASTER__RESPONSE__TYPE__##NAME, part);      \
    }                                                                                              \
    static const struct answer_kind name##_kinds[] = {                                             \
        {.records = (record_bits),                                                                 \
         .begin = begin_json,                                                                      \
         .visit = visit,                                                                           \
         .finish = finish_##name,                                                                  \
         .free = free_lists},                                                                      \
        {.records = (record_bits),                                                                 \
         .begin = begin_protobuf,                                                                  \
         .visit = visit,                                                                           \
         .finish = finish_##name,                                                                  \
         .free = free_lists},                                                                      \
    };                                                                                             \
    void master_v1_##name(struct api_v1_request *q)                                                \
    {                                                                                              \
        master_answers_respond(q->ctx, q->http, &name##_kinds[q->type == CONTENT_PROTOBUF], "",    \
                               q->type);                                                           \
    }

enum {
    OF_AGENTS = 1u << RECORD_AGENT | 1u << RECORD_RECOVERED_AGENT,
    OF_ALL = OF_AGENTS | 1u << RECORD_FRAMEWORK | 1u << RECORD_TASK | 1u << RECORD_EXECUTOR,
};

CALL(get_tasks, GET_TASKS, PART_TASKS, 1u << RECORD_TASK)
CALL(get_executors, GET_EXECUTORS, PART_EXECUTORS, 1u << RECORD_EXECUTOR)
CALL(get_frameworks, GET_FRAMEWORKS, PART_FRAMEWORKS, 1u << RECORD_FRAMEWORK)
CALL(get_agents, GET_AGENTS, PART_AGENTS, OF_AGENTS)
CALL(get_state, GET_STATE, 0, OF_ALL)

static const struct answer_kind subscribed_kinds[] = {
    {.records = OF_ALL,
     .begin = begin_json,
     .visit = visit,
     .finish = finish_subscribed,
     .free = free_lists},
    {.records = OF_ALL,
     .begin = begin_protobuf,
     .visit = visit,
     .finish = finish_subscribed,
     .free = free_lists},
};

void master_v1_ask_subscribed(struct master_server *server, enum content_type type,
                              struct answer_reader *reader)
{
    master_answers_ask(server, &subscribed_kinds[type == CONTENT_PROTOBUF], "", reader);
}
