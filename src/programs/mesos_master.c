// SPDX-License-Identifier: Apache-2.0
//
// mesos-master. SIGTERM and SIGINT end it.

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/master_server.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "master_flags.h"
#include "model/validate.h"
#include "store/store_threaded.h"
#include "store/store_zookeeper.h"
#include "whitelist.h"
#include "wire/wire.h"

// ---- who we are ----

// The address to tell: the one given, else the one that our own name has, else the loopback's.
static void find_ip(const struct master_flags *flags, char ret_ip[INET_ADDRSTRLEN])
{
    const char *given = flags->advertise_ip != NULL ? flags->advertise_ip : flags->ip;
    snprintf(ret_ip, INET_ADDRSTRLEN, "127.0.0.1");
    if (given != NULL && strcmp(given, "0.0.0.0") != 0) {
        snprintf(ret_ip, INET_ADDRSTRLEN, "%s", given);
        return;
    }
    char name[256];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (gethostname(name, sizeof(name)) != 0 || getaddrinfo(name, NULL, &hints, &found) != 0)
        return;
    const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)found->ai_addr;
    inet_ntop(AF_INET, &address->sin_addr, ret_ip, INET_ADDRSTRLEN);
    freeaddrinfo(found);
}

static void find_hostname(const struct master_flags *flags, const char *ip, char *ret_name,
                          size_t size)
{
    snprintf(ret_name, size, "%s", flags->hostname != NULL ? flags->hostname : ip);
    if (flags->hostname != NULL || !flags->hostname_lookup)
        return;
    struct sockaddr_in address = {.sin_family = AF_INET};
    char name[NI_MAXHOST];
    if (inet_pton(AF_INET, ip, &address.sin_addr) == 1 &&
        getnameinfo((const struct sockaddr *)&address, sizeof(address), name, sizeof(name), NULL, 0,
                    NI_NAMEREQD) == 0)
        snprintf(ret_name, size, "%s", name);
}

// ---- roles and weights ----

struct name_list {
    const char **names;
    size_t count;
};

// Splits "a,b" in place.
static struct name_list split(char *text)
{
    struct name_list list = {.names = mem_calloc(strlen(text) + 1, sizeof(char *))};
    char *rest;
    for (char *part = strtok_r(text, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        part = text_trim(part);
        if (part[0] != '\0')
            list.names[list.count++] = part;
    }
    return list;
}

static int check_roles(const struct name_list *roles, struct error *err)
{
    for (size_t i = 0; i < roles->count; i++) {
        int r = validate_role(roles->names[i], err);
        if (r < 0)
            return error_wrap(err, r, "--roles: '%s'", roles->names[i]);
    }
    return 0;
}

static int set_weight(struct master *core, const char *text, struct error *err)
{
    AUTO_FREE char *pair = mem_strdup(text);
    char *equals = strchr(pair, '=');
    if (equals == NULL)
        return error_set(err, -EINVAL,
                         "Invalid weight: '%s'. --weights should be of the form "
                         "'role=weight,role=weight'",
                         pair);
    *equals = '\0';
    double weight = 0;
    int r = validate_role(pair, err);
    if (r == 0)
        r = text_parse_double(equals + 1, &weight, err);
    if (r == 0 && !(weight > 0))
        r = error_set(err, -EINVAL, "Weights must be positive");
    if (r < 0)
        return error_wrap(err, r, "Invalid weight: '%s'", text);
    master_set_weight(core, pair, weight);
    return 0;
}

static int set_weights(struct master *core, const char *text, struct error *err)
{
    AUTO_FREE char *copy = mem_strdup(text != NULL ? text : "");
    struct name_list pairs = split(copy);
    int r = 0;
    for (size_t i = 0; i < pairs.count && r == 0; i++)
        r = set_weight(core, pairs.names[i], err);
    mem_free(pairs.names);
    return r;
}

// ---- running ----

static void on_signal(void *ctx, int number)
{
    log_info("Received signal %s, ending", number == SIGTERM ? "SIGTERM" : "SIGINT");
    env_stop(ctx, EXIT_SUCCESS);
}

// Somebody has moved the log files away.
static void on_hangup(void *ctx, int number)
{
    (void)ctx;
    (void)number;
    env_log_reopen();
    log_info("Opened the log files anew");
}

static void fill_core_options(const struct master_flags *flags, const struct name_list *roles,
                              struct master_options *core)
{
    master_options_init(core);
    if (flags->roles != NULL) {
        core->roles = roles->names;
        core->role_count = roles->count;
    }
    core->root_submissions = flags->root_submissions;
    core->allocation_interval_ns = flags->allocation_interval;
    core->min_allocatable_resources = flags->min_allocatable_resources;
    core->fair_sharing_excluded = flags->fair_sharing_excluded_resource_names;
    core->filter_gpu_resources = flags->filter_gpu_resources;
    core->role_sorter_random = strcmp(flags->role_sorter, "random") == 0;
    core->framework_sorter_random = strcmp(flags->framework_sorter, "random") == 0;
    core->demand_aware_shares = flags->demand_aware_shares;
    core->offer_packing = flags->offer_packing;
    core->allocator_agent_recovery_factor = flags->allocator_agent_recovery_factor;
    core->allocator_recovery_timeout_ns = flags->allocator_recovery_timeout;
    core->require_agent_domain = flags->require_agent_domain;
    core->constraints_memory_max = flags->offer_constraints_re2_max_mem;
    core->constraints_program_max = (size_t)flags->offer_constraints_re2_max_program_size;
    core->offer_timeout_ns = flags->offer_timeout;
    core->agent_ping_timeout_ns = flags->agent_ping_timeout;
    core->max_agent_ping_timeouts = flags->max_agent_ping_timeouts;
    core->agent_reregister_timeout_ns = flags->agent_reregister_timeout;
    // Both were looked at with all the flags.
    CHECK(master_flags_removal_limit(flags, &core->recovery_agent_removal_limit, NULL) == 0);
    CHECK(master_flags_removal_interval(flags, &core->agent_removal_interval_ns, NULL) == 0);
    core->registry_gc_interval_ns = flags->registry_gc_interval;
    core->registry_max_agent_age_ns = flags->registry_max_agent_age;
    core->registry_max_agent_count = flags->registry_max_agent_count;
    core->max_completed_frameworks = flags->max_completed_frameworks;
    core->max_completed_tasks_per_framework = flags->max_completed_tasks_per_framework;
    core->max_unreachable_tasks_per_framework = flags->max_unreachable_tasks_per_framework;
    core->publish_per_framework_metrics = flags->publish_per_framework_metrics;
    core->seed = env_random_u64();
}

static int read_domain(const struct master_flags *flags, struct arena *arena,
                       const Mesos__V1__DomainInfo **ret_domain, struct error *err)
{
    if (flags->domain == NULL)
        return 0;
    ProtobufCMessage *message;
    int r = wire_json_decode(&mesos__v1__domain_info__descriptor, arena, flags->domain,
                             strlen(flags->domain), &message, err);
    if (r < 0)
        return error_wrap(err, r, "Flag 'domain'");
    *ret_domain = (Mesos__V1__DomainInfo *)(void *)message;
    if ((*ret_domain)->fault_domain == NULL)
        return error_set(err, -EINVAL, "Flag 'domain': domain must be a fault domain");
    return 0;
}

static int read_rate_limits(const struct master_flags *flags, struct arena *arena,
                            const Mesos__V1__RateLimits **ret_limits, struct error *err)
{
    if (flags->rate_limits == NULL)
        return 0;
    ProtobufCMessage *message;
    int r = wire_json_decode(&mesos__v1__rate_limits__descriptor, arena, flags->rate_limits,
                             strlen(flags->rate_limits), &message, err);
    if (r == 0)
        r = master_check_rate_limits((Mesos__V1__RateLimits *)(void *)message, err);
    if (r < 0)
        return error_wrap(err, r, "Flag 'rate_limits'");
    *ret_limits = (Mesos__V1__RateLimits *)(void *)message;
    return 0;
}

static int serve(struct env *env, const struct master_flags *flags, struct store *store,
                 const struct name_list *roles, struct error *err)
{
    char ip[INET_ADDRSTRLEN], hostname[NI_MAXHOST];
    find_ip(flags, ip);
    find_hostname(flags, ip, hostname, sizeof(hostname));
    struct master_server_options options = {
        .env = env,
        .store = store,
        .listen_ip = flags->ip != NULL ? flags->ip : "0.0.0.0",
        .listen_port = (uint16_t)flags->port,
        .advertise_port = (uint16_t)flags->advertise_port,
        .zk = flags->zk,
        .zk_session_timeout_ns = flags->zk_session_timeout,
        .cluster = flags->cluster,
        .log_dir = flags->log_dir,
        .external_log_file = flags->external_log_file,
        .event_stream_count_max = flags->max_operator_event_stream_subscribers,
        .event_stream_size_max = flags->max_event_stream_size,
        .answers_size_max = flags->max_answers_size,
        .webui_dir = flags->webui_dir,
        .firewall_rules = flags->firewall_rules,
        .flag_values = flags,
    };
    options.flag_table_count = master_flags_tables(&options.flags);
    fill_core_options(flags, roles, &options.master);
    options.master.ip = ip;
    options.master.hostname = hostname;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct master_server *server;
    int r = read_domain(flags, arena, &options.master.domain, err);
    if (r == 0)
        r = read_rate_limits(flags, arena, &options.master.rate_limits, err);
    if (r == 0)
        r = master_server_new(&options, &server, err);
    if (r < 0)
        return r;
    struct whitelist *whitelist = NULL;
    if (flags->whitelist != NULL)
        whitelist = whitelist_new(env, server, flags->whitelist);
    r = set_weights(master_server_core(server), flags->weights, err);
    if (r == 0) {
        const Mesos__V1__MasterInfo *info = master_info(master_server_core(server));
        log_info("Master %s (%s) started on %s:%u", info->id, info->hostname, ip,
                 (unsigned)info->port);
        if (strcmp(flags->registry, "in_memory") == 0)
            log_info("The registry is in memory: it ends with this master");
        if (strncmp(ip, "127.", 4) == 0)
            log_warning("Master bound to loopback interface! Cannot communicate with remote "
                        "schedulers or agents. You might want to set '--ip' flag to a routable IP "
                        "address.");
        env_on_signal(env, SIGTERM, on_signal, env);
        env_on_signal(env, SIGINT, on_signal, env);
        env_on_signal(env, SIGHUP, on_hangup, NULL);
        r = env_run(env);
    }
    whitelist_free(whitelist);
    master_server_free(server);
    return r;
}

static int open_store(struct env *env, const struct master_flags *flags, struct store **ret_store,
                      struct error *err)
{
    if (strcmp(flags->registry, "in_memory") == 0) {
        *ret_store = store_memory_new();
        return 0;
    }
    if (flags->zk != NULL) {
        struct store_zookeeper_options options = {
            .url = flags->zk,
            .session_timeout_ns = flags->zk_session_timeout,
            .fetch_timeout_ns = flags->registry_fetch_timeout,
            .store_timeout_ns = flags->registry_store_timeout,
            .must_exist = !flags->log_auto_initialize,
        };
        int r = store_zookeeper_new(env, &options, ret_store, err);
        if (r == 0)
            log_info("The registry is kept in ZooKeeper");
        return r < 0 ? error_wrap(err, r, "--zk") : 0;
    }
    int r = path_make_directories(flags->work_dir, 0755, err);
    if (r < 0)
        return error_wrap(err, r, "Failed to make --work_dir");
    AUTO_FREE char *path = mem_printf("%s/registry.db", flags->work_dir);
    if (!flags->log_auto_initialize && access(path, F_OK) != 0)
        return error_set(err, -ENOENT,
                         "There is no registry at %s, and with --no-log_auto_initialize none is "
                         "made",
                         path);
    struct store_threaded_options options = {
        .path = path,
        .fetch_timeout_ns = flags->registry_fetch_timeout,
        .store_timeout_ns = flags->registry_store_timeout,
    };
    r = store_threaded_open(env, &options, ret_store, err);
    if (r < 0)
        return error_wrap(err, r, "Failed to open the registry");
    log_info("The registry is kept in %s", path);
    return 0;
}

static int run(struct master_flags *flags, struct error *err)
{
    mem_cache_begin();
    struct env *env;
    int r = env_new(&env, err);
    if (r < 0)
        return r;
    AUTO_FREE char *role_text = mem_strdup(flags->roles != NULL ? flags->roles : "");
    struct name_list roles = split(role_text);
    r = env_log_set_format(flags->log_format, err);
    if (r == 0)
        r = env_log_open("mesos-master", flags->log_dir, flags->quiet, flags->logging_level, err);
    if (r == 0)
        r = check_roles(&roles, err);
    if (r == 0)
        r = env_discover_ip(flags->ip_discovery_command, &flags->ip, err);
    struct store *store = NULL;
    if (r == 0)
        r = open_store(env, flags, &store, err);
    if (r == 0)
        r = serve(env, flags, store, &roles, err);
    store_free(store);
    mem_free(roles.names);
    env_free(env);
    env_log_close();
    return r;
}

int main(int argc, char *argv[])
{
    struct master_flags flags = {0};
    struct error err = {0};
    switch (master_flags_parse(&flags, argc, argv, environ, &err)) {
    case FLAGS_DONE:
        break;
    case FLAGS_HELP: {
        const struct flag_table *tables;
        size_t count = master_flags_tables(&tables);
        AUTO_BUF struct buf help = BUF_INIT;
        flags_put_help(tables, count, "mesos-master", &help);
        fputs(help.data, stdout);
        return EXIT_SUCCESS;
    }
    case FLAGS_VERSION:
        printf("mesos %s\n", MESOS_VERSION);
        return EXIT_SUCCESS;
    default:
        fprintf(stderr, "%s\n\nSee 'mesos-master --help'\n", err.text);
        return EXIT_FAILURE;
    }
    int r = run(&flags, &err);
    if (r < 0)
        fprintf(stderr, "mesos-master: %s\n", err.text);
    master_flags_free(&flags);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
