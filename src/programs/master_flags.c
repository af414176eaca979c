// SPDX-License-Identifier: Apache-2.0

#include "master_flags.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"

#define ROW(member, type, text, options, help)                                                     \
    FLAG_ROW(struct master_flags, member, #member, NULL, type, text, options, help)
#define ALIAS(member, old, type, text, help)                                                       \
    FLAG_ROW(struct master_flags, member, #member, old, type, text, 0, help)

static const struct flag rows[] = {
    ROW(ip, FLAG_TEXT, NULL, 0, "The address to listen on. Not given: all, or LIBPROCESS_IP."),
    ROW(port, FLAG_INT, "5050", 0, "The port to listen on; 0 picks one."),
    ROW(advertise_ip, FLAG_TEXT, NULL, 0, "The address that clients and agents are told."),
    ROW(advertise_port, FLAG_INT, NULL, 0, "The port that clients and agents are told."),
    ROW(hostname, FLAG_TEXT, NULL, 0, "The name that clients are told. Not given: looked up."),
    ROW(hostname_lookup, FLAG_BOOL, "true", 0,
        "Whether to look up the name of the address; else the address itself is told."),
    ROW(work_dir, FLAG_TEXT, NULL, 0, "Where the registry is kept. Not needed for in_memory."),
    ROW(registry, FLAG_TEXT, "replicated_log", 0,
        "How the registry is kept. replicated_log: it outlives the master, with --zk in ZooKeeper "
        "(beneath log_replicas in its path), else in the SQLite file registry.db in --work_dir. "
        "in_memory: it ends with the master, and agents bring back what runs."),
    ROW(quorum, FLAG_SIZE, NULL, 0,
        "The number of registry replicas that make a majority. Needed with --zk, as in Mesos; "
        "what counts is the quorum of ZooKeeper's own servers."),
    ROW(registry_fetch_timeout, FLAG_DURATION, "1mins", 0,
        "How long reading the registry may take before the master ends."),
    ROW(registry_store_timeout, FLAG_DURATION, "20secs", 0,
        "How long writing to the registry may take before the master ends. While its disk is full "
        "it "
        "tries again and again, so long."),
    ROW(zk, FLAG_TEXT, NULL, 0,
        "Where masters elect their leader: zk://host1:port1,host2:port2,.../path, "
        "zk://user:password@host:port/path, or file:// and the path of a file that has it. Not "
        "given: this master is the only one."),
    ROW(zk_session_timeout, FLAG_DURATION, "10secs", 0,
        "How long ZooKeeper may hear nothing of this master before another one leads."),
    ROW(cluster, FLAG_TEXT, NULL, 0, "The cluster's name, for people."),
    ROW(roles, FLAG_TEXT, NULL, 0, "The only roles that frameworks may have, comma separated."),
    ROW(weights, FLAG_TEXT, NULL, 0, "\"role=weight,role=weight\": shares between roles."),
    ROW(root_submissions, FLAG_BOOL, "true", 0, "Whether frameworks may run as root."),
    ROW(allocation_interval, FLAG_DURATION, NULL, 0,
        "How long to wait between rounds of offers. Not given: what is free is offered at once."),
    ROW(min_allocatable_resources, FLAG_TEXT, "cpus:0.01|mem:32", 0,
        "What an offer must have at least: one of these sets of amounts."),
    ROW(fair_sharing_excluded_resource_names, FLAG_TEXT, NULL, 0,
        "Resources that do not count for shares, comma separated."),
    ROW(filter_gpu_resources, FLAG_BOOL, "true", 0,
        "Whether agents with GPUs are offered only to frameworks that ask for GPUs."),
    ALIAS(role_sorter, "user_sorter", FLAG_TEXT, "drf",
          "Who goes first among roles. drf: by weighted dominant share; random: by chance and "
          "weight."),
    ROW(framework_sorter, FLAG_TEXT, "drf", 0,
        "The same among the frameworks of a role: drf or random."),
    ROW(demand_aware_shares, FLAG_BOOL, "false", 0,
        "Not in Mesos. Whether a framework that declined everything three times in a row comes "
        "after "
        "those that take something, until it takes something itself or revives."),
    ROW(offer_packing, FLAG_BOOL, "false", 0,
        "Not in Mesos. Whether agents that are partly used are offered before those that are free, "
        "so that large tasks find room."),
    ROW(allocator_agent_recovery_factor, FLAG_DOUBLE, "0.80", 0,
        "After a failover, where roles have quotas, offers wait until that part of the registry's "
        "agents came back."),
    ROW(allocator_recovery_timeout, FLAG_DURATION, "10mins", 0, "But no longer than this."),
    ROW(whitelist, FLAG_TEXT, NULL, 0,
        "A file with a host name a line; only agents on these hosts are offered. It is read again "
        "every five seconds. A path, or file:// and a path. Not given: all agents are offered."),
    ROW(domain, FLAG_TEXT, NULL, FLAG_FILE,
        "The fault domain of this master, as JSON: "
        "{\"fault_domain\":{\"region\":{\"name\":..},\"zone\":{\"name\":..}}}. Agents of other "
        "regions "
        "are offered to frameworks with REGION_AWARE only; without it no agent may have one."),
    ROW(require_agent_domain, FLAG_BOOL, "false", 0,
        "Whether agents without a domain are refused."),
    ROW(offer_constraints_re2_max_mem, FLAG_BYTES, "4096B", 0,
        "How large a regular expression in offer constraints may be when it is compiled, and the "
        "work space of its matcher."),
    ROW(offer_constraints_re2_max_program_size, FLAG_INT, "100", 0,
        "How many steps a regular expression in offer constraints may have; eight bytes of its "
        "compiled form count as one."),
    ROW(offer_timeout, FLAG_DURATION, NULL, 0, "How long an offer stands. Not given: for ever."),
    ALIAS(agent_ping_timeout, "slave_ping_timeout", FLAG_DURATION, "15secs",
          "How long an agent may take to answer a ping."),
    ALIAS(max_agent_ping_timeouts, "max_slave_ping_timeouts", FLAG_SIZE, "5",
          "How many pings may go unanswered before an agent is unreachable."),
    ALIAS(
        agent_reregister_timeout, "slave_reregister_timeout", FLAG_DURATION, "10mins",
        "How long agents may take to come back, to a new master or after their connection broke."),
    ROW(min_agent_reregister_timeout, FLAG_DURATION, "10mins", 0,
        "The least that --agent_reregister_timeout may be. A flag of this master alone, for tests: "
        "agents wait longer and longer between their tries, and short timeouts lose them."),
    ALIAS(recovery_agent_removal_limit, "recovery_slave_removal_limit", FLAG_TEXT, "100%",
          "The percentage of the registry's agents that may stay away from a new master. When more "
          "do, the master ends rather than mark them unreachable."),
    ALIAS(agent_removal_rate_limit, "slave_removal_rate_limit", FLAG_TEXT, NULL,
          "How many silent agents may be marked unreachable in what time, as in 1/10mins. Not "
          "given: all at once."),
    ROW(registry_strict, FLAG_BOOL, "false", 0, "Refused when true, as in Mesos."),
    ROW(log_auto_initialize, FLAG_BOOL, "true", 0,
        "Whether a registry that is not there yet is made. Else the master ends when there is "
        "none: "
        "a wrong path is not taken for a new cluster."),
    ROW(registry_gc_interval, FLAG_DURATION, "15mins", 0,
        "How often the registry is looked through for unreachable agents to forget."),
    ROW(registry_max_agent_age, FLAG_DURATION, "2weeks", 0,
        "How long an unreachable agent is remembered."),
    ROW(registry_max_agent_count, FLAG_SIZE, "102400", 0,
        "Unreachable agents that are remembered; the oldest are forgotten first."),
    ROW(rate_limits, FLAG_TEXT, NULL, FLAG_FILE,
        "How many calls a second frameworks may make, by their principal, as JSON: "
        "{\"limits\":[{\"principal\":..,\"qps\":..,\"capacity\":..}], "
        "\"aggregate_default_qps\":.., \"aggregate_default_capacity\":..}. What comes too soon "
        "waits for its turn; beyond the capacity it is dropped, and the framework gets an ERROR. "
        "Without qps a principal is not limited; those not listed share the default."),
    ROW(max_completed_frameworks, FLAG_SIZE, "50", 0, "Ended frameworks that are remembered."),
    ROW(max_completed_tasks_per_framework, FLAG_SIZE, "1000", 0,
        "Ended tasks that are remembered, per framework."),
    ROW(max_unreachable_tasks_per_framework, FLAG_SIZE, "1000", 0,
        "Unreachable tasks that are remembered, per framework."),
    ROW(publish_per_framework_metrics, FLAG_BOOL, "true", 0,
        "Whether /metrics/snapshot has a set of numbers for each framework."),
    ROW(max_operator_event_stream_subscribers, FLAG_SIZE, "1000", 0,
        "Open streams of the operator API's SUBSCRIBE; for one more the oldest is closed."),
    ROW(max_event_stream_size, FLAG_BYTES, "64MB", 0,
        "How many bytes may wait to be read from the stream of events of one framework, or of the "
        "operator API. When it is more, the stream is closed: the framework is disconnected."),
    ROW(max_answers_size, FLAG_BYTES, "1GB", 0,
        "How many bytes of large answers (/state and the like) may wait to be read. When it is "
        "more, the next one is not made before others were read, and after ten seconds the "
        "connections that hold the oldest one are closed. A quarter of that much memory is kept "
        "for the next answer, until nobody has asked for ten seconds."),
    ROW(webui_dir, FLAG_TEXT, NULL, 0, "The dashboard's files. Not given: those built in."),
    ROW(firewall_rules, FLAG_TEXT, NULL, FLAG_FILE,
        "Endpoints that are not served, as JSON: {\"disabled_endpoints\":{\"paths\":["
        "\"/files/browse\"]}}. They answer 403, by whichever of their paths they are asked for."),
    ROW(ip_discovery_command, FLAG_TEXT, NULL, 0,
        "A command for the shell that prints the address to listen on. Not together with --ip."),
    ROW(quiet, FLAG_BOOL, "false", 0, "Do not log to standard error."),
    ROW(logging_level, FLAG_TEXT, "INFO", 0, "INFO, WARNING or ERROR: the least that is logged."),
    ROW(log_format, FLAG_TEXT, "text", 0,
        "text: lines as Mesos writes them; json: one object a line, with time, level, thread, "
        "file, "
        "line and message."),
    ROW(logbufsecs, FLAG_INT, "0", 0,
        "For how many seconds log lines may be held back at most. They are written at once, which "
        "keeps any promise; less than nothing is refused."),
    ROW(log_dir, FLAG_TEXT, NULL, 0, "Where log files are written. Not given: nowhere."),
    ROW(external_log_file, FLAG_TEXT, NULL, 0,
        "A log file that somebody else writes; readable as /master/log instead of that of "
        "--log_dir."),
};

#define PENDING(n, flag_name, flag_alias, flag_type, text)                                         \
    {                                                                                              \
        .name = (flag_name), .alias = (flag_alias), .type = (flag_type),                           \
        .offset = offsetof(struct master_flags, pending) + sizeof(uint64_t) * (n),                 \
        .default_value = (text), .help = "No effect yet; only its default is accepted."            \
    }
// One that will never have an effect, with the reason.
#define REFUSED(n, flag_name, why)                                                                 \
    {                                                                                              \
        .name = (flag_name), .type = FLAG_TEXT,                                                    \
        .offset = offsetof(struct master_flags, pending) + sizeof(uint64_t) * (n),                 \
        .help = REFUSED_PREFIX why                                                                 \
    }
#define REFUSED_PREFIX "Refused: "
#define NO_MODULES                                                                                 \
    "it names a class of a C++ module, which cannot be loaded here; masters elect their leader "   \
    "through ZooKeeper (--zk)"
#define PENDING_TEXT(n, name, text) PENDING(n, name, NULL, FLAG_TEXT, text)
#define PENDING_BOOL(n, name, text) PENDING(n, name, NULL, FLAG_BOOL, text)
#define PENDING_TIME(n, name, text) PENDING(n, name, NULL, FLAG_DURATION, text)

static const struct flag pending_rows[] = {
    PENDING(10, "authenticate_frameworks", "authenticate", FLAG_BOOL, "false"),
    PENDING(11, "authenticate_agents", "authenticate_slaves", FLAG_BOOL, "false"),
    PENDING_TIME(12, "authentication_v0_timeout", "15secs"),
    PENDING(13, "authenticate_http_readwrite", "authenticate_http", FLAG_BOOL, "false"),
    PENDING_BOOL(14, "authenticate_http_readonly", "false"),
    PENDING_BOOL(15, "authenticate_http_frameworks", "false"),
    PENDING_TEXT(16, "credentials", NULL),
    PENDING_TEXT(17, "acls", NULL),
    PENDING(20, "max_executors_per_agent", "max_executors_per_slave", FLAG_SIZE, NULL),
    PENDING_TEXT(21, "modules", NULL),
    PENDING_TEXT(22, "modules_dir", NULL),
    PENDING_TEXT(23, "authenticators", "crammd5"),
    PENDING_TEXT(24, "allocator", "hierarchical"),
    PENDING_TEXT(27, "hooks", NULL),
    PENDING_TEXT(28, "authorizers", "local"),
    PENDING_TEXT(29, "http_authenticators", "basic"),
    PENDING_TEXT(30, "http_framework_authenticators", NULL),
    REFUSED(32, "master_contender", NO_MODULES),
    REFUSED(33, "master_detector", NO_MODULES),
    PENDING_BOOL(34, "memory_profiling", "false"),
    PENDING_BOOL(42, "initialize_driver_logging", "true"),
};

static const struct flag_table tables[] = {
    {rows, ARRAY_COUNT(rows)},
    {pending_rows, ARRAY_COUNT(pending_rows)},
};

size_t master_flags_tables(const struct flag_table **ret_tables)
{
    *ret_tables = tables;
    return ARRAY_COUNT(tables);
}

void master_flags_free(struct master_flags *flags)
{
    flags_free(tables, ARRAY_COUNT(tables), flags);
}

static bool is_same_value(const struct flag *row, const struct master_flags *flags,
                          const struct master_flags *defaults)
{
    AUTO_BUF struct buf value = BUF_INIT;
    AUTO_BUF struct buf expected = BUF_INIT;
    bool is_set = flag_put_value(row, flags, &value);
    bool is_expected = flag_put_value(row, defaults, &expected);
    return is_set == is_expected &&
           (!is_set || text_is_equal(value.data != NULL ? value.data : "",
                                     expected.data != NULL ? expected.data : ""));
}

static int check_pending(const struct master_flags *flags, const bool *given, struct error *err)
{
    CHECK(ARRAY_COUNT(pending_rows) <= MASTER_FLAGS_PENDING_MAX);
    struct master_flags defaults = {0};
    static const struct flag_table table = {pending_rows, ARRAY_COUNT(pending_rows)};
    char *no_arguments[] = {NULL, NULL};
    int r = flags_parse(&table, 1, &defaults, 0, no_arguments, NULL, "MESOS_", NULL, err);
    CHECK(r == 0);
    for (size_t i = 0; i < table.count && r == 0; i++) {
        const struct flag *row = &pending_rows[i];
        if (!given[i] || is_same_value(row, flags, &defaults))
            continue;
        if (text_starts_with(row->help, REFUSED_PREFIX))
            r = error_set(err, -ENOTSUP, "--%s is not supported: %s", row->name,
                          row->help + strlen(REFUSED_PREFIX));
        else if (row->default_value == NULL)
            r = error_set(err, -ENOTSUP, "--%s is not supported yet", row->name);
        else
            r = error_set(err, -ENOTSUP,
                          "--%s is not supported yet with another value than its default '%s'",
                          row->name, row->default_value);
    }
    flags_free(&table, 1, &defaults);
    return r;
}

static int check_registry(const struct master_flags *f, struct error *err)
{
    if (strcmp(f->registry, "in_memory") == 0)
        return 0;
    if (strcmp(f->registry, "replicated_log") != 0)
        return error_set(err, -EINVAL, "'%s' is not a supported option for registry persistence",
                         f->registry);
    if (f->zk == NULL && (f->work_dir == NULL || f->work_dir[0] == '\0'))
        return error_set(err, -EINVAL, "--work_dir needed for replicated log based registry");
    if (f->zk != NULL && f->quorum == 0)
        return error_set(err, -EINVAL,
                         "Need to specify --quorum for replicated log based registry when using "
                         "ZooKeeper");
    if (f->registry_fetch_timeout <= 0 || f->registry_store_timeout <= 0)
        return error_set(err, -EINVAL,
                         "Flags 'registry_fetch_timeout' and 'registry_store_timeout' must be more "
                         "than nothing");
    return 0;
}

static int check_ip(const char *name, const char *ip, struct error *err)
{
    struct in_addr address;
    if (ip != NULL && inet_pton(AF_INET, ip, &address) != 1)
        return error_set(err, -EINVAL, "Flag '%s': '%s' is not an IPv4 address", name, ip);
    return 0;
}

static bool is_given(const bool *given, const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return given[i];
    }
    return false;
}

int master_flags_removal_limit(const struct master_flags *f, double *ret_part, struct error *err)
{
    const char *text = f->recovery_agent_removal_limit;
    size_t size = strlen(text);
    const char *wrong = NULL;
    double percent = 0;
    AUTO_FREE char *number = mem_strndup(text, size > 0 ? size - 1 : 0);
    if (size == 0 || text[size - 1] != '%')
        wrong = "missing '%'";
    else if (text_parse_double(number, &percent, NULL) < 0)
        wrong = "not a number";
    else if (percent < 0 || percent > 100)
        wrong = "Must be within [0%-100%]";
    if (wrong != NULL)
        return error_set(err, -EINVAL, "Invalid value '%s' for --recovery_agent_removal_limit: %s",
                         text, wrong);
    *ret_part = percent / 100;
    return 0;
}

int master_flags_removal_interval(const struct master_flags *f, int64_t *ret_ns, struct error *err)
{
    const char *text = f->agent_removal_rate_limit;
    *ret_ns = 0;
    if (text == NULL)
        return 0;
    const char *slash = strchr(text, '/');
    int64_t count = 0, duration = 0;
    AUTO_FREE char *first = mem_strndup(text, slash != NULL ? (size_t)(slash - text) : 0);
    if (slash == NULL || text_parse_i64(first, &count, NULL) < 0 ||
        text_parse_duration(slash + 1, &duration, NULL) < 0 || count <= 0 || duration <= 0)
        return error_set(err, -EINVAL,
                         "Invalid agent_removal_rate_limit: %s. Format is <Number of "
                         "agents>/<Duration>",
                         text);
    *ret_ns = duration / count;
    return 0;
}

static int check_recovery(const struct master_flags *f, struct error *err)
{
    if (f->min_agent_reregister_timeout <= 0)
        return error_set(err, -EINVAL,
                         "Flag 'min_agent_reregister_timeout' must be more than nothing");
    if (f->max_operator_event_stream_subscribers < 1)
        return error_set(err, -EINVAL,
                         "Invalid value for --max_operator_event_stream_subscribers: Must be at "
                         "least 1");
    if (f->max_event_stream_size < 1024)
        return error_set(err, -EINVAL, "Flag 'max_event_stream_size' must be at least 1KB");
    if (f->max_answers_size < 1024)
        return error_set(err, -EINVAL, "Flag 'max_answers_size' must be at least 1KB");
    if (f->agent_reregister_timeout < f->min_agent_reregister_timeout) {
        AUTO_BUF struct buf given = BUF_INIT;
        AUTO_BUF struct buf least = BUF_INIT;
        text_put_duration(&given, f->agent_reregister_timeout);
        text_put_duration(&least, f->min_agent_reregister_timeout);
        return error_set(err, -EINVAL,
                         "Invalid value '%s' for --agent_reregister_timeout: Must be at least %s",
                         given.data, least.data);
    }
    if (f->registry_strict)
        return error_set(err, -EINVAL,
                         "Support for '--registry_strict' has been disabled, in Mesos too: what an "
                         "agent brings back is always taken");
    double part;
    int64_t interval;
    int r = master_flags_removal_limit(f, &part, err);
    return r < 0 ? r : master_flags_removal_interval(f, &interval, err);
}

static int check_sorter(const char *name, const char *value, struct error *err)
{
    if (strcmp(value, "drf") != 0 && strcmp(value, "random") != 0)
        return error_set(err, -EINVAL, "Flag '%s': '%s' is none of drf, random", name, value);
    return 0;
}

static int check_allocator(const struct master_flags *f, struct error *err)
{
    int r = check_sorter("role_sorter", f->role_sorter, err);
    if (r == 0)
        r = check_sorter("framework_sorter", f->framework_sorter, err);
    if (r == 0 &&
        !(f->allocator_agent_recovery_factor >= 0 && f->allocator_agent_recovery_factor <= 1))
        r = error_set(err, -EINVAL,
                      "Flag 'allocator_agent_recovery_factor' must be between 0 and 1");
    if (r == 0 && f->allocator_recovery_timeout < 0)
        r = error_set(err, -EINVAL, "Flag 'allocator_recovery_timeout' must not be negative");
    if (r == 0 && (f->offer_constraints_re2_max_program_size < 0 ||
                   f->offer_constraints_re2_max_mem > 64 * 1024 * 1024))
        r = error_set(err, -EINVAL,
                      "Flags 'offer_constraints_re2_max_mem' and "
                      "'offer_constraints_re2_max_program_size' are out of bounds");
    return r;
}

static int check_values(const struct master_flags *f, const bool *given, struct error *err)
{
    int r = check_registry(f, err);
    if (r == 0 && is_given(given, "quorum") && f->quorum == 0)
        r = error_set(err, -EINVAL,
                      "Invalid value for --quorum: Must be at least 1, the majority of one master");
    if (r == 0 && (f->zk_session_timeout < NS_PER_S || f->zk_session_timeout > 3600 * NS_PER_S))
        r = error_set(err, -EINVAL, "Flag 'zk_session_timeout' must be from 1secs to 1hrs");
    if (r == 0)
        r = check_ip("ip", f->ip, err);
    if (r == 0)
        r = check_ip("advertise_ip", f->advertise_ip, err);
    if (r < 0)
        return r;
    if (f->port < 0 || f->port > 65535 || f->advertise_port < 0 || f->advertise_port > 65535)
        return error_set(err, -EINVAL, "Flag 'port' is not a port number");
    if (f->agent_ping_timeout < NS_PER_S || f->agent_ping_timeout > 900 * NS_PER_S)
        return error_set(err, -EINVAL,
                         "Expected `--agent_ping_timeout` to be between 1secs and 15mins");
    if (f->max_agent_ping_timeouts < 1)
        return error_set(err, -EINVAL, "Expected `--max_agent_ping_timeouts` to be at least 1");
    r = check_recovery(f, err);
    if (r == 0)
        r = check_allocator(f, err);
    if (r < 0)
        return r;
    if (f->registry_gc_interval <= 0 || f->registry_max_agent_age <= 0)
        return error_set(err, -EINVAL,
                         "Flags 'registry_gc_interval' and 'registry_max_agent_age' must be more "
                         "than nothing");
    if (f->allocation_interval < 0 || f->offer_timeout < 0)
        return error_set(err, -EINVAL,
                         "Flags 'allocation_interval' and 'offer_timeout' must not be negative");
    return 0;
}

static const char *find_variable(char *const environment[], const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, size) == 0 && environment[i][size] == '=')
            return environment[i] + size + 1;
    }
    return NULL;
}

static int take_port(char *const environment[], const char *variable, int64_t *port,
                     struct error *err)
{
    const char *text = find_variable(environment, variable);
    if (text == NULL)
        return 0;
    int r = text_parse_i64(text, port, err);
    return r < 0 ? error_wrap(err, r, "%s", variable) : 0;
}

// The process layer's variables, where the flag itself says nothing.
static int take_libprocess(struct master_flags *f, const bool *given, char *const environment[],
                           struct error *err)
{
    const char *ip = find_variable(environment, "LIBPROCESS_IP");
    if (!is_given(given, "ip") && ip != NULL)
        f->ip = mem_strdup(ip);
    const char *advertise = find_variable(environment, "LIBPROCESS_ADVERTISE_IP");
    if (!is_given(given, "advertise_ip") && advertise != NULL)
        f->advertise_ip = mem_strdup(advertise);
    int r = 0;
    if (!is_given(given, "port"))
        r = take_port(environment, "LIBPROCESS_PORT", &f->port, err);
    if (r == 0 && !is_given(given, "advertise_port"))
        r = take_port(environment, "LIBPROCESS_ADVERTISE_PORT", &f->advertise_port, err);
    return r;
}

int master_flags_parse(struct master_flags *flags, int argc, char *const argv[],
                       char *const environment[], struct error *err)
{
    AUTO_FREE bool *given = NULL;
    int r = flags_parse(tables, ARRAY_COUNT(tables), flags, argc, argv, environment, "MESOS_",
                        &given, err);
    if (r != 0)
        return r;
    r = check_pending(flags, given + ARRAY_COUNT(rows), err);
    if (r == 0)
        r = take_libprocess(flags, given, environment, err);
    if (r == 0)
        r = check_values(flags, given, err);
    if (r == 0 && flags->ip_discovery_command != NULL && is_given(given, "ip"))
        r = error_set(err, -EINVAL,
                      "Only one of `--ip` or `--ip_discovery_command` should be specified");
    if (r == 0 && flags->logbufsecs < 0)
        r = error_set(err, -EINVAL, "Flag 'logbufsecs' must not be negative");
    if (r != 0)
        master_flags_free(flags);
    return r;
}
