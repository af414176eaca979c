// SPDX-License-Identifier: Apache-2.0
//
// mesos-agent (also installed as mesos-slave). SIGUSR1: the agent unregisters, asks its executors
// to shut down, kills those that do not within their grace period, and ends; a second one: no more
// grace. SIGTERM and SIGINT: it ends at once, as for an upgrade; executors of frameworks that
// checkpoint go on, and the next agent finds them. SIGHUP: log files are opened anew.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/agent_daemon.h"
#include "base/buf.h"
#include "base/log.h"

static void on_signal(void *ctx, int signal)
{
    if (signal == SIGUSR1) {
        agent_daemon_shutdown(ctx, "Received SIGUSR1 signal");
    } else {
        agent_daemon_leave(ctx, signal == SIGTERM ? "Received SIGTERM signal"
                                                  : "Received SIGINT signal");
    }
}

static void on_hangup(void *ctx, int signal)
{
    (void)ctx;
    (void)signal;
    env_log_reopen();
    log_info("Opened the log files anew");
}

static int run(struct agent_flags *flags, struct error *err)
{
    struct env *env;
    int r = env_new(&env, err);
    if (r < 0) {
        return r;
    }
    r = env_log_set_format(flags->log_format, err);
    if (r == 0) {
        r = env_log_open("mesos-agent", flags->log_dir, flags->quiet, flags->logging_level, err);
    }
    if (r == 0) {
        r = env_discover_ip(flags->ip_discovery_command, &flags->ip, err);
    }
    struct agent_daemon *daemon = NULL;
    if (r == 0) {
        r = agent_daemon_new(env, flags, &daemon, err);
    }
    if (r == 0) {
        env_on_signal(env, SIGTERM, on_signal, daemon);
        env_on_signal(env, SIGINT, on_signal, daemon);
        env_on_signal(env, SIGUSR1, on_signal, daemon);
        env_on_signal(env, SIGHUP, on_hangup, NULL);
        r = env_run(env);
    }
    agent_daemon_free(daemon);
    env_free(env);
    env_log_close();
    return r;
}

static void print_help(FILE *file)
{
    const struct flag_table *tables;
    size_t count = agent_flags_tables(&tables);
    struct buf help AUTO_BUF = BUF_INIT;
    flags_put_help(tables, count, "mesos-agent", &help);
    fputs(help.data, file);
}

int main(int argc, char *argv[])
{
    struct agent_flags flags = {0};
    struct error err = {0};
    switch (agent_flags_parse(&flags, argc, argv, environ, &err)) {
    case FLAGS_DONE:
        break;
    case FLAGS_HELP:
        print_help(stdout);
        return EXIT_SUCCESS;
    case FLAGS_VERSION:
        printf("mesos %s\n", MESOS_VERSION);
        return EXIT_SUCCESS;
    default:
        fprintf(stderr, "%s\n\nSee 'mesos-agent --help'\n", err.text);
        return EXIT_FAILURE;
    }
    int r = run(&flags, &err);
    if (r < 0) {
        fprintf(stderr, "mesos-agent: %s\n", err.text);
    }
    agent_flags_free(&flags);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
