// SPDX-License-Identifier: Apache-2.0
//
// Quotas: UPDATE_QUOTA, and the older SET_QUOTA and REMOVE_QUOTA, which know guarantees only (they
// are the limits as well). What was asked for is checked against what was asked for before it;
// what is durable is shown, and is the allocator's.

#include <math.h>
#include <string.h>

#include "master/internal.h"
#include "master/quantities.h"

typedef Mesos__V1__Quota__QuotaConfig config_t;

static const char *quota_key(struct master *m, const char *role)
{
    return arena_printf(m->scratch, "quotas/%s", role);
}

// ---- quantities ----

static int64_t thousandths(const Mesos__V1__Value__Scalar *scalar)
{
    return llround(scalar->value * 1000);
}

static struct quantities guarantees_of(const config_t *config, struct arena *arena)
{
    struct quantities q = QUANTITIES_IN(arena);
    for (size_t i = 0; i < config->n_guarantees; i++)
        quantities_add(&q, config->guarantees[i]->key, thousandths(config->guarantees[i]->value));
    return q;
}

static struct quantities limits_of(const config_t *config, struct arena *arena)
{
    struct quantities q = QUANTITIES_IN(arena);
    for (size_t i = 0; i < config->n_limits; i++)
        quantities_add(&q, config->limits[i]->key, thousandths(config->limits[i]->value));
    return q;
}

// What the role and those below it use, and what is reserved to them without being used.
static struct quantities consumed_by(struct master *m, const char *role)
{
    struct quantities q = QUANTITIES_IN(m->scratch), used = QUANTITIES_IN(m->scratch);
    MAP_FOREACH (&m->frameworks, entry)
        quantities_add_allocated(&q, ((const struct framework *)entry->value)->used, role);
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        quantities_add_reserved(&q, a->total, role);
        quantities_add_reserved(&used, a->used, role);
    }
    quantities_add_all(&q, &used, -1);
    return q;
}

static struct quantities capacity_of(struct master *m)
{
    struct quantities q = QUANTITIES_IN(m->scratch);
    MAP_FOREACH (&m->agents, entry) {
        AUTO_RESOURCES struct resources *counted =
            resources_non_revocable(((const struct agent *)entry->value)->total);
        const char **names;
        size_t count = resources_scalar_names(counted, m->scratch, &names);
        for (size_t i = 0; i < count; i++)
            quantities_add(&q, names[i], resources_scalar(counted, names[i]));
    }
    return q;
}

// ---- records ----

static struct quota *quota_new(const config_t *config)
{
    struct quota *quota = mem_zalloc(sizeof(*quota));
    quota->arena = arena_new(512, 0);
    quota->config = WIRE_COPY(quota->arena, config_t, config);
    return quota;
}

static void quota_free(struct quota *quota)
{
    if (quota == NULL)
        return;
    arena_free(quota->arena);
    mem_free(quota);
}

static bool is_default(const config_t *config, struct arena *arena)
{
    struct quantities guarantees = guarantees_of(config, arena);
    for (size_t i = 0; i < guarantees.count; i++) {
        if (guarantees.list[i].amount != 0)
            return false;
    }
    return config->n_limits == 0;
}

static void keep(struct map *quotas, const config_t *config, struct arena *arena)
{
    quota_free(is_default(config, arena) ? map_remove(quotas, config->role)
                                         : map_put(quotas, config->role, quota_new(config)));
}

static void free_all(struct map *quotas)
{
    MAP_FOREACH (quotas, entry)
        quota_free(entry->value);
    map_free(quotas);
}

void master_quotas_free(struct master *m)
{
    free_all(&m->quotas);
    free_all(&m->quotas_wanted);
}

static size_t to_allocator(const struct quantities *q, struct arena *arena,
                           const struct allocator_quantity **ret)
{
    struct allocator_quantity *list = arena_calloc(arena, q->count + 1, sizeof(*list));
    for (size_t i = 0; i < q->count; i++)
        list[i] = (struct allocator_quantity){q->list[i].name, q->list[i].amount};
    *ret = list;
    return q->count;
}

// It is durable.
static void take_effect(struct master *m, const config_t *config)
{
    keep(&m->quotas, config, m->scratch);
    if (!map_has(&m->quotas, config->role)) {
        allocator_set_quota(m->allocator, config->role, NULL);
        return;
    }
    struct quantities guarantees = guarantees_of(config, m->scratch);
    struct quantities limits = limits_of(config, m->scratch);
    struct allocator_quota quota = {0};
    quota.guarantee_count = to_allocator(&guarantees, m->scratch, &quota.guarantees);
    quota.limit_count = to_allocator(&limits, m->scratch, &quota.limits);
    allocator_set_quota(m->allocator, config->role, &quota);
}

int master_quota_load(struct master *m, const config_t *config, struct error *err)
{
    int r = validate_role(config->role, err);
    if (r < 0)
        return r;
    keep(&m->quotas_wanted, config, m->scratch);
    take_effect(m, config);
    return 0;
}

// ---- the tree of roles ----

static void add_guarantees(struct quantities *sum, const struct map *quotas, const char *role)
{
    const struct quota *quota = map_get(quotas, role);
    if (quota == NULL)
        return;
    struct quantities own = guarantees_of(quota->config, sum->arena);
    quantities_add_all(sum, &own, 1);
}

// All roles with quota and their ancestors.
static void collect_nodes(const struct map *quotas, struct map *nodes)
{
    MAP_FOREACH (quotas, entry) {
        AUTO_FREE char *name = mem_strdup(entry->key);
        char *slash;
        do {
            map_put(nodes, name, nodes);
            slash = strrchr(name, '/');
            if (slash != NULL)
                *slash = '\0';
        } while (slash != NULL);
    }
}

static bool is_child(const char *role, const char *parent)
{
    size_t size = strlen(parent);
    return strncmp(role, parent, size) == 0 && role[size] == '/' &&
           strchr(role + size + 1, '/') == NULL;
}

// A parent's guarantees hold the sum of its children's.
static int check_node(struct master *m, const struct map *quotas, const struct map *nodes,
                      const char *node, struct error *err)
{
    struct quantities own = QUANTITIES_IN(m->scratch), children = QUANTITIES_IN(m->scratch);
    add_guarantees(&own, quotas, node);
    MAP_FOREACH (nodes, entry) {
        if (is_child(entry->key, node))
            add_guarantees(&children, quotas, entry->key);
    }
    if (quantities_contain(&own, &children))
        return 0;
    const char *slash = strrchr(node, '/');
    return error_set(err, -EINVAL,
                     "Invalid quota configuration. Parent role '%s' with guarantees (%s) does not "
                     "contain the sum of its children's guarantees (%s)",
                     slash != NULL ? slash + 1 : node, quantities_text(&own),
                     quantities_text(&children));
}

static int check_tree(struct master *m, const struct map *quotas, struct error *err)
{
    struct map nodes = MAP_INIT;
    collect_nodes(quotas, &nodes);
    int r = 0;
    MAP_FOREACH (&nodes, entry) {
        if (r == 0)
            r = check_node(m, quotas, &nodes, entry->key, err);
    }
    map_free(&nodes);
    return r;
}

static struct quantities total_guarantees(struct master *m, const struct map *quotas)
{
    struct quantities sum = QUANTITIES_IN(m->scratch);
    MAP_FOREACH (quotas, entry) {
        if (strchr(entry->key, '/') == NULL)
            add_guarantees(&sum, quotas, entry->key);
    }
    return sum;
}

// What quotas would be with these.
static struct map with_configs(struct master *m, config_t *const *configs, size_t count)
{
    struct map quotas = MAP_INIT;
    MAP_FOREACH (&m->quotas_wanted, entry)
        keep(&quotas, ((const struct quota *)entry->value)->config, m->scratch);
    for (size_t i = 0; i < count; i++)
        keep(&quotas, configs[i], m->scratch);
    return quotas;
}

// ---- changes on their way to the registry ----

struct change {
    struct write write;
    void *waiter;
    struct arena *arena;
    config_t **configs;
    size_t count;
};

static void change_free(struct change *change)
{
    arena_free(change->arena);
    mem_free(change);
}

static void drop(struct write *write)
{
    change_free(CONTAINER_OF(write, struct change, write));
}

// Offers that stand in the way, as far as can be told: of the role itself while it is above its
// limits, then of others until its guarantees could be met.
static void rescind_for(struct master *m, const config_t *config)
{
    struct quantities held = consumed_by(m, config->role);
    struct quantities limits = limits_of(config, m->scratch);
    struct quantities guarantees = guarantees_of(config, m->scratch);
    MAP_FOREACH (&m->frameworks, entry)
        quantities_add_allocated(&held, ((const struct framework *)entry->value)->offered,
                                 config->role);
    MAP_FOREACH (&m->offers, entry) {
        struct offer *o = entry->value;
        if (quantities_are_within(&held, &limits))
            break;
        if (!role_is_within(o->role, config->role))
            continue;
        struct quantities part = QUANTITIES_IN(m->scratch);
        quantities_add_allocated(&part, o->resources, NULL);
        quantities_add_all(&held, &part, -1);
        master_offer_rescind(o);
    }
    MAP_FOREACH (&m->offers, entry) {
        struct offer *o = entry->value;
        if (quantities_contain(&held, &guarantees))
            break;
        if (role_is_within(o->role, config->role))
            continue;
        quantities_add_allocated(&held, o->resources, NULL);
        master_offer_rescind(o);
    }
}

static void is_durable(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    struct master *m = write->master;
    for (size_t i = 0; i < change->count; i++)
        take_effect(m, change->configs[i]);
    for (size_t i = 0; i < change->count; i++)
        rescind_for(m, change->configs[i]);
    master_answer(m, change->waiter, 200, NULL);
    change_free(change);
}

// 0, or the status with its text.
static int write_configs(struct master *m, config_t *const *configs, size_t count, void *waiter,
                         struct error *err)
{
    struct master_item *items = arena_calloc(m->scratch, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++)
        items[i] = is_default(configs[i], m->scratch)
                       ? (struct master_item){.key = quota_key(m, configs[i]->role)}
                       : master_item_put(m, quota_key(m, configs[i]->role), &configs[i]->base);
    if (master_check_batch(items, count, err) < 0)
        return 400;
    struct change *change = mem_zalloc(sizeof(*change));
    change->waiter = waiter;
    change->write.done = is_durable;
    change->write.drop = drop;
    change->arena = arena_new(1024, 0);
    change->configs = arena_calloc(change->arena, count + 1, sizeof(*change->configs));
    for (size_t i = 0; i < count; i++) {
        change->configs[change->count++] = WIRE_COPY(change->arena, config_t, configs[i]);
        keep(&m->quotas_wanted, configs[i], m->scratch);
    }
    items[count] = master_capability_item(m, "QUOTA_V2", m->quotas_wanted.count > 0);
    master_write(m, &change->write, items, count + 1);
    return 0;
}

// ---- UPDATE_QUOTA ----

static int check_scalar(double value, struct error *err)
{
    switch (fpclassify(value)) {
    case FP_INFINITE:
        return error_set(err, -EINVAL, "Infinite values not supported");
    case FP_NAN:
        return error_set(err, -EINVAL, "NaN not supported");
    case FP_SUBNORMAL:
        return error_set(err, -EINVAL, "Subnormal values not supported");
    default:
        return value < 0 ? error_set(err, -EINVAL, "Negative values not supported") : 0;
    }
}

#define EXABYTE_IN_MEGABYTES (INT64_C(1024) * 1024 * 1024 * 1024)
#define OTHER_MAX (INT64_C(1000) * 1000 * 1000 * 1000)

// As amounts are shown.
static double to_thousandths(double value)
{
    return round(value * 1000) / 1000;
}

static int check_size(const char *member, const char *name, double value, struct error *err)
{
    bool is_bytes = strcmp(name, "mem") == 0 || strcmp(name, "disk") == 0;
    int64_t most = is_bytes ? EXABYTE_IN_MEGABYTES : OTHER_MAX;
    if (!(value > (double)most))
        return 0;
    return error_set(err, -EINVAL,
                     "Invalid 'QuotaConfig.%s': {'%s': %.15g} is invalid: values greater than 1 %s "
                     "(%lld) are not supported",
                     member, name, to_thousandths(value), is_bytes ? "exabyte" : "trillion",
                     (long long)most);
}

static int check_amounts(const config_t *config, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < config->n_guarantees && r == 0; i++)
        r = check_size("guarantees", config->guarantees[i]->key,
                       config->guarantees[i]->value->value, err);
    for (size_t i = 0; i < config->n_limits && r == 0; i++)
        r = check_size("limits", config->limits[i]->key, config->limits[i]->value->value, err);
    for (size_t i = 0; i < config->n_guarantees && r == 0; i++) {
        const char *name = config->guarantees[i]->key;
        double value = config->guarantees[i]->value->value;
        r = check_scalar(value, err);
        if (r < 0)
            error_wrap(err, r, "Invalid guarantee configuration {'%s': %.15g}", name,
                       to_thousandths(value));
    }
    for (size_t i = 0; i < config->n_limits && r == 0; i++) {
        const char *name = config->limits[i]->key;
        double value = config->limits[i]->value->value;
        r = check_scalar(value, err);
        if (r < 0)
            error_wrap(err, r, "Invalid limit configuration {'%s': %.15g}", name,
                       to_thousandths(value));
    }
    return r;
}

static int check_config(struct master *m, const config_t *config, struct error *err)
{
    struct error why;
    if (!master_role_is_allowed(m, config->role))
        return error_set(err, -EINVAL, "Invalid QuotaConfig: '%s' is not on the roles whitelist",
                         config->role);
    if (strchr(config->role, '/') != NULL)
        return error_set(err, -EINVAL, "Updating quota on nested role '%s' is not supported yet",
                         config->role);
    if (validate_role(config->role, &why) < 0)
        return error_set(err, -EINVAL, "Invalid QuotaConfig: Invalid 'QuotaConfig.role': %s",
                         why.text);
    if (check_amounts(config, &why) < 0)
        return error_set(err, -EINVAL, "Invalid QuotaConfig: %s", why.text);
    struct quantities guarantees = guarantees_of(config, m->scratch);
    struct quantities limits = limits_of(config, m->scratch);
    if (!quantities_are_within(&guarantees, &limits))
        return error_set(err, -EINVAL,
                         "Invalid QuotaConfig: 'QuotaConfig.guarantees' %s is not contained within "
                         "the 'QuotaConfig.limits' %s",
                         quantities_text(&guarantees), quantities_text(&limits));
    return 0;
}

static int check_consumption(struct master *m, const config_t *config, struct error *err)
{
    struct quantities limits = limits_of(config, m->scratch);
    struct quantities consumed = consumed_by(m, config->role);
    if (quantities_are_within(&consumed, &limits))
        return 0;
    return error_set(err, -EINVAL,
                     "Invalid QuotaConfig: Role '%s' is already consuming '%s'; this is more than "
                     "the requested limits '%s' (use 'force' flag to bypass this check)",
                     config->role, quantities_text(&consumed), quantities_text(&limits));
}

static int check_configs(struct master *m, config_t *const *configs, size_t count, bool force,
                         struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = check_config(m, configs[i], err);
    for (size_t i = 0; i < count && r == 0 && !force; i++)
        r = check_consumption(m, configs[i], err);
    if (r < 0)
        return r;
    struct map quotas = with_configs(m, configs, count);
    struct error why;
    struct quantities guaranteed = total_guarantees(m, &quotas), capacity = capacity_of(m);
    if (check_tree(m, &quotas, &why) < 0)
        r = error_set(err, -EINVAL, "Invalid QuotaConfig: %s", why.text);
    else if (!force && !quantities_contain(&capacity, &guaranteed))
        r = error_set(err, -EINVAL,
                      "Invalid QuotaConfig: total quota guarantees '%s' exceed cluster capacity "
                      "'%s' (use 'force' flag to bypass this check)",
                      quantities_text(&guaranteed), quantities_text(&capacity));
    free_all(&quotas);
    return r;
}

int master_update_quota(struct master *m, config_t *const *configs, size_t count, bool force,
                        void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    if (check_configs(m, configs, count, force, err) < 0)
        return 400;
    return write_configs(m, configs, count, waiter, err);
}

// ---- SET_QUOTA, REMOVE_QUOTA ----

#define SET_INVALID "Failed to validate set quota request: "

static int check_guarantee(const Mesos__V1__Quota__QuotaRequest *request, struct error *err)
{
    for (size_t i = 0; i < request->n_guarantee; i++) {
        const Mesos__V1__Resource *resource = request->guarantee[i];
        bool is_reserved = resource->n_reservations > 0 || resource->reservation != NULL ||
                           (resource->role != NULL && strcmp(resource->role, "*") != 0);
        if (is_reserved)
            return error_set(err, -EINVAL, "QuotaInfo must not contain any ReservationInfo");
        if (resource->disk != NULL)
            return error_set(err, -EINVAL, "QuotaInfo must not contain DiskInfo");
        if (resource->revocable != NULL)
            return error_set(err, -EINVAL, "QuotaInfo must not contain RevocableInfo");
        if (resource->type != MESOS__V1__VALUE__TYPE__SCALAR)
            return error_set(err, -EINVAL, "QuotaInfo must not include non-scalar resources");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(request->guarantee[k]->name, resource->name) == 0)
                return error_set(err, -EINVAL, "QuotaInfo contains duplicate resource name '%s'",
                                 resource->name);
        }
    }
    return 0;
}

static int check_request(struct master *m, const Mesos__V1__Quota__QuotaRequest *request,
                         struct error *err)
{
    struct error why;
    for (size_t i = 0; i < request->n_guarantee; i++) {
        if (resources_validate(request->guarantee[i], &why) < 0)
            return error_set(err, -EINVAL, SET_INVALID "QuotaInfo with invalid resource: %s",
                             why.text);
    }
    if (request->role == NULL)
        return error_set(err, -EINVAL, SET_INVALID "QuotaInfo must specify a role");
    if (validate_role(request->role, &why) < 0)
        return error_set(err, -EINVAL, SET_INVALID "QuotaInfo with invalid role: %s", why.text);
    if (request->n_guarantee == 0)
        return error_set(err, -EINVAL, SET_INVALID "QuotaInfo with empty 'guarantee'");
    if (check_guarantee(request, &why) < 0)
        return error_set(err, -EINVAL, SET_INVALID "%s", why.text);
    if (!master_role_is_allowed(m, request->role))
        return error_set(err, -EINVAL, SET_INVALID "Unknown role '%s'", request->role);
    if (map_has(&m->quotas_wanted, request->role))
        return error_set(err, -EINVAL,
                         SET_INVALID "Cannot set quota for role '%s' which already has quota",
                         request->role);
    return 0;
}

// The guarantee is the limit as well.
static config_t *make_config(struct arena *arena, const Mesos__V1__Quota__QuotaRequest *request)
{
    config_t *config =
        WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig, mesos__v1__quota__quota_config);
    config->role = request->role;
    config->guarantees = arena_calloc(arena, request->n_guarantee, sizeof(*config->guarantees));
    config->limits = arena_calloc(arena, request->n_guarantee, sizeof(*config->limits));
    for (size_t i = 0; i < request->n_guarantee; i++) {
        Mesos__V1__Quota__QuotaConfig__GuaranteesEntry *guarantee =
            WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__GuaranteesEntry,
                     mesos__v1__quota__quota_config__guarantees_entry);
        guarantee->key = request->guarantee[i]->name;
        guarantee->value = request->guarantee[i]->scalar;
        config->guarantees[config->n_guarantees++] = guarantee;
        Mesos__V1__Quota__QuotaConfig__LimitsEntry *limit =
            WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__LimitsEntry,
                     mesos__v1__quota__quota_config__limits_entry);
        limit->key = guarantee->key;
        limit->value = guarantee->value;
        config->limits[config->n_limits++] = limit;
    }
    return config;
}

static int check_set(struct master *m, const config_t *config, bool force, struct error *err)
{
    config_t *configs[] = {(config_t *)(uintptr_t)config};
    struct map quotas = with_configs(m, configs, 1);
    struct quantities guaranteed = total_guarantees(m, &quotas), capacity = capacity_of(m);
    struct error why;
    int status = 0;
    if (check_tree(m, &quotas, &why) < 0) {
        error_set(err, -EINVAL, SET_INVALID "%s", why.text);
        status = 400;
    } else if (strchr(config->role, '/') != NULL) {
        error_set(err, -EINVAL, "Setting quota on nested role '%s' is not supported yet",
                  config->role);
        status = 400;
    } else if (!force && !quantities_contain(&capacity, &guaranteed)) {
        error_set(err, -EINVAL,
                  "Quota guarantees overcommit the cluster (use 'force' to bypass this check): "
                  "Total quota guarantees '%s' exceed cluster capacity '%s'",
                  quantities_text(&guaranteed), quantities_text(&capacity));
        status = 409;
    }
    free_all(&quotas);
    return status;
}

int master_set_quota(struct master *m, const Mesos__V1__Quota__QuotaRequest *request, void *waiter,
                     struct instant now, struct error *err)
{
    master_enter(m, now);
    if (check_request(m, request, err) < 0)
        return 400;
    config_t *config = make_config(m->scratch, request);
    int status = check_set(m, config, request->has_force && request->force, err);
    if (status > 0)
        return status;
    return write_configs(m, &config, 1, waiter, err);
}

int master_remove_quota(struct master *m, const char *role, const char *where, void *waiter,
                        struct instant now, struct error *err)
{
    master_enter(m, now);
    const char *of = where != NULL ? arena_printf(m->scratch, " for path '%s'", where) : "";
    if (where != NULL && !master_role_is_allowed(m, role)) {
        error_set(err, -EINVAL, "Failed to validate remove quota request%s: Unknown role '%s'", of,
                  role);
        return 400;
    }
    if (!map_has(&m->quotas_wanted, role)) {
        error_set(err, -EINVAL, "Failed to remove quota%s: Role '%s' has no quota set", of, role);
        return 400;
    }
    config_t none = MESOS__V1__QUOTA__QUOTA_CONFIG__INIT;
    none.role = arena_strdup(m->scratch, role);
    config_t *configs[] = {&none};
    struct map quotas = with_configs(m, configs, 1);
    struct error why;
    int r = check_tree(m, &quotas, &why);
    free_all(&quotas);
    if (r < 0) {
        error_set(err, -EINVAL, "Failed to remove quota%s: %s", of, why.text);
        return 400;
    }
    return write_configs(m, configs, 1, waiter, err);
}
