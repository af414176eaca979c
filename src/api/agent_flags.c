// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-agent: one table of those that have an effect, and one of those that Mesos has
// and that wait for their part of the agent. The latter are known, so that scripts that name them
// with their default go on to work, and so that any other value is refused clearly.

#include "api/agent_flags.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"

#define ROW(member, type, text, opts, help)                                                        \
    FLAG_ROW(struct agent_flags, member, #member, NULL, type, text, opts, help)

static const struct flag rows[] = {
    ROW(master, FLAG_TEXT, NULL, FLAG_REQUIRED | FLAG_FILE,
        "The master's host:port. Any master of the cluster will do: one that does not lead names "
        "the leader. Or where masters elect their leader: "
        "zk://[user:password@]host1:port1,host2:port2,.../path. May be file:///path of a file with "
        "the same in it."),
    ROW(zk_session_timeout, FLAG_DURATION, "10secs", 0,
        "How long ZooKeeper may hear nothing of this agent before it ends the session in which the "
        "agent looks for the master."),
    ROW(ip, FLAG_TEXT, NULL, 0,
        "The address to listen on and to tell others. Without it (and without LIBPROCESS_IP): all "
        "addresses, and the one that reaches the master is told."),
    ROW(port, FLAG_INT, "5051", 0, "The port to listen on."),
    ROW(advertise_ip, FLAG_TEXT, NULL, 0, "The address to tell others instead of the own one."),
    ROW(advertise_port, FLAG_INT, NULL, 0, "The port to tell others instead of the own one."),
    ROW(hostname, FLAG_TEXT, NULL, 0,
        "The host name to tell others. Without it: the name of the address."),
    ROW(hostname_lookup, FLAG_BOOL, "true", 0,
        "Whether the address is looked up to find the host name. If not, the address serves."),
    ROW(domain, FLAG_TEXT, NULL, FLAG_FILE,
        "The fault domain of this agent, as JSON: "
        "{\"fault_domain\":{\"region\":{\"name\":..},\"zone\":{\"name\":..}}}."),
    ROW(work_dir, FLAG_TEXT, NULL, FLAG_REQUIRED,
        "Where sandboxes lie. It must survive restarts; /tmp is no good place."),
    ROW(runtime_dir, FLAG_TEXT, NULL, 0,
        "Where the state of running containers lies, until the machine restarts. "
        "Without it: /var/run/mesos for root, else a folder in work_dir."),
    ROW(launcher_dir, FLAG_TEXT, NULL, 0,
        "Where mesos-executor, mesos-containerizer and the other helpers lie. Without it: beside "
        "this program, or in ../libexec/mesos from there."),
    ROW(launcher, FLAG_TEXT, NULL, 0,
        "How containers are started: linux (cgroups and namespaces) or posix. Without it: linux "
        "for root."),
    ROW(isolation, FLAG_TEXT, "posix/cpu,posix/mem", 0,
        "What holds containers to their resources, separated by commas: posix/cpu, posix/mem, "
        "cgroups/cpu, cgroups/mem. filesystem/linux mounts the volumes of containers, in a "
        "namespace of mounts of their own."),
    ROW(cgroups_hierarchy, FLAG_TEXT, "/sys/fs/cgroup", 0, "Where cgroups are mounted."),
    ROW(cgroups_root, FLAG_TEXT, "mesos", 0, "The cgroup beneath which containers get theirs."),
    ROW(cgroups_enable_cfs, FLAG_BOOL, "false", 0,
        "Hold containers to their cpus also while others are idle."),
    ROW(revocable_cpu_low_priority, FLAG_BOOL, "true", 0,
        "Give containers with revocable cpus a hundredth of the weight that others have when cpus "
        "are scarce (with cgroups/cpu)."),
    ROW(cgroups_limit_swap, FLAG_BOOL, "false", 0, "Limit memory and swap together."),
    ROW(cgroups_destroy_timeout, FLAG_DURATION, "60secs", 0,
        "How long the removal of a container's cgroup may take."),
    ROW(switch_user, FLAG_BOOL, "true", 0,
        "Run tasks as the user that their framework or command names, rather than as the agent's "
        "own. Needs root."),
    ROW(resources, FLAG_TEXT, NULL, FLAG_FILE,
        "What this agent offers: \"cpus:4;mem:1024;ports:[31000-32000]\" or a JSON array. What is "
        "not named is taken from the machine."),
    ROW(default_role, FLAG_TEXT, "*", 0,
        "The role for which resources are reserved that name none."),
    ROW(attributes, FLAG_TEXT, NULL, FLAG_FILE, "\"rack:2;u:1\": what frameworks may choose by."),
    ROW(gc_delay, FLAG_DURATION, "1weeks", 0,
        "How long a sandbox stays after its executor ended; shorter as the disk fills."),
    ROW(gc_disk_headroom, FLAG_DOUBLE, "0.1", 0,
        "The part of the disk that is kept free: the age allowed to sandboxes is "
        "gc_delay * max(0, 1 - gc_disk_headroom - usage)."),
    ROW(disk_watch_interval, FLAG_DURATION, "1mins", 0, "How often the disk's usage is looked at."),
    ROW(registration_backoff_factor, FLAG_DURATION, "1secs", 0,
        "The unit of the back-off between tries to register."),
    ROW(executor_registration_timeout, FLAG_DURATION, "1mins", 0,
        "How long an executor may take from its launch to its SUBSCRIBE."),
    ROW(executor_reregistration_timeout, FLAG_DURATION, "2secs", 0,
        "How long executors of checkpointing frameworks may take to come back to an agent that was "
        "started anew; what they are told in MESOS_SUBSCRIPTION_BACKOFF_MAX."),
    ROW(executor_shutdown_grace_period, FLAG_DURATION, "5secs", 0,
        "How long an executor may take to end after SHUTDOWN."),
    ROW(http_heartbeat_interval, FLAG_DURATION, "30secs", 0,
        "How often an open stream of a container's output is shown to be alive."),
    ROW(executor_environment_variables, FLAG_TEXT, NULL, FLAG_FILE,
        "A JSON object of variables. It replaces the agent's own environment, which executors "
        "inherit otherwise (but for MESOS_* and LIBPROCESS_*)."),
    ROW(recovery_timeout, FLAG_DURATION, "15mins", 0,
        "How long executors of checkpointing frameworks wait for their agent to come back: what "
        "they are told in MESOS_RECOVERY_TIMEOUT."),
    ROW(recover, FLAG_TEXT, "reconnect", 0,
        "What becomes of executors that a former agent left: reconnect (go on with them) or "
        "cleanup (end them, and then this agent: for an incompatible upgrade)."),
    ROW(strict, FLAG_BOOL, "true", 0,
        "Whether checkpoints that cannot be understood keep the agent from starting. Otherwise "
        "they are left out."),
    ROW(reconfiguration_policy, FLAG_TEXT, "equal", 0,
        "What may have changed since the former agent, so that its id and tasks are taken over: "
        "equal (nothing) or additive (more resources and attributes, and a first domain)."),
    ROW(max_completed_executors_per_framework, FLAG_SIZE, "150", 0,
        "How many ended executors of a framework are remembered."),
    ROW(max_event_stream_size, FLAG_BYTES, "64MB", 0,
        "How many bytes may wait to be read from the stream of events of one executor, or of "
        "somebody who reads a container's output. When it is more, the stream is closed."),
    ROW(fetcher_cache_dir, FLAG_TEXT, "/tmp/mesos/fetch", 0,
        "Where fetched files are cached, in one directory per agent."),
    ROW(fetcher_cache_size, FLAG_BYTES, "2GB", 0, "How large that cache may get."),
    ROW(fetcher_stall_timeout, FLAG_DURATION, "1mins", 0, "How long a download may stand still."),
    ROW(resource_estimator, FLAG_TEXT, NULL, 0,
        "What tells how much may be offered a second time, as revocable resources: "
        "org_apache_mesos_FixedResourceEstimator. How much, --modules says. Not given: nothing."),
    ROW(qos_controller, FLAG_TEXT, NULL, 0,
        "What takes down those who use revocable resources when there is too much to do: "
        "org_apache_mesos_LoadQoSController, with its thresholds in --modules."),
    ROW(qos_correction_interval_min, FLAG_DURATION, "0ns", 0,
        "The shortest time between two corrections; a second at least."),
    ROW(oversubscribed_resources_interval, FLAG_DURATION, "15secs", 0,
        "How often the estimator is asked. The master is told when its answer changed."),
    ROW(modules, FLAG_TEXT, NULL, FLAG_FILE,
        "Parameters of the two above, as JSON in Mesos' form: {\"libraries\":[{\"modules\":[{"
        "\"name\":..,\"parameters\":[{\"key\":\"resources\",\"value\":\"cpus:2\"}]}]}]}; the keys "
        "are "
        "resources, load_threshold_5min and load_threshold_15min. No other module can be loaded."),
    ROW(frameworks_home, FLAG_TEXT, "", 0, "Put before relative paths of URIs to fetch."),
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
    ROW(log_dir, FLAG_TEXT, NULL, 0, "Where log files go. Without it: none."),
    ROW(external_log_file, FLAG_TEXT, NULL, 0,
        "A file that someone else writes the log into, to be shown as /slave/log."),
};

// The n-th pending flag's value lies in pending[n].
#define PENDING(n, flag_name, flag_alias, flag_type, text)                                         \
    {                                                                                              \
        .name = (flag_name), .alias = (flag_alias), .type = (flag_type),                           \
        .offset = offsetof(struct agent_flags, pending) + sizeof(uint64_t) * (n),                  \
        .default_value = (text), .help = "No effect yet; only its default is accepted."            \
    }
#define PENDING_TEXT(n, name, text) PENDING(n, name, NULL, FLAG_TEXT, text)
#define PENDING_BOOL(n, name, text) PENDING(n, name, NULL, FLAG_BOOL, text)
#define PENDING_TIME(n, name, text) PENDING(n, name, NULL, FLAG_DURATION, text)

static const struct flag pending_rows[] = {
    PENDING_TEXT(0, "resource_provider_config_dir", NULL),
    PENDING_TEXT(1, "csi_plugin_config_dir", NULL),
    PENDING_TEXT(2, "disk_profile_adaptor", NULL),
    PENDING_TEXT(3, "image_providers", NULL),
    PENDING_TEXT(4, "image_provisioner_backend", NULL),
    PENDING_TEXT(5, "image_gc_config", NULL),
    PENDING_TEXT(6, "appc_simple_discovery_uri_prefix", "http://"),
    PENDING_TEXT(7, "appc_store_dir", "/tmp/mesos/store/appc"),
    PENDING_TEXT(8, "docker_registry", "https://registry-1.docker.io"),
    PENDING_TEXT(9, "docker_store_dir", "/tmp/mesos/store/docker"),
    PENDING_TEXT(10, "docker_volume_checkpoint_dir", "/var/run/mesos/isolators/docker/volume"),
    PENDING_BOOL(11, "docker_volume_chown", "false"),
    PENDING_BOOL(12, "docker_ignore_runtime", "false"),
    PENDING_TEXT(13, "hadoop_home", NULL),
    PENDING_TEXT(14, "volume_gid_range", NULL),
    PENDING_TIME(16, "authentication_backoff_factor", "1secs"),
    PENDING_TIME(17, "authentication_timeout_min", "5secs"),
    PENDING_TIME(18, "authentication_timeout_max", "1mins"),
    PENDING_TIME(19, "executor_reregistration_retry_interval", NULL),
    PENDING(20, "jwt_secret_key", "executor_secret_key", FLAG_TEXT, NULL),
    PENDING_BOOL(21, "gc_non_executor_container_sandboxes", "false"),
    PENDING_TEXT(22, "container_logger", NULL),
    PENDING_BOOL(26, "cgroups_cpu_enable_pids_and_tids_count", "false"),
    PENDING_TEXT(27, "cgroups_net_cls_primary_handle", NULL),
    PENDING_TEXT(28, "cgroups_net_cls_secondary_handles", NULL),
    PENDING_TEXT(29, "allowed_devices", NULL),
    PENDING(30, "agent_subsystems", "slave_subsystems", FLAG_TEXT, NULL),
    PENDING_TEXT(31, "host_path_volume_force_creation", NULL),
    PENDING_TEXT(32, "nvidia_gpu_devices", NULL),
    PENDING_TEXT(33, "perf_events", NULL),
    PENDING_TIME(34, "perf_interval", "60secs"),
    PENDING_TIME(35, "perf_duration", "10secs"),
    PENDING_BOOL(37, "systemd_enable_support", "true"),
    PENDING_TEXT(38, "systemd_runtime_directory", "/run/systemd/system"),
    PENDING(39, "effective_capabilities", "allowed_capabilities", FLAG_TEXT, NULL),
    PENDING_TEXT(40, "bounding_capabilities", NULL),
    PENDING(41, "default_container_shm_size", NULL, FLAG_BYTES, NULL),
    PENDING_BOOL(42, "disallow_sharing_agent_ipc_namespace", "false"),
    PENDING_BOOL(43, "disallow_sharing_agent_pid_namespace", "false"),
    PENDING_TEXT(44, "agent_features", NULL),
    PENDING_TEXT(46, "credential", NULL),
    PENDING_TEXT(47, "acls", NULL),
    PENDING_TEXT(48, "containerizers", "mesos"),
    PENDING_TEXT(49, "docker", "docker"),
    PENDING_TIME(50, "docker_remove_delay", "6hrs"),
    PENDING_BOOL(51, "docker_kill_orphans", "true"),
    PENDING_TEXT(52, "docker_mesos_image", NULL),
    PENDING_TEXT(53, "docker_socket", "/var/run/docker.sock"),
    PENDING_TEXT(54, "docker_config", NULL),
    PENDING_TEXT(55, "sandbox_directory", "/mnt/mesos/sandbox"),
    PENDING_TEXT(56, "domain_socket_location", NULL),
    PENDING_TEXT(57, "default_container_dns", NULL),
    PENDING_TEXT(58, "default_container_info", NULL),
    PENDING_TIME(59, "docker_stop_timeout", "0ns"),
    PENDING_TEXT(60, "network_cni_plugins_dir", NULL),
    PENDING_TEXT(61, "network_cni_config_dir", NULL),
    PENDING_BOOL(62, "network_cni_root_dir_persist", "false"),
    PENDING_BOOL(63, "network_cni_metrics", "true"),
    PENDING_TIME(64, "container_disk_watch_interval", "15secs"),
    PENDING_BOOL(65, "enforce_container_disk_quota", "false"),
    PENDING_TEXT(67, "modules_dir", NULL),
    PENDING_TEXT(68, "authenticatee", "crammd5"),
    PENDING_TEXT(69, "authorizer", "local"),
    PENDING_TEXT(70, "http_authenticators", NULL),
    PENDING_BOOL(71, "authenticate_http_readwrite", "false"),
    PENDING_BOOL(72, "authenticate_http_readonly", "false"),
    PENDING_BOOL(73, "authenticate_http_executors", "false"),
    PENDING_BOOL(74, "http_executor_domain_sockets", "false"),
    PENDING_TEXT(75, "http_credentials", NULL),
    PENDING_TEXT(76, "hooks", NULL),
    PENDING_TEXT(77, "secret_resolver", NULL),
    PENDING_TEXT(82, "master_detector", NULL),
    PENDING_TEXT(83, "seccomp_config_dir", NULL),
    PENDING_TEXT(84, "seccomp_profile_name", NULL),
    PENDING_BOOL(85, "http_command_executor", "false"),
    PENDING_TEXT(86, "ip6", NULL),
    PENDING_TEXT(89, "ip6_discovery_command", NULL),
    PENDING_BOOL(90, "memory_profiling", "false"),
    PENDING_BOOL(92, "initialize_driver_logging", "true"),
    PENDING_TEXT(93, "xfs_project_range", "[5000-10000]"),
    PENDING_BOOL(94, "xfs_kill_containers", "false"),
};

static const struct flag_table tables[] = {
    {rows, ARRAY_COUNT(rows)},
    {pending_rows, ARRAY_COUNT(pending_rows)},
};

size_t agent_flags_tables(const struct flag_table **ret_tables)
{
    *ret_tables = tables;
    return ARRAY_COUNT(tables);
}

void agent_flags_free(struct agent_flags *flags)
{
    flags_free(tables, ARRAY_COUNT(tables), flags);
}

// Whether the row's value is the one that it has without being given.
static bool is_default(const struct flag *row, const struct agent_flags *flags,
                       const struct agent_flags *defaults)
{
    struct buf value AUTO_BUF = BUF_INIT;
    struct buf expected AUTO_BUF = BUF_INIT;
    bool is_set = flag_put_value(row, flags, &value);
    bool is_expected = flag_put_value(row, defaults, &expected);
    return is_set == is_expected &&
           (!is_set || (value.size == expected.size &&
                        (value.size == 0 || memcmp(value.data, expected.data, value.size) == 0)));
}

static int check_pending(const struct agent_flags *flags, const bool *given, struct error *err)
{
    CHECK(ARRAY_COUNT(pending_rows) <= AGENT_FLAGS_PENDING_MAX);
    struct agent_flags defaults = {0};
    static const struct flag_table table = {pending_rows, ARRAY_COUNT(pending_rows)};
    char *no_arguments[] = {NULL, NULL};
    int r = flags_parse(&table, 1, &defaults, 0, no_arguments, NULL, "MESOS_", NULL, err);
    CHECK(r == 0);
    for (size_t i = 0; i < table.count && r == 0; i++) {
        if (given[i] && !is_default(&pending_rows[i], flags, &defaults)) {
            r = error_set(
                err, -ENOTSUP, "Flag '%s' is not supported yet; only its default %s%s%s",
                pending_rows[i].name, pending_rows[i].default_value != NULL ? "'" : "(unset)",
                pending_rows[i].default_value != NULL ? pending_rows[i].default_value : "",
                pending_rows[i].default_value != NULL ? "' is accepted" : " is accepted");
        }
    }
    flags_free(&table, 1, &defaults);
    return r;
}

static int check_values(const struct agent_flags *f, struct error *err)
{
    if (f->port < 0 || f->port > 65535 || f->advertise_port < 0 || f->advertise_port > 65535) {
        return error_set(err, -EINVAL, "Flag 'port' is not a port number");
    }
    if (f->max_event_stream_size < 1024) {
        return error_set(err, -EINVAL, "Flag 'max_event_stream_size' must be at least 1KB");
    }
    if (!(f->gc_disk_headroom >= 0.0 && f->gc_disk_headroom <= 1.0)) {
        return error_set(err, -EINVAL,
                         "Invalid value '%g' for --gc_disk_headroom. Must be between 0.0 and 1.0.",
                         f->gc_disk_headroom);
    }
    const struct {
        const char *name;
        int64_t value;
    } positive[] = {
        {"disk_watch_interval", f->disk_watch_interval},
        {"registration_backoff_factor", f->registration_backoff_factor},
        {"executor_registration_timeout", f->executor_registration_timeout},
    };
    for (size_t i = 0; i < ARRAY_COUNT(positive); i++) {
        if (positive[i].value <= 0) {
            return error_set(err, -EINVAL, "Flag '%s' must be more than nothing", positive[i].name);
        }
    }
    if (f->ip_discovery_command != NULL && f->ip != NULL) {
        return error_set(err, -EINVAL,
                         "Only one of `--ip` or `--ip_discovery_command` should be specified");
    }
    if (f->logbufsecs < 0) {
        return error_set(err, -EINVAL, "Flag 'logbufsecs' must not be negative");
    }
    if (f->http_heartbeat_interval < NS_PER_MS) {
        return error_set(err, -EINVAL, "Flag 'http_heartbeat_interval' must be at least 1ms");
    }
    if (f->gc_delay < 0 || f->executor_shutdown_grace_period < 0) {
        return error_set(err, -EINVAL,
                         "Flags 'gc_delay' and 'executor_shutdown_grace_period' "
                         "must not be negative");
    }
    if (strcmp(f->recover, "reconnect") != 0 && strcmp(f->recover, "cleanup") != 0) {
        return error_set(err, -EINVAL, "Flag 'recover' must be 'reconnect' or 'cleanup'");
    }
    if (strcmp(f->reconfiguration_policy, "equal") != 0 &&
        strcmp(f->reconfiguration_policy, "additive") != 0) {
        return error_set(err, -EINVAL,
                         "Flag 'reconfiguration_policy' must be 'equal' or 'additive'");
    }
    return 0;
}

// libprocess' variable stands in for --port.
static int apply_libprocess_port(struct agent_flags *flags, char *const environment[],
                                 const bool *given, struct error *err)
{
    static const char name[] = "LIBPROCESS_PORT=";
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (given[i] && strcmp(rows[i].name, "port") == 0) {
            return 0;
        }
    }
    for (; environment != NULL && *environment != NULL; environment++) {
        if (text_starts_with(*environment, name)) {
            int r = text_parse_i64(*environment + strlen(name), &flags->port, err);
            return r < 0 ? error_wrap(err, r, "LIBPROCESS_PORT") : 0;
        }
    }
    return 0;
}

int agent_flags_parse(struct agent_flags *flags, int argc, char *const argv[],
                      char *const environment[], struct error *err)
{
    AUTO_FREE bool *given = NULL;
    int r = flags_parse(tables, ARRAY_COUNT(tables), flags, argc, argv, environment, "MESOS_",
                        &given, err);
    if (r != 0) {
        return r;
    }
    r = check_pending(flags, given + ARRAY_COUNT(rows), err);
    if (r == 0) {
        r = apply_libprocess_port(flags, environment, given, err);
    }
    if (r == 0) {
        r = check_values(flags, err);
    }
    if (r != 0) {
        agent_flags_free(flags);
    }
    return r;
}
