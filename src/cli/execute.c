// SPDX-License-Identifier: Apache-2.0
//
// Runs one task: subscribes, takes the first offer that fits, prints each update, acknowledges it,
// and ends with the task. Ends early, taking the framework down, on SIGINT and SIGTERM.

#include "cli/execute.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "check/check.h"
#include "client/scheduler.h"
#include "model/resources.h"
#include "model/task_state.h"

#define EXIT_TIMEOUT_NS (5 * NS_PER_S) // for the answer to the last call

enum { EXECUTE_MAGIC = 0x45786375 };

struct execute {
    uint32_t magic;
    struct env *env;
    struct scheduler *scheduler;
    const struct execute_options *options;
    const Mesos__V1__TaskGroupInfo *tasks; // one, unless it is a group
    bool is_group;
    bool *has_ended; // of each task
    size_t ended_count;
    bool has_failed; // one of them did not finish
    const char *role;
    char *agent_id;           // where the tasks were launched; NULL before
    bool is_ending;           // the last call was sent
    bool was_told_of_trouble; // since the last subscription
    int status;               // exit status once it ends
    struct timer kill_timer;
    struct timer exit_timer;
};

// Ends as soon as the calls that were sent are answered, or after a while.
static void end_soon(struct execute *e, int status)
{
    if (e->is_ending) {
        return;
    }
    e->is_ending = true;
    e->status = status;
    if (scheduler_pending(e->scheduler) == 0) {
        env_stop(e->env, status);
    } else {
        env_timer_set(e->env, &e->exit_timer, EXIT_TIMEOUT_NS);
    }
}

static void run_exit(struct timer *timer, struct instant now)
{
    (void)now;
    struct execute *e = CONTAINER_OF(timer, struct execute, exit_timer);
    env_stop(e->env, e->status);
}

static void on_calls_answered(void *ctx)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    if (e->is_ending) {
        env_stop(e->env, e->status);
    }
}

// ---- offers ----

// The amounts as they are to be looked for: reserved to our role first, when we have one.
static int wanted_resources(const struct execute *e, Mesos__V1__Resource *const *resources,
                            size_t count, struct arena *arena, struct resources **ret_wanted)
{
    Mesos__V1__Resource **wanted = arena_calloc(arena, count + 1, sizeof(*wanted));
    for (size_t i = 0; i < count; i++) {
        wanted[i] = WIRE_COPY(arena, Mesos__V1__Resource, resources[i]);
        if (strcmp(e->role, "*") == 0 || wanted[i]->n_reservations > 0) {
            continue;
        }
        Mesos__V1__Resource__ReservationInfo *reservation = WIRE_NEW(
            arena, Mesos__V1__Resource__ReservationInfo, mesos__v1__resource__reservation_info);
        reservation->has_type = true;
        reservation->type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        reservation->role = arena_strdup(arena, e->role);
        wanted[i]->reservations = arena_calloc(arena, 1, sizeof(*wanted[i]->reservations));
        wanted[i]->reservations[0] = reservation;
        wanted[i]->n_reservations = 1;
    }
    return resources_from_proto(wanted, count, ret_wanted, NULL);
}

// Takes the amounts out of what is left of an offer, and puts what was found in their place. False:
// they are not there.
static bool take(const struct execute *e, struct resources *left, struct arena *arena,
                 Mesos__V1__Resource ***resources, size_t *count)
{
    AUTO_RESOURCES struct resources *wanted = NULL;
    AUTO_RESOURCES struct resources *found = NULL;
    if (wanted_resources(e, *resources, *count, arena, &wanted) < 0 ||
        resources_find(left, wanted, &found) < 0) {
        return false;
    }
    resources_subtract(left, found);
    *count = resources_to_proto(found, arena, RESOURCES_NEW_FORM, false, resources);
    return true;
}

static Mesos__V1__ExecutorInfo *make_executor(const struct execute *e, struct arena *arena)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = resources_parse("cpus:0.1;mem:32;disk:32", "*", &resources, NULL);
    CHECK(r == 0);
    Mesos__V1__ExecutorInfo *executor =
        WIRE_NEW(arena, Mesos__V1__ExecutorInfo, mesos__v1__executor_info);
    executor->has_type = true;
    executor->type = MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT;
    executor->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
    executor->executor_id->value = arena_strdup(arena, "default-executor");
    executor->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    executor->framework_id->value = arena_strdup(arena, scheduler_framework_id(e->scheduler));
    executor->n_resources =
        resources_to_proto(resources, arena, RESOURCES_NEW_FORM, false, &executor->resources);
    return executor;
}

// The operation with resources of this offer, or NULL when they do not suffice.
static Mesos__V1__Offer__Operation *fit(const struct execute *e, const Mesos__V1__Offer *offer,
                                        struct arena *arena)
{
    AUTO_RESOURCES struct resources *left = NULL;
    if (resources_from_proto(offer->resources, offer->n_resources, &left, NULL) < 0) {
        return NULL;
    }
    resources_unallocate(left);
    Mesos__V1__TaskGroupInfo *tasks = WIRE_COPY(arena, Mesos__V1__TaskGroupInfo, e->tasks);
    for (size_t i = 0; i < tasks->n_tasks; i++) {
        Mesos__V1__TaskInfo *task = tasks->tasks[i];
        task->agent_id = offer->agent_id;
        if (!take(e, left, arena, &task->resources, &task->n_resources)) {
            return NULL;
        }
    }
    Mesos__V1__Offer__Operation *operation =
        WIRE_NEW(arena, Mesos__V1__Offer__Operation, mesos__v1__offer__operation);
    operation->has_type = true;
    if (!e->is_group) {
        operation->type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH;
        operation->launch = WIRE_NEW(arena, Mesos__V1__Offer__Operation__Launch,
                                     mesos__v1__offer__operation__launch);
        operation->launch->task_infos = tasks->tasks;
        operation->launch->n_task_infos = tasks->n_tasks;
        return operation;
    }
    operation->type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP;
    operation->launch_group = WIRE_NEW(arena, Mesos__V1__Offer__Operation__LaunchGroup,
                                       mesos__v1__offer__operation__launch_group);
    Mesos__V1__ExecutorInfo *executor = make_executor(e, arena);
    operation->launch_group->task_group = tasks;
    operation->launch_group->executor = executor;
    return take(e, left, arena, &executor->resources, &executor->n_resources) ? operation : NULL;
}

static void print_submitted(const struct execute *e)
{
    if (!e->is_group) {
        printf("Submitted task '%s' to agent '%s'\n", e->tasks->tasks[0]->name, e->agent_id);
        return;
    }
    printf("Submitted task group with tasks [ ");
    for (size_t i = 0; i < e->tasks->n_tasks; i++) {
        printf("%s%s", i > 0 ? ", " : "", e->tasks->tasks[i]->task_id->value);
    }
    printf(" ] to agent '%s'\n", e->agent_id);
}

static void launch(struct execute *e, const Mesos__V1__Offer *offer,
                   Mesos__V1__Offer__Operation *operation)
{
    Mesos__V1__OfferID *offer_id = offer->id;
    Mesos__V1__Scheduler__Call__Accept accept = MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT;
    accept.offer_ids = &offer_id;
    accept.n_offer_ids = 1;
    accept.operations = &operation;
    accept.n_operations = 1;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT;
    call.accept = &accept;
    if (scheduler_send(e->scheduler, &call, NULL) < 0) {
        return; // the next subscription brings new offers
    }
    e->agent_id = mem_strdup(offer->agent_id->value);
    print_submitted(e);
    Mesos__V1__Scheduler__Call suppress = MESOS__V1__SCHEDULER__CALL__INIT;
    suppress.has_type = true;
    suppress.type = MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS;
    scheduler_send(e->scheduler, &suppress, NULL);
}

static void decline(struct execute *e, const Mesos__V1__Offer *offer)
{
    Mesos__V1__OfferID *offer_id = offer->id;
    Mesos__V1__Scheduler__Call__Decline body = MESOS__V1__SCHEDULER__CALL__DECLINE__INIT;
    body.offer_ids = &offer_id;
    body.n_offer_ids = 1;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE;
    call.decline = &body;
    scheduler_send(e->scheduler, &call, NULL);
}

static void on_offers(struct execute *e, const Mesos__V1__Scheduler__Event__Offers *offers)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    for (size_t i = 0; i < offers->n_offers; i++) {
        const Mesos__V1__Offer *offer = offers->offers[i];
        Mesos__V1__Offer__Operation *operation = NULL;
        if (e->agent_id == NULL && !e->is_ending) {
            operation = fit(e, offer, arena);
        }
        if (operation != NULL) {
            launch(e, offer, operation);
        } else {
            decline(e, offer);
        }
    }
}

// ---- updates ----

static void print_update(const Mesos__V1__TaskStatus *status)
{
    printf("Received status update %s for task '%s'\n", task_state_name(status->state),
           status->task_id->value);
    if (status->message != NULL) {
        printf("  message: '%s'\n", status->message);
    }
    if (status->has_source) {
        printf("  source: %s\n",
               wire_enum_name(&mesos__v1__task_status__source__descriptor, (int)status->source));
    }
    if (status->has_reason) {
        printf("  reason: %s\n",
               wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason));
    }
    if (status->has_healthy) {
        printf("  healthy?: %d\n", status->healthy);
    }
    if (status->check_status != NULL) {
        AUTO_BUF struct buf text = BUF_INIT;
        check_status_put(status->check_status, &text);
        printf("  check status: %s\n", text.size > 0 ? text.data : "UNKNOWN");
    }
    if (status->limitation != NULL && status->limitation->n_resources > 0) {
        AUTO_BUF struct buf text = BUF_INIT;
        for (size_t i = 0; i < status->limitation->n_resources; i++) {
            if (i > 0) {
                buf_puts(&text, "; ");
            }
            resource_put_text(status->limitation->resources[i], &text);
        }
        printf("  resource limit violation: %s\n", text.data);
    }
}

static void acknowledge(struct execute *e, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Scheduler__Call__Acknowledge body = MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
    body.agent_id = status->agent_id;
    body.task_id = status->task_id;
    body.uuid = status->uuid;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE;
    call.acknowledge = &body;
    scheduler_send(e->scheduler, &call, NULL);
}

static int send_kill(struct execute *e, Mesos__V1__TaskID *task_id)
{
    printf("Asked to kill task '%s' on agent '%s'\n", task_id->value, e->agent_id);
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    agent_id.value = e->agent_id;
    Mesos__V1__Scheduler__Call__Kill body = MESOS__V1__SCHEDULER__CALL__KILL__INIT;
    body.task_id = task_id;
    body.agent_id = &agent_id;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__KILL;
    call.kill = &body;
    return scheduler_send(e->scheduler, &call, NULL);
}

static void run_kill(struct timer *timer, struct instant now)
{
    (void)now;
    struct execute *e = CONTAINER_OF(timer, struct execute, kill_timer);
    for (size_t i = 0; i < e->tasks->n_tasks && !e->is_ending; i++) {
        if (!e->has_ended[i] && send_kill(e, e->tasks->tasks[i]->task_id) < 0) {
            env_timer_set(e->env, &e->kill_timer, NS_PER_S);
            return;
        }
    }
}

static void note_end(struct execute *e, size_t index, Mesos__V1__TaskState state)
{
    if (e->has_ended[index]) {
        return;
    }
    e->has_ended[index] = true;
    e->has_failed |= state != MESOS__V1__TASK_STATE__TASK_FINISHED;
    if (++e->ended_count == e->tasks->n_tasks) {
        end_soon(e, e->has_failed ? EXIT_FAILURE : EXIT_SUCCESS);
    }
}

static void on_update(struct execute *e, const Mesos__V1__TaskStatus *status)
{
    print_update(status);
    if (status->has_uuid && status->agent_id != NULL) {
        acknowledge(e, status);
    }
    size_t i = 0;
    while (i < e->tasks->n_tasks &&
           strcmp(status->task_id->value, e->tasks->tasks[i]->task_id->value) != 0) {
        i++;
    }
    if (i == e->tasks->n_tasks) {
        return;
    }
    if (status->state == MESOS__V1__TASK_STATE__TASK_RUNNING && e->options->kill_after > 0 &&
        e->agent_id != NULL && !timer_is_set(&e->kill_timer)) {
        env_timer_set(e->env, &e->kill_timer, e->options->kill_after);
    }
    if (task_state_is_terminal(status->state)) {
        note_end(e, i, status->state);
    }
}

// ---- events ----

static void on_event(void *ctx, const Mesos__V1__Scheduler__Event *event)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    switch (event->type) {
    case MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED:
        e->was_told_of_trouble = false;
        printf("Subscribed with ID %s\n", scheduler_framework_id(e->scheduler));
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS:
        if (event->offers != NULL) {
            on_offers(e, event->offers);
        }
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE:
        if (event->update != NULL) {
            on_update(e, event->update->status);
        }
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR:
        fprintf(stderr, "Received an ERROR event: %s\n",
                event->error != NULL ? event->error->message : "");
        env_stop(e->env, EXIT_FAILURE);
        break;
    default: // nothing else concerns one task
        break;
    }
}

static void on_disconnected(void *ctx, const struct error *why)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    if (e->is_ending) {
        env_stop(e->env, e->status);
    } else if (!e->was_told_of_trouble) {
        fprintf(stderr, "Not connected to the master, still trying: %s\n", why->text);
        e->was_told_of_trouble = true;
    }
}

static void on_refused(void *ctx, const struct error *why)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    fprintf(stderr, "The master refused the subscription: %s\n", why->text);
    env_stop(e->env, EXIT_FAILURE);
}

static void on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                            const char *text)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    const char *name = wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)type);
    fprintf(stderr, "The master refused the call %s with status %d: %s\n",
            name != NULL ? name : "?", status, text);
    if (type == MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT) {
        env_stop(e->env, EXIT_FAILURE);
    }
}

static void on_signal(void *ctx, int signal)
{
    struct execute *e = CHECK_CAST(execute, EXECUTE_MAGIC, ctx);
    if (e->is_ending) {
        env_stop(e->env, 128 + signal); // asked twice
        return;
    }
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN;
    if (scheduler_send(e->scheduler, &call, NULL) == 0) {
        printf("Tearing down framework %s\n", scheduler_framework_id(e->scheduler));
    }
    end_soon(e, 128 + signal);
}

int execute_run(const struct execute_options *options, const Mesos__V1__TaskGroupInfo *tasks,
                const Mesos__V1__FrameworkInfo *framework)
{
    static const struct scheduler_callbacks callbacks = {
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .on_refused = on_refused,
        .on_call_refused = on_call_refused,
        .on_calls_answered = on_calls_answered,
    };
    struct execute e = {
        .magic = EXECUTE_MAGIC, .options = options, .tasks = tasks, .role = framework->role};
    e.is_group = options->task_group != NULL;
    e.has_ended = mem_calloc(tasks->n_tasks, sizeof(e.has_ended[0]));
    e.kill_timer.run = run_kill;
    e.exit_timer.run = run_exit;
    bool is_json = text_is_equal(options->content_type, "json") ||
                   text_is_equal(options->content_type, CONTENT_JSON_NAME);
    struct scheduler_options scheduler_options = {
        .master = options->master,
        .content = is_json ? CONTENT_JSON : CONTENT_PROTOBUF,
        .framework_info = framework,
        .principal = options->principal,
        .secret = options->secret,
    };
    struct error err = {0};
    int status = EXIT_FAILURE;
    int r = env_new(&e.env, &err);
    if (r == 0) {
        r = scheduler_new(e.env, &scheduler_options, &callbacks, &e, &e.scheduler, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        env_on_signal(e.env, SIGINT, on_signal, &e);
        env_on_signal(e.env, SIGTERM, on_signal, &e);
        status = env_run(e.env);
    }
    e.scheduler = scheduler_free(e.scheduler);
    if (e.env != NULL) {
        env_timer_cancel(e.env, &e.kill_timer);
        env_timer_cancel(e.env, &e.exit_timer);
        env_free(e.env);
    }
    mem_free(e.agent_id);
    mem_free(e.has_ended);
    return status;
}

static int check_content_type(const struct execute_options *options, struct error *err)
{
    static const char *const known[] = {"json", "protobuf", CONTENT_JSON_NAME,
                                        CONTENT_PROTOBUF_NAME};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (text_is_equal(options->content_type, known[i])) {
            return 0;
        }
    }
    return error_set(err, -EINVAL, "Invalid content type '%s'", options->content_type);
}

int execute_main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); // scripts read the lines as they come
    struct execute_options options = {0};
    struct error err = {0};
    // As in Mesos, the environment sets no flag here.
    int r = flags_parse(&execute_flag_table, 1, &options, argc, argv, NULL, "MESOS_", NULL, &err);
    AUTO_BUF struct buf help = BUF_INIT;
    if (r == FLAGS_HELP) {
        flags_put_help(&execute_flag_table, 1, "mesos-execute", &help);
        fputs(help.data, stdout);
        return EXIT_SUCCESS;
    }
    if (r == FLAGS_VERSION) {
        printf("mesos %s\n", MESOS_VERSION);
        return EXIT_SUCCESS;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__TaskGroupInfo *tasks = NULL;
    Mesos__V1__FrameworkInfo *framework = NULL;
    bool was_parsed = r == FLAGS_DONE;
    if (r == 0) {
        r = check_content_type(&options, &err);
    }
    if (r == 0) {
        r = execute_make_tasks(&options, arena, &tasks, &err);
    }
    if (r == 0) {
        r = execute_make_framework(&options, arena, &framework, &err);
    }
    int status = EXIT_FAILURE;
    if (r == 0) {
        status = execute_run(&options, tasks, framework);
    } else {
        fprintf(stderr, "%s\nSee mesos-execute --help\n", err.text);
    }
    if (was_parsed) {
        flags_free(&execute_flag_table, 1, &options);
    }
    return status;
}
