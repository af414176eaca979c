// SPDX-License-Identifier: Apache-2.0
//
// Whether an agent may go on under the id of an earlier one: --reconfiguration_policy.

#include <errno.h>
#include <string.h>

#include "agent/internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

#define PREFIX "Configuration change not permitted under 'additive' policy: "

static int check_equal(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now,
                       struct error *err)
{
    if (wire_is_equal(&before->base, &now->base)) {
        return 0;
    }
    struct buf text AUTO_BUF = BUF_INIT;
    buf_puts(&text, "Old agent info:\n");
    wire_json_encode(&before->base, &text);
    buf_puts(&text, "\nNew agent info:\n");
    wire_json_encode(&now->base, &text);
    log_error("%s", text.data);
    return error_set(err, -EINVAL, "Incompatible agent info detected: the log shows both");
}

static bool covers(const Mesos__V1__Value__Ranges *all, const Mesos__V1__Value__Range *part)
{
    for (size_t i = 0; i < all->n_range; i++) {
        if (all->range[i]->begin <= part->begin && part->end <= all->range[i]->end) {
            return true;
        }
    }
    return false;
}

static bool attribute_keeps(const Mesos__V1__Attribute *before, const Mesos__V1__Attribute *now)
{
    if (before->type != MESOS__V1__VALUE__TYPE__RANGES || now->type != before->type ||
        before->ranges == NULL || now->ranges == NULL) {
        return wire_is_equal(&before->base, &now->base);
    }
    for (size_t i = 0; i < before->ranges->n_range; i++) {
        if (!covers(now->ranges, before->ranges->range[i])) {
            return false;
        }
    }
    return true;
}

static int check_attributes(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now,
                            struct error *err)
{
    for (size_t i = 0; i < before->n_attributes; i++) {
        bool found = false, keeps = false;
        for (size_t k = 0; k < now->n_attributes && !found; k++) {
            found = strcmp(before->attributes[i]->name, now->attributes[k]->name) == 0;
            keeps = found && attribute_keeps(before->attributes[i], now->attributes[k]);
        }
        if (!keeps) {
            return error_set(err, -EINVAL,
                             found ? PREFIX "Value of attribute '%s' changed"
                                   : PREFIX "Couldn't find attribute '%s'",
                             before->attributes[i]->name);
        }
    }
    return 0;
}

static int check_additive(const struct agent *agent, const Mesos__V1__AgentInfo *before,
                          const Mesos__V1__AgentInfo *now, struct error *err)
{
    if (strcmp(before->hostname, now->hostname) != 0) {
        return error_set(err, -EINVAL, PREFIX "Hostname changed from %.64s to %.64s",
                         before->hostname, now->hostname);
    }
    if (before->port != now->port) {
        return error_set(err, -EINVAL, PREFIX "Port changed from %d to %d", before->port,
                         now->port);
    }
    if (before->domain != NULL &&
        (now->domain == NULL || !wire_is_equal(&before->domain->base, &now->domain->base))) {
        return error_set(err, -EINVAL, PREFIX "Domain changed");
    }
    struct resources *former AUTO_RESOURCES = NULL;
    int r = resources_from_proto(before->resources, before->n_resources, &former, err);
    if (r < 0) {
        return r;
    }
    if (!resources_contains(agent->total, former)) {
        struct buf old AUTO_BUF = BUF_INIT;
        struct buf new AUTO_BUF = BUF_INIT;
        resources_put_text(former, &old);
        resources_put_text(agent->total, &new);
        return error_set(err, -EINVAL, PREFIX "Resources decreased from %.60s to %.60s", old.data,
                         new.data);
    }
    return check_attributes(before, now, err);
}

int agent_check_compatible(const struct agent *agent, const Mesos__V1__AgentInfo *before,
                           bool is_additive, struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    Mesos__V1__AgentInfo *now = WIRE_COPY(arena, Mesos__V1__AgentInfo, agent->info);
    now->id = before->id;
    return is_additive ? check_additive(agent, before, now, err) : check_equal(before, now, err);
}
