// SPDX-License-Identifier: Apache-2.0
//
// Checks of a pod's tasks. HTTP and TCP go out from here, as the tasks share our network; a command
// runs in a session inside the task's container, one container per look, which is removed when it
// has ended.

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "executor/internal.h"
#include "wire/wire.h"

// One look, or what is left to do for it.
//
//   RUNS --> its output's end --> WAITS --> exit status --> REMOVES --> freed
struct pod_probe {
    struct list link; // in the task's probes
    struct pod_task *task;
    struct checker *checker; // NULL: nobody wants to know any more
    char name[sizeof("check-") + UUID_TEXT_SIZE];
    struct agent_call *call;
};

static void probe_free(struct pod_probe *probe)
{
    list_remove(&probe->link);
    agent_call_free(probe->call);
    mem_free(probe);
}

static void tell(struct pod_probe *probe, int code, int status, const char *text)
{
    struct checker *checker = TAKE_PTR(probe->checker);
    if (checker != NULL) {
        checker_command_ended(checker, code, status, text);
    }
}

static Mesos__V1__ContainerID *probe_id(const struct pod_probe *probe, struct arena *arena)
{
    Mesos__V1__ContainerID *id = WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
    id->value = arena_strdup(arena, probe->name);
    id->parent = pod_container_id(probe->task, arena);
    return id;
}

static void send_call(struct pod_probe *probe, const Mesos__V1__Agent__Call *call, bool is_stream,
                      agent_call_fn *on_answer)
{
    const struct pod *pod = probe->task->pod;
    struct agent_call_order order = {
        .address = &pod->environment.agent,
        .authorization = pod->authorization,
        .call = call,
        .is_stream = is_stream,
    };
    agent_call_free(probe->call);
    probe->call = agent_call_send(pod->env, &order, on_answer, probe);
}

// ---- the steps, last one first ----

static void on_removed(void *ctx, struct agent_call *call, const struct agent_call_answer *answer)
{
    (void)call;
    struct pod_probe *probe = ctx;
    if (answer->status != 200) {
        log_warning("The container of a check of task '%s' was not removed: %s", probe->task->id,
                    answer->text);
    }
    probe_free(probe);
}

static void remove_container(struct pod_probe *probe)
{
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    Mesos__V1__Agent__Call *call =
        pod_make_call(arena, MESOS__V1__AGENT__CALL__TYPE__REMOVE_CONTAINER);
    call->remove_container = WIRE_NEW(arena, Mesos__V1__Agent__Call__RemoveContainer,
                                      mesos__v1__agent__call__remove_container);
    call->remove_container->container_id = probe_id(probe, arena);
    send_call(probe, call, false, on_removed);
}

static void on_waited(void *ctx, struct agent_call *call, const struct agent_call_answer *answer)
{
    (void)call;
    struct pod_probe *probe = ctx;
    const Mesos__V1__Agent__Response__WaitContainer *end =
        answer->response != NULL ? answer->response->wait_container : NULL;
    if (end != NULL && end->has_exit_status) {
        tell(probe, 0, end->exit_status, NULL);
    } else if (end != NULL) {
        tell(probe, -EIO, 0, end->message != NULL ? end->message : "The command did not run");
    } else {
        // The task ended, or the agent went: nothing is known.
        tell(probe, -EAGAIN, 0, answer->text != NULL ? answer->text : "no answer");
        probe_free(probe);
        return;
    }
    remove_container(probe);
}

static void wait_container(struct pod_probe *probe)
{
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    const Mesos__V1__Agent__Call *call = pod_make_wait(arena, probe_id(probe, arena));
    send_call(probe, call, false, on_waited);
}

static void on_session_end(void *ctx, struct agent_call *call,
                           const struct agent_call_answer *answer)
{
    (void)call;
    struct pod_probe *probe = ctx;
    if (answer->status == 200) {
        wait_container(probe);
        return;
    }
    bool is_agent_away = answer->status == 0 || answer->status == 503;
    tell(probe, is_agent_away ? -EAGAIN : -EIO, 0, answer->text);
    probe_free(probe);
}

static int start_probe(void *ctx, struct checker *checker, const Mesos__V1__CommandInfo *command,
                       struct error *err)
{
    (void)err;
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    struct pod_probe *probe = mem_zalloc(sizeof(*probe));
    probe->task = task;
    probe->checker = checker;
    list_append(&task->probes, &probe->link);
    struct uuid uuid = uuid_random(&task->pod->prng);
    memcpy(probe->name, "check-", strlen("check-"));
    uuid_text(&uuid, probe->name + strlen("check-"));
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    Mesos__V1__Agent__Call *call =
        pod_make_call(arena, MESOS__V1__AGENT__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION);
    call->launch_nested_container_session =
        WIRE_NEW(arena, Mesos__V1__Agent__Call__LaunchNestedContainerSession,
                 mesos__v1__agent__call__launch_nested_container_session);
    call->launch_nested_container_session->container_id = probe_id(probe, arena);
    call->launch_nested_container_session->command =
        WIRE_COPY(arena, Mesos__V1__CommandInfo, command);
    send_call(probe, call, true, on_session_end);
    return 0;
}

// Without its connection the session ends; what is left of it is removed then.
static void stop_probe(void *ctx, struct checker *checker)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    LIST_FOREACH (&task->probes, struct pod_probe, link, probe) {
        if (probe->checker == checker) {
            probe->checker = NULL;
            wait_container(probe);
        }
    }
}

// ---- what the task's checks find ----

static void on_update(void *ctx, const Mesos__V1__TaskStatus *status)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    executor_update(task->pod->client, status);
}

static void on_unhealthy(void *ctx)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    log_info("Killing task '%s': its health check failed too often", task->id);
    task->pod->is_unhealthy = true;
    pod_kill(task, pod_grace_of(task, NULL));
}

void pod_check_new(struct pod_task *task)
{
    static const struct check_command_ops command_ops = {.start = start_probe, .stop = stop_probe};
    static const struct task_checks_callbacks callbacks = {
        .on_update = on_update,
        .on_unhealthy = on_unhealthy,
        .command_ops = &command_ops,
    };
    list_init(&task->probes);
    task->checks =
        task_checks_new(task->pod->env, task->info, task->pod->launcher_dir, &callbacks, task);
}

void pod_check_free(struct pod_task *task)
{
    task->checks = task_checks_free(task->checks);
    LIST_FOREACH (&task->probes, struct pod_probe, link, probe) {
        probe_free(probe);
    }
}
