// SPDX-License-Identifier: Apache-2.0
//
// Oversubscription, with what Mesos has as modules built in: an estimator that always says the
// same, and a controller that looks at the machine's load. Their parameters come in --modules.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/agent_daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "proto/module.pb-c.h"
#include "wire/wire.h"

#define ESTIMATOR "org_apache_mesos_FixedResourceEstimator"
#define CONTROLLER "org_apache_mesos_LoadQoSController"

struct agent_oversubscription {
    struct agent_daemon *daemon;
    struct resources *estimate; // revocable; NULL: no estimator
    struct timer estimating;
    bool has_threshold_5, has_threshold_15;
    double threshold_5, threshold_15; // of the load average; more is too much
    struct timer correcting;
};

// ---- parameters ----

static int read_resources(struct agent_oversubscription *o, const char *text, struct error *err)
{
    AUTO_RESOURCES struct resources *fixed = NULL;
    int r = resources_parse(text, "*", &fixed, err);
    if (r < 0) {
        return error_wrap(err, r, "Flag 'modules': 'resources' of " ESTIMATOR);
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(fixed, arena, RESOURCES_NEW_FORM, false, &messages);
    for (size_t i = 0; i < count; i++) {
        messages[i]->revocable = WIRE_NEW(arena, Mesos__V1__Resource__RevocableInfo,
                                          mesos__v1__resource__revocable_info);
    }
    resources_free(o->estimate);
    o->estimate = NULL;
    return resources_from_proto(messages, count, &o->estimate, err);
}

static int read_parameter(struct agent_oversubscription *o, const char *module,
                          const Mesos__V1__Parameter *parameter, struct error *err)
{
    const char *key = parameter->key;
    bool is_estimator = strcmp(module, ESTIMATOR) == 0;
    if (is_estimator && strcmp(key, "resources") == 0) {
        return read_resources(o, parameter->value, err);
    }
    bool is_5 = strcmp(key, "load_threshold_5min") == 0;
    if (is_estimator || (!is_5 && strcmp(key, "load_threshold_15min") != 0)) {
        return error_set(err, -EINVAL, "Flag 'modules': %s has no parameter '%s'", module, key);
    }
    double threshold;
    int r = text_parse_double(parameter->value, &threshold, err);
    if (r < 0) {
        return error_wrap(err, r, "Flag 'modules': '%s'", key);
    }
    *(is_5 ? &o->threshold_5 : &o->threshold_15) = threshold;
    *(is_5 ? &o->has_threshold_5 : &o->has_threshold_15) = true;
    return 0;
}

static int read_modules(struct agent_oversubscription *o, const char *text, struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message;
    int r =
        wire_json_decode(&mesos__v1__modules__descriptor, arena, text, strlen(text), &message, err);
    if (r < 0) {
        return error_wrap(err, r, "Flag 'modules'");
    }
    const Mesos__V1__Modules *modules = (Mesos__V1__Modules *)(void *)message;
    for (size_t i = 0; i < modules->n_libraries; i++) {
        const Mesos__V1__Modules__Library *library = modules->libraries[i];
        for (size_t k = 0; k < library->n_modules; k++) {
            const Mesos__V1__Modules__Library__Module *module = library->modules[k];
            const char *name = module->name != NULL ? module->name : "";
            if (strcmp(name, ESTIMATOR) != 0 && strcmp(name, CONTROLLER) != 0) {
                return error_set(
                    err, -ENOTSUP,
                    "Flag 'modules': '%s' is not built in, and no module can be loaded", name);
            }
            for (size_t n = 0; n < module->n_parameters && r == 0; n++) {
                r = read_parameter(o, name, module->parameters[n], err);
            }
        }
    }
    return r;
}

static int check(const struct agent_flags *f, const struct agent_oversubscription *o,
                 struct error *err)
{
    if (f->resource_estimator != NULL && strcmp(f->resource_estimator, ESTIMATOR) != 0) {
        return error_set(err, -ENOTSUP, "Flag 'resource_estimator': '%s' is not " ESTIMATOR,
                         f->resource_estimator);
    }
    if (f->qos_controller != NULL && strcmp(f->qos_controller, CONTROLLER) != 0) {
        return error_set(err, -ENOTSUP, "Flag 'qos_controller': '%s' is not " CONTROLLER,
                         f->qos_controller);
    }
    if (f->resource_estimator != NULL && o->estimate == NULL) {
        return error_set(err, -EINVAL, "Flag 'modules' lacks 'resources' of " ESTIMATOR);
    }
    if (f->qos_controller != NULL && !o->has_threshold_5 && !o->has_threshold_15) {
        return error_set(err, -EINVAL, "Flag 'modules' lacks a threshold of " CONTROLLER);
    }
    if (f->oversubscribed_resources_interval <= 0 || f->qos_correction_interval_min < 0) {
        return error_set(err, -EINVAL,
                         "Flags 'oversubscribed_resources_interval' and "
                         "'qos_correction_interval_min' are out of bounds");
    }
    return 0;
}

// ---- at work ----

static void estimate(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_oversubscription *o =
        CONTAINER_OF(timer, struct agent_oversubscription, estimating);
    agent_set_oversubscribed(o->daemon->agent, o->estimate);
    agent_daemon_touch(o->daemon);
    env_timer_set(o->daemon->env, timer, o->daemon->flags->oversubscribed_resources_interval);
}

static void correct(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_oversubscription *o =
        CONTAINER_OF(timer, struct agent_oversubscription, correcting);
    double load[3];
    if (getloadavg(load, 3) == 3 && ((o->has_threshold_5 && load[1] > o->threshold_5) ||
                                     (o->has_threshold_15 && load[2] > o->threshold_15))) {
        size_t count = agent_preempt_revocable(o->daemon->agent);
        if (count > 0) {
            log_info("The load is %.2f (5 minutes) and %.2f (15 minutes): %zu executors with "
                     "revocable resources are taken down",
                     load[1], load[2], count);
            agent_daemon_touch(o->daemon);
        }
    }
    int64_t least = o->daemon->flags->qos_correction_interval_min;
    env_timer_set(o->daemon->env, timer, least > NS_PER_S ? least : NS_PER_S);
}

int agent_oversubscribe_new(struct agent_daemon *d, struct error *err)
{
    const struct agent_flags *f = d->flags;
    struct agent_oversubscription *o = mem_zalloc(sizeof(*o));
    d->oversubscription = o;
    o->daemon = d;
    o->estimating.run = estimate;
    o->correcting.run = correct;
    int r = f->modules != NULL ? read_modules(o, f->modules, err) : 0;
    if (r == 0) {
        r = check(f, o, err);
    }
    if (r == 0 && f->resource_estimator != NULL) {
        estimate(&o->estimating, env_now(d->env));
    }
    if (r == 0 && f->qos_controller != NULL) {
        env_timer_set(d->env, &o->correcting, NS_PER_S);
    }
    return r;
}

void agent_oversubscribe_free(struct agent_daemon *d)
{
    struct agent_oversubscription *o = d->oversubscription;
    if (o != NULL) {
        env_timer_cancel(d->env, &o->estimating);
        env_timer_cancel(d->env, &o->correcting);
        resources_free(o->estimate);
        mem_free(o);
        d->oversubscription = NULL;
    }
}
