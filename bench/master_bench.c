// SPDX-License-Identifier: Apache-2.0
//
// What the master core costs without network and disk: it is fed with messages directly.
//   agent    bytes of heap per idle agent, registered and offered
//   task     bytes of heap per running task (two statuses, labels)
//   life     microseconds of a task: ACCEPT, RUNNING, its acknowledgement
//   end      microseconds more for FINISHED, its acknowledgement, and the record of it
//   return   microseconds per task when all agents come to a new master
//   state    microseconds per task of the frameworks in /state, and per agent of its agents
// --agents=N and --tasks=N (per agent) set the size, --rounds=N how often /state is looked at (the
// least time counts); --json=FILE writes a JSON object as well.

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/master_v0.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

struct bench {
    struct master *master;
    struct instant now;
    struct arena *arena; // of one message
    uint64_t *tokens;
    size_t token_count, token_capacity;
    struct master_channel *channels;
    struct master_subscriber subscriber;
    char **offer_ids; // by number of the agent
    char **agent_ids;
    char *framework_id;
    size_t agents, tasks;
    size_t rounds; // of /state
};

static double clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

// ---- the world around the core ----

static void send_event(void *ctx, struct master_subscriber *subscriber,
                       const Mesos__V1__Scheduler__Event *event)
{
    struct bench *b = ctx;
    CHECK(subscriber == &b->subscriber);
    if (event->subscribed != NULL)
        b->framework_id = mem_strdup(event->subscribed->framework_id->value);
    for (size_t i = 0; event->offers != NULL && i < event->offers->n_offers; i++) {
        const Mesos__V1__Offer *offer = event->offers->offers[i];
        size_t agent = strtoul(offer->hostname + 1, NULL, 10);
        mem_free(b->offer_ids[agent]);
        b->offer_ids[agent] = mem_strdup(offer->id->value);
    }
}

static void close_subscriber(void *ctx, struct master_subscriber *subscriber)
{
    (void)ctx;
    (void)subscriber;
}

static void send_agent(void *ctx, struct master_channel *channel,
                       const Meseta__Link__ToAgent *message)
{
    struct bench *b = ctx;
    CHECK(message->type != MESETA__LINK__TO_AGENT__TYPE__REFUSED);
    size_t agent = (size_t)(channel - b->channels);
    if (message->registered != NULL && b->agent_ids[agent] == NULL)
        b->agent_ids[agent] = mem_strdup(message->registered->agent_id->value);
}

static void close_agent(void *ctx, struct master_channel *channel)
{
    (void)ctx;
    (void)channel;
}

static void apply(void *ctx, const struct master_item *items, size_t count, uint64_t token)
{
    (void)items;
    (void)count;
    struct bench *b = ctx;
    if (token == 0)
        return;
    if (b->token_count == b->token_capacity) {
        b->token_capacity = b->token_capacity * 2 + 64;
        b->tokens = mem_realloc_array(b->tokens, b->token_capacity, sizeof(*b->tokens));
    }
    b->tokens[b->token_count++] = token;
}

static void settle(struct bench *b)
{
    for (size_t i = 0; i < b->token_count; i++)
        master_applied(b->master, b->tokens[i], 0, b->now);
    b->token_count = 0;
    while (master_next(b->master) <= b->now.mono)
        master_step(b->master, b->now);
}

static void begin(struct bench *b)
{
    static const struct master_ops ops = {.send_event = send_event,
                                          .close_subscriber = close_subscriber,
                                          .send_agent = send_agent,
                                          .close_agent = close_agent,
                                          .apply = apply};
    struct master_options options;
    master_options_init(&options);
    options.id = "0123abcd-0123-0123-0123-0123456789ab";
    options.ip = "127.0.0.1";
    options.hostname = "localhost";
    options.seed = 1;
    b->now = (struct instant){.mono = 1000 * NS_PER_S, .wall = 1700000000 * NS_PER_S};
    b->master = master_new(&options, &ops, b, b->now);
    b->arena = arena_new(0, 0);
    b->channels = mem_calloc(b->agents, sizeof(*b->channels));
    b->subscriber.framework = NULL;
}

static void end(struct bench *b)
{
    b->master = master_free(b->master);
    arena_free(b->arena);
    mem_free(b->channels);
}

// ---- messages ----

static void *read_json(struct bench *b, const ProtobufCMessageDescriptor *descriptor,
                       const struct buf *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, b->arena, json->data, json->size, &message, &err) < 0) {
        fprintf(stderr, "%s in %s\n", err.text, json->data);
        abort();
    }
    return message;
}

static void to_master(struct bench *b, size_t agent, const struct buf *json)
{
    master_agent_message(b->master, &b->channels[agent],
                         read_json(b, &meseta__link__to_master__descriptor, json), b->now);
    arena_reset(b->arena);
}

static void call(struct bench *b, const struct buf *json)
{
    struct error err;
    Mesos__V1__Scheduler__Call *message =
        read_json(b, &mesos__v1__scheduler__call__descriptor, json);
    CHECK(master_call(b->master, message, "s", NULL, b->now, &err) == 202);
    arena_reset(b->arena);
}

#define CPUS "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s}}"
#define MEM "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s}}"

static void put_agent(struct buf *out, const struct bench *b, size_t agent)
{
    buf_puts(out, "\"agent\":{\"info\":{");
    if (b->agent_ids[agent] != NULL)
        buf_printf(out, "\"id\":{\"value\":\"%s\"},", b->agent_ids[agent]);
    buf_printf(out,
               "\"hostname\":\"h%zu\",\"port\":5051,\"resources\":[" CPUS "," MEM
               ",{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100000}},{\"name\":"
               "\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,\"end\":"
               "32000}]}}],\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":"
               "{\"value\":\"r%zu\"}}]},\"version\":\"1.11.0\",\"pid\":\"slave(1)@10.%zu.%zu.%zu:"
               "5051\",\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":"
               "\"HIERARCHICAL_ROLE\"},{\"type\":\"RESERVATION_REFINEMENT\"}]}",
               agent, "64", "65536", agent % 40, agent >> 16, agent >> 8 & 255, agent & 255);
}

static void subscribe(struct bench *b)
{
    AUTO_BUF struct buf json = BUF_INIT;
    buf_printf(&json,
               "{\"framework_info\":{\"user\":\"root\",\"name\":\"bench\",\"failover_timeout\":"
               "3600,\"id\":{\"value\":\"%s\"}}}",
               b->framework_id != NULL ? b->framework_id : "");
    mem_free(b->framework_id);
    b->framework_id = NULL;
    master_subscribe(b->master,
                     read_json(b, &mesos__v1__scheduler__call__subscribe__descriptor, &json),
                     &b->subscriber, "s", b->now);
    arena_reset(b->arena);
}

static void register_agents(struct bench *b)
{
    for (size_t i = 0; i < b->agents; i++) {
        AUTO_BUF struct buf json = BUF_INIT;
        buf_puts(&json, "{\"type\":\"REGISTER\",\"register\":{");
        put_agent(&json, b, i);
        buf_puts(&json, "}}");
        to_master(b, i, &json);
    }
    settle(b);
}

#define LABELS                                                                                     \
    "\"labels\":{\"labels\":[{\"key\":\"app\",\"value\":\"web\"},{\"key\":\"team\",\"value\":"     \
    "\"a\"}]}"

static void accept_on(struct bench *b, size_t agent)
{
    AUTO_BUF struct buf json = BUF_INIT;
    buf_printf(&json,
               "{\"framework_id\":{\"value\":\"%s\"},\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":"
               "[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\",\"launch\":"
               "{\"task_infos\":[",
               b->framework_id, b->offer_ids[agent]);
    for (size_t k = 0; k < b->tasks; k++)
        buf_printf(&json,
                   "%s{\"name\":\"service-%zu\",\"task_id\":{\"value\":\"service-%zu.instance-"
                   "%08zu\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":[" CPUS "," MEM
                   "],\"command\":{\"value\":\"sleep 1000\"}," LABELS "}",
                   k > 0 ? "," : "", k, k, agent, b->agent_ids[agent], "0.1", "32");
    buf_puts(&json, "]}}],\"filters\":{\"refuse_seconds\":3600}}}");
    call(b, &json);
}

static void update(struct bench *b, size_t agent, size_t task, const char *state)
{
    AUTO_BUF struct buf json = BUF_INIT;
    buf_printf(
        &json,
        "{\"type\":\"STATUS_UPDATE\",\"status_update\":{\"framework_id\":{\"value\":\"%s\"},"
        "\"status\":{\"task_id\":{\"value\":\"service-%zu.instance-%08zu\"},\"state\":\"%s\","
        "\"agent_id\":{\"value\":\"%s\"},\"source\":\"SOURCE_EXECUTOR\",\"timestamp\":"
        "1700000000.25,\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"container_status\":"
        "{\"container_id\":{\"value\":\"5a2f3c1e-0000-4000-8000-%012zx\"},\"network_infos\":"
        "[{\"ip_addresses\":[{\"ip_address\":\"10.0.0.1\",\"protocol\":\"IPv4\"}]}]}}}}",
        b->framework_id, task, agent, state, b->agent_ids[agent], agent);
    to_master(b, agent, &json);
    buf_clear(&json);
    buf_printf(&json,
               "{\"framework_id\":{\"value\":\"%s\"},\"type\":\"ACKNOWLEDGE\",\"acknowledge\":"
               "{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"service-%zu.instance-"
               "%08zu\"},\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
               b->framework_id, b->agent_ids[agent], task, agent);
    call(b, &json);
}

static void update_all(struct bench *b, const char *state)
{
    for (size_t i = 0; i < b->agents; i++) {
        for (size_t k = 0; k < b->tasks; k++)
            update(b, i, k, state);
    }
}

// The messages that the agents would send to a new master.
static Meseta__Link__ToMaster **make_returns(struct bench *b, struct arena *arena)
{
    Meseta__Link__ToMaster **messages = arena_calloc(arena, b->agents, sizeof(*messages));
    const struct framework *f = map_get(&b->master->frameworks, b->framework_id);
    for (size_t i = 0; i < b->agents; i++) {
        struct agent *a = map_get(&b->master->agents, b->agent_ids[i]);
        AUTO_BUF struct buf json = BUF_INIT;
        buf_puts(&json, "{\"type\":\"REREGISTER\",\"reregister\":{");
        put_agent(&json, b, i);
        buf_puts(&json, "}}");
        Meseta__Link__ToMaster *message = read_json(b, &meseta__link__to_master__descriptor, &json);
        Meseta__Link__FrameworkOnAgent *on_agent =
            WIRE_NEW(b->arena, Meseta__Link__FrameworkOnAgent, meseta__link__framework_on_agent);
        on_agent->info = f->info;
        on_agent->tasks = arena_calloc(b->arena, b->tasks, sizeof(*on_agent->tasks));
        LIST_FOREACH (&a->tasks, struct task, by_agent, t)
            on_agent->tasks[on_agent->n_tasks++] = master_v0_task(b->arena, t);
        message->reregister->frameworks = &on_agent;
        message->reregister->n_frameworks = 1;
        messages[i] = WIRE_COPY(arena, Meseta__Link__ToMaster, message);
        arena_reset(b->arena);
    }
    return messages;
}

// ---- what is measured ----

struct results {
    double agent_bytes, task_bytes, life_us, end_us, return_us, state_task_us, state_agent_us;
    double state_bytes;
};

// The least of several times, as the first one grows the buffer.
static void measure_state(struct bench *b, struct results *r)
{
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    struct v0_texts *texts = v0_texts_new();
    r->state_task_us = r->state_agent_us = 1e9;
    for (size_t round = 0; round < b->rounds; round++) {
        buf_clear(&out);
        json_begin(&w, &out);
        json_array_open(&w);
        double start = clock_us();
        MAP_FOREACH (&b->master->frameworks, entry) {
            const struct framework *f = entry->value;
            MAP_FOREACH (&f->tasks, task_entry)
                master_v0_put_task(&w, texts, b->arena, task_entry->value);
        }
        double took = (clock_us() - start) / (double)(b->agents * b->tasks);
        r->state_task_us = took < r->state_task_us ? took : r->state_task_us;
        r->state_bytes = (double)out.size / (double)(b->agents * b->tasks);
        start = clock_us();
        MAP_FOREACH (&b->master->agents, entry) {
            json_object_open(&w);
            master_v0_put_agent_members(&w, texts, entry->value, true);
            json_object_close(&w);
        }
        took = (clock_us() - start) / (double)b->agents;
        r->state_agent_us = took < r->state_agent_us ? took : r->state_agent_us;
    }
    v0_texts_free(texts);
}

static void measure(struct bench *b, struct results *r)
{
    double all = (double)(b->agents * b->tasks);
    begin(b);
    subscribe(b);
    double heap = heap_bytes();
    register_agents(b);
    r->agent_bytes = (heap_bytes() - heap) / (double)b->agents;
    heap = heap_bytes();
    double start = clock_us();
    for (size_t i = 0; i < b->agents; i++)
        accept_on(b, i);
    update_all(b, "TASK_STARTING");
    update_all(b, "TASK_RUNNING");
    settle(b);
    r->life_us = (clock_us() - start) / all;
    r->task_bytes = (heap_bytes() - heap) / all;
    measure_state(b, r);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Meseta__Link__ToMaster **returns = make_returns(b, arena);
    start = clock_us();
    update_all(b, "TASK_FINISHED");
    settle(b);
    r->end_us = (clock_us() - start) / all;
    end(b);
    begin(b);
    start = clock_us();
    for (size_t i = 0; i < b->agents; i++)
        master_agent_message(b->master, &b->channels[i], returns[i], b->now);
    settle(b);
    r->return_us = (clock_us() - start) / all;
    CHECK(b->master->agents.count == b->agents);
    end(b);
}

static void report(const struct bench *b, const struct results *r, const char *json_path)
{
    printf("%zu agents, %zu tasks on each (messages are read from JSON within these times)\n",
           b->agents, b->tasks);
    printf("  heap per idle agent       %8.0f B\n", r->agent_bytes);
    printf("  heap per running task     %8.0f B\n", r->task_bytes);
    printf("  launch to running         %8.2f us per task\n", r->life_us);
    printf("  its end                   %8.2f us per task\n", r->end_us);
    printf("  return to a new master    %8.2f us per task\n", r->return_us);
    printf("  /state: tasks             %8.2f us per task, %.0f B\n", r->state_task_us,
           r->state_bytes);
    printf("  /state: agents            %8.2f us per agent\n", r->state_agent_us);
    if (json_path == NULL)
        return;
    FILE *file = fopen(json_path, "w");
    CHECK(file != NULL);
    fprintf(file,
            "{\"agents\":%zu,\"tasks_per_agent\":%zu,\"agent_bytes\":%.0f,\"task_bytes\":%.0f,"
            "\"life_us\":%.3f,\"end_us\":%.3f,\"return_us\":%.3f,\"state_task_us\":%.3f,"
            "\"state_agent_us\":%.3f}\n",
            b->agents, b->tasks, r->agent_bytes, r->task_bytes, r->life_us, r->end_us, r->return_us,
            r->state_task_us, r->state_agent_us);
    fclose(file);
}

static bool read_count(const char *word, const char *flag, size_t *ret)
{
    size_t size = strlen(flag);
    char *end;
    if (strncmp(word, flag, size) != 0)
        return false;
    unsigned long count = strtoul(word + size, &end, 10);
    if (*end != '\0' || count == 0 || count > 1000000)
        return false;
    *ret = count;
    return true;
}

int main(int argc, char *argv[])
{
    struct bench b = {.agents = 2000, .tasks = 10, .rounds = 5};
    const char *json_path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--json=", 7) == 0)
            json_path = argv[i] + 7;
        else if (!read_count(argv[i], "--agents=", &b.agents) &&
                 !read_count(argv[i], "--tasks=", &b.tasks) &&
                 !read_count(argv[i], "--rounds=", &b.rounds)) {
            fprintf(stderr, "'%s' is no flag of this program, or no number above 0\n", argv[i]);
            return 1;
        }
    }
    b.offer_ids = mem_calloc(b.agents, sizeof(*b.offer_ids));
    b.agent_ids = mem_calloc(b.agents, sizeof(*b.agent_ids));
    struct results r = {0};
    measure(&b, &r);
    report(&b, &r, json_path);
    for (size_t i = 0; i < b.agents; i++) {
        mem_free(b.offer_ids[i]);
        mem_free(b.agent_ids[i]);
    }
    mem_free(b.offer_ids);
    mem_free(b.agent_ids);
    mem_free(b.tokens);
    mem_free(b.framework_id);
    return 0;
}
