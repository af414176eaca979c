// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's calls other than SUBSCRIBE: who may call, and the short ones. Order of checks and
// texts are Mesos' (src/master/http.cpp).

#include <string.h>

#include "master/internal.h"

static void call_decline(struct framework *f, const Mesos__V1__Scheduler__Call__Decline *call)
{
    struct master *m = f->master;
    master_count(m, COUNT_MESSAGES_DECLINE_OFFERS);
    int64_t refuse_ns = master_filters_refuse_ns(call->filters);
    for (size_t i = 0; i < call->n_offer_ids; i++) {
        struct offer *o = master_offer(m, call->offer_ids[i]->value);
        if (o == NULL || o->framework != f) {
            log_warning("Ignoring decline of offer %s since it is no longer valid",
                        call->offer_ids[i]->value);
            continue;
        }
        f->offers_declined++;
        master_offer_discard(o, refuse_ns);
    }
}

// True when every role is one of the framework's; else the call is dropped with a log line.
static bool check_roles(const struct framework *f, const char *what, char *const *roles,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err;
        if (validate_role(roles[i], &err) < 0) {
            log_warning("Dropping a call from framework %s: %s role '%s' is invalid: %s", f->id,
                        what, roles[i], err.text);
            return false;
        }
        if (!master_framework_has_role(f, roles[i])) {
            log_warning("Dropping a call from framework %s: %s role '%s' is not one of the "
                        "frameworks's subscribed roles",
                        f->id, what, roles[i]);
            return false;
        }
    }
    return true;
}

// REVIVE and SUPPRESS may come without a body.
static void call_revive(struct framework *f, const Mesos__V1__Scheduler__Call__Revive *call)
{
    master_count(f->master, COUNT_MESSAGES_REVIVE_OFFERS);
    size_t count = call != NULL ? call->n_roles : 0;
    if (count > 0 && !check_roles(f, "revive", call->roles, count))
        return;
    master_inverse_forget_filters(f);
    allocator_revive(f->master->allocator, f->id,
                     count > 0 ? (const char *const *)call->roles : NULL, count);
}

static void call_suppress(struct framework *f, const Mesos__V1__Scheduler__Call__Suppress *call)
{
    master_count(f->master, COUNT_MESSAGES_SUPPRESS_OFFERS);
    size_t count = call != NULL ? call->n_roles : 0;
    if (count > 0 && !check_roles(f, "suppression", call->roles, count))
        return;
    allocator_suppress(f->master->allocator, f->id,
                       count > 0 ? (const char *const *)call->roles : NULL, count);
}

static void reconcile_one(struct framework *f, Mesos__V1__Scheduler__Call__Kill *call)
{
    Mesos__V1__Scheduler__Call__Reconcile__Task task =
        MESOS__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT;
    task.task_id = call->task_id;
    task.agent_id = call->agent_id;
    Mesos__V1__Scheduler__Call__Reconcile__Task *tasks[] = {&task};
    Mesos__V1__Scheduler__Call__Reconcile reconcile = MESOS__V1__SCHEDULER__CALL__RECONCILE__INIT;
    reconcile.n_tasks = 1;
    reconcile.tasks = tasks;
    master_call_reconcile(f, &reconcile);
}

static void call_kill(struct framework *f, Mesos__V1__Scheduler__Call__Kill *call)
{
    struct master *m = f->master;
    master_count(m, COUNT_MESSAGES_KILL_TASK);
    struct task *t = map_get(&f->tasks, call->task_id->value);
    if (t == NULL) {
        log_warning("Cannot kill task %s of framework %s because it is unknown; performing "
                    "reconciliation",
                    call->task_id->value, f->id);
        reconcile_one(f, call);
        return;
    }
    if (call->agent_id != NULL && strcmp(call->agent_id->value, t->agent_id) != 0) {
        log_warning("Cannot kill task %s of agent %s of framework %s because it belongs to "
                    "different agent %s",
                    t->id, call->agent_id->value, f->id, t->agent_id);
        return;
    }
    t->kill_wanted = true;
    if (t->agent->channel == NULL) {
        log_warning("Cannot kill task %s of framework %s now: agent %s is disconnected; it is "
                    "tried again when the agent is back",
                    t->id, f->id, t->agent_id);
        return;
    }
    master_agent_send_kill(t->agent, f->id, t->id, call->kill_policy);
}

static void call_shutdown(struct framework *f, Mesos__V1__Scheduler__Call__Shutdown *call)
{
    struct master *m = f->master;
    struct agent *a = master_agent(m, call->agent_id->value);
    if (a == NULL) {
        log_warning("Unable to shut down executor '%s' of framework %s of unknown agent %s",
                    call->executor_id->value, f->id, call->agent_id->value);
        return;
    }
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(SHUTDOWN_EXECUTOR));
    message->shutdown_executor = WIRE_NEW(m->scratch, Meseta__Link__ToAgent__ShutdownExecutor,
                                          meseta__link__to_agent__shutdown_executor);
    message->shutdown_executor->framework_id = master_make_framework_id(m->scratch, f->id);
    message->shutdown_executor->executor_id = call->executor_id;
    master_agent_send(a, message);
}

static void call_message(struct framework *f, Mesos__V1__Scheduler__Call__Message *call)
{
    struct master *m = f->master;
    master_count(m, COUNT_MESSAGES_FRAMEWORK_TO_EXECUTOR);
    struct agent *a = master_agent(m, call->agent_id->value);
    if (a == NULL || a->channel == NULL) {
        log_warning("Cannot send a message of framework %s to agent %s: it is not %s", f->id,
                    call->agent_id->value, a == NULL ? "registered" : "connected");
        master_count(m, COUNT_INVALID_FRAMEWORK_TO_EXECUTOR);
        return;
    }
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(FRAMEWORK_MESSAGE));
    message->framework_message = WIRE_NEW(m->scratch, Meseta__Link__ToAgent__FrameworkMessage,
                                          meseta__link__to_agent__framework_message);
    message->framework_message->framework_id = master_make_framework_id(m->scratch, f->id);
    message->framework_message->executor_id = call->executor_id;
    message->framework_message->data = call->data;
    master_agent_send(a, message);
    master_count(m, COUNT_VALID_FRAMEWORK_TO_EXECUTOR);
}

static int call_update_framework(struct framework *f,
                                 Mesos__V1__Scheduler__Call__UpdateFramework *call,
                                 struct error *err)
{
    struct master *m = f->master;
    struct error why;
    if (master_framework_check_info(m, call->framework_info, &why) < 0) {
        error_set(err, -EINVAL, "Supplied FrameworkInfo is not valid: %s", why.text);
        return 400;
    }
    if (master_framework_check_update(f, call->framework_info, &why) < 0) {
        error_set(err, -EINVAL, "FrameworkInfo update is not valid: %s", why.text);
        return 400;
    }
    int r = master_framework_check_suppressed(call->framework_info, call->n_suppressed_roles,
                                              call->suppressed_roles, m->scratch, &why);
    struct constraints *constraints = NULL;
    if (r == 0)
        r = master_framework_read_constraints(m, call->framework_info, call->offer_constraints,
                                              &constraints, &why);
    if (r < 0) {
        error_set(err, -EINVAL, "'UpdateFramework' call is not valid: %s", why.text);
        return 400;
    }
    // Agents need to know of the info only, so only when that changed.
    bool changed = !wire_is_equal(&f->info->base, &call->framework_info->base);
    master_framework_update(f, call->framework_info, (const char *const *)call->suppressed_roles,
                            call->n_suppressed_roles);
    master_framework_set_constraints(f, call->offer_constraints, constraints);
    if (changed)
        master_framework_tell_agents(f);
    master_notice_framework(f, NOTICE_FRAMEWORK_UPDATED);
    return 200;
}

static int dispatch(struct framework *f, Mesos__V1__Scheduler__Call *call, struct error *err)
{
    switch (call->type) {
    case CALL(TEARDOWN):
        master_count(f->master, COUNT_MESSAGES_UNREGISTER_FRAMEWORK);
        master_framework_remove(f);
        return 202;
    case CALL(ACCEPT):
        master_call_accept(f, call->accept);
        return 202;
    case CALL(DECLINE):
        call_decline(f, call->decline);
        return 202;
    case CALL(ACCEPT_INVERSE_OFFERS):
        master_call_answer_inverse_offers(f, call->accept_inverse_offers->inverse_offer_ids,
                                          call->accept_inverse_offers->n_inverse_offer_ids,
                                          call->accept_inverse_offers->filters, true);
        return 202;
    case CALL(DECLINE_INVERSE_OFFERS):
        master_call_answer_inverse_offers(f, call->decline_inverse_offers->inverse_offer_ids,
                                          call->decline_inverse_offers->n_inverse_offer_ids,
                                          call->decline_inverse_offers->filters, false);
        return 202;
    case CALL(REVIVE):
        call_revive(f, call->revive);
        return 202;
    case CALL(SUPPRESS):
        call_suppress(f, call->suppress);
        return 202;
    case CALL(KILL):
        call_kill(f, call->kill);
        return 202;
    case CALL(SHUTDOWN):
        call_shutdown(f, call->shutdown);
        return 202;
    case CALL(ACKNOWLEDGE):
        master_call_acknowledge(f, call->acknowledge);
        return 202;
    case CALL(ACKNOWLEDGE_OPERATION_STATUS):
        master_call_acknowledge_operation(f, call->acknowledge_operation_status);
        return 202;
    case CALL(RECONCILE):
        master_call_reconcile(f, call->reconcile);
        return 202;
    case CALL(RECONCILE_OPERATIONS):
        master_call_reconcile_operations(f, call->reconcile_operations);
        return 202;
    case CALL(MESSAGE):
        call_message(f, call->message);
        return 202;
    case CALL(REQUEST):
        // Mesos' allocator hears requests and does nothing with them, either.
        master_count(f->master, COUNT_MESSAGES_RESOURCE_REQUEST);
        return 202;
    case CALL(UPDATE_FRAMEWORK):
        return call_update_framework(f, call->update_framework, err);
    default:
        error_set(err, -ENOSYS, "Not implemented");
        return 501;
    }
}

// Who makes the call; 0, or the status with which it is refused.
static int find_caller(struct master *m, const Mesos__V1__Scheduler__Call *call,
                       const char *stream_id, bool is_new, struct framework **ret_framework,
                       struct error *err)
{
    const char *id = call->framework_id != NULL ? call->framework_id->value : "";
    struct framework *f = master_framework(m, id);
    if (f == NULL) {
        error_set(err, -ENOENT, "Framework cannot be found");
        return 400;
    }
    if (is_new && call->has_type && (size_t)call->type < ARRAY_COUNT(f->calls))
        f->calls[call->type]++;
    if (f->subscriber == NULL) {
        error_set(err, -EACCES, "Framework is not subscribed");
        return 403;
    }
    if (stream_id == NULL) {
        error_set(err, -EINVAL,
                  "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
        return 400;
    }
    if (strcmp(stream_id, f->stream_id) != 0) {
        error_set(err, -EINVAL,
                  "The stream ID '%s' included in this request didn't match the stream ID "
                  "currently associated with framework ID %s",
                  stream_id, f->id);
        return 400;
    }
    *ret_framework = f;
    return 0;
}

int master_call_now(struct master *m, Mesos__V1__Scheduler__Call *call, const char *stream_id,
                    struct error *err)
{
    struct framework *f;
    int status = find_caller(m, call, stream_id, false, &f, err);
    if (status != 0)
        return status;
    master_principal_count(f, true);
    return dispatch(f, call, err);
}

int master_call(struct master *m, Mesos__V1__Scheduler__Call *call, const char *stream_id,
                void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    struct framework *f;
    int status = find_caller(m, call, stream_id, true, &f, err);
    if (status != 0)
        return status;
    master_principal_count(f, false);
    switch (master_limit_call(f, call, stream_id, waiter, err)) {
    case LIMIT_PASSES:
        break;
    case LIMIT_HELD:
        return 0;
    case LIMIT_DROPPED:
        return 429;
    }
    master_principal_count(f, true);
    return dispatch(f, call, err);
}
