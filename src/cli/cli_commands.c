// SPDX-License-Identifier: Apache-2.0
//
// The commands. Parser, help, completion and docs/cli.md come from here.

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

const struct cli_group cli_groups[] = {
    {"agent", "The machines of the cluster: look at them, drain them, take them out."},
    {"framework", "Who runs tasks here, and why they get the offers they get."},
    {"task", "What runs: its state, output, files; a shell beside it."},
    {"role", "The roles that share the cluster."},
    {"quota", "What a role is guaranteed, and what it may use at most."},
    {"weight", "How big a role's fair share is, next to others'."},
    {"maintenance", "Announce when machines will be away, take them down, bring them back."},
    {"offer", "What is offered at the moment."},
};
const size_t cli_group_count = ARRAY_COUNT(cli_groups);

const struct cli_flag cli_global_flags[] = {
    {'m', "master", "MASTER",
     "HOST[:PORT], several with commas between, or zk://HOST:PORT,.../PATH; unless given: "
     "$MESOS_MASTER, then the configuration file, then localhost:5050.",
     NULL, CLI_TEXT},
    {'o', "output", "FORMAT", "table, or json for scripts.", "table json", CLI_CHOICE},
    {'q', "quiet", NULL, "Only ids, one a line; of operations, nothing.", NULL, 0},
    {'h', "help", NULL, "Explain the command, with examples.", NULL, 0},
    {0, NULL, NULL, NULL, NULL, 0},
};

#define ONE(word, what)                                                                            \
    {                                                                                              \
        .name = (word), .kind = (what)                                                             \
    }
#define OPTIONAL(word, what)                                                                       \
    {                                                                                              \
        .name = (word), .kind = (what), .is_optional = true                                        \
    }
#define MANY(word, what, optional)                                                                 \
    {                                                                                              \
        .name = (word), .kind = (what), .is_optional = (optional), .is_many = true                 \
    }
#define YES                                                                                        \
    {                                                                                              \
        'y', "yes", NULL, "Do not ask.", NULL, 0                                                   \
    }
#define FRAMEWORK_FLAG                                                                             \
    {                                                                                              \
        'f', "framework", "ID", "Only tasks of this framework.", NULL, CLI_FRAMEWORK               \
    }
#define OF_FRAMEWORK                                                                               \
    {                                                                                              \
        0, "framework", "ID",                                                                      \
            "The framework whose task it is, where several have one of that id.", NULL,            \
            CLI_FRAMEWORK                                                                          \
    }
#define AT_AGENT                                                                                   \
    {                                                                                              \
        'a', "agent", "AGENT", "Ask this agent instead of the master.", NULL, CLI_AGENT            \
    }

const struct cli_command cli_commands[] = {
    // ---- agent ----
    {.group = "agent",
     .name = "list",
     .summary = "List the agents.",
     .help = "Shows what each agent has and what is allocated of it, and whether it is active.",
     .examples = {{"agent list", "all agents"},
                  {"agent list -q", "their ids"},
                  {"agent list -o json", "everything the master knows, one agent a line"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_agent_list},
    {.group = "agent",
     .name = "info",
     .summary = "Show one agent, and the tasks on it.",
     .help = "AGENT is an id, the beginning of one, its last part (S3), or a hostname.",
     .words = {ONE("AGENT", CLI_AGENT)},
     .examples = {{"agent info S3", "by the last part of its id"},
                  {"agent info node7.example.org -o json", "by its hostname, for a script"}},
     .has_output = true,
     .run = cli_agent_info},
    {.group = "agent",
     .name = "drain",
     .summary = "Kill an agent's tasks and keep new ones away.",
     .help = "No offers are made of the agent any more, and its tasks are killed. It stays so "
             "until `mesos agent reactivate`. `mesos agent info` tells when it is drained.",
     .words = {ONE("AGENT", CLI_AGENT)},
     .flags = {{'g', "grace", "DURATION", "The longest that a task gets to end by itself.", NULL,
                0},
               {0, "mark-gone", NULL,
                "Afterwards mark the agent as gone for good, as `agent gone` does.", NULL, 0}},
     .examples = {{"agent drain S3", "each task gets the grace period that it asked for"},
                  {"agent drain S3 --grace=2mins", "but no task more than two minutes"},
                  {"agent drain S3 --mark-gone", "the machine will not come back"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_agent_drain},
    {.group = "agent",
     .name = "deactivate",
     .summary = "Make no offers of an agent; its tasks go on.",
     .help = "It stays so, also over a failover, until `mesos agent reactivate`.",
     .words = {ONE("AGENT", CLI_AGENT)},
     .examples = {{"agent deactivate S3", "no new tasks there"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_agent_deactivate},
    {.group = "agent",
     .name = "reactivate",
     .summary = "Undo drain or deactivate.",
     .help = "The agent's resources are offered again.",
     .words = {ONE("AGENT", CLI_AGENT)},
     .examples = {{"agent reactivate S3", "back into service"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_agent_reactivate},
    {.group = "agent",
     .name = "gone",
     .summary = "Say that an agent will never come back.",
     .help = "Its tasks are TASK_GONE_BY_OPERATOR at once, its id is never admitted again, and "
             "an agent process that still has it is told to shut down. This cannot be undone. An "
             "agent that is unreachable is named by its whole id.",
     .words = {ONE("AGENT", CLI_AGENT)},
     .flags = {YES},
     .examples = {{"agent gone S3", "asks first"}, {"agent gone S3 --yes", "in a script"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_agent_gone},
    // ---- framework ----
    {.group = "framework",
     .name = "list",
     .summary = "List the frameworks.",
     .help = "With --all also those that have ended, as long as the master remembers them.",
     .flags = {{'a', "all", NULL, "Those that have ended, too.", NULL, 0}},
     .examples = {{"framework list", "who is registered"},
                  {"framework list --all -o json", "who was, for a script"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_framework_list},
    {.group = "framework",
     .name = "info",
     .summary = "Show one framework, and its tasks.",
     .help = "FRAMEWORK is an id, the beginning of one, its last part (0002), or a name.",
     .words = {ONE("FRAMEWORK", CLI_FRAMEWORK)},
     .examples = {{"framework info marathon", "by its name"},
                  {"framework info 0002 -o json", "by the last part of its id, for a script"}},
     .has_output = true,
     .run = cli_framework_info},
    {.group = "framework",
     .name = "teardown",
     .summary = "End a framework and kill all of its tasks.",
     .help = "The framework is told that it was removed, and cannot register again with its id.",
     .words = {ONE("FRAMEWORK", CLI_FRAMEWORK)},
     .flags = {YES},
     .examples = {{"framework teardown 0002", "asks first"},
                  {"framework teardown 0002 --yes", "in a script"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_framework_teardown},
    {.group = "framework",
     .name = "why",
     .summary = "Explain why a framework gets the offers it gets, and no others.",
     .help = "For each of its roles: where it stands in the order of shares, and for each group "
             "of agents what keeps them from being offered to it. Then its latest offers.",
     .words = {ONE("FRAMEWORK", CLI_FRAMEWORK)},
     .examples = {{"framework why marathon", "in words"},
                  {"framework why marathon -o json", "all figures"}},
     .has_output = true,
     .run = cli_framework_why},
    // ---- task ----
    {.group = "task",
     .name = "list",
     .summary = "List tasks.",
     .help = "Without flags, those that have not ended. The master remembers a number of ended "
             "tasks of each framework.",
     .flags = {{'a', "all", NULL, "Those that have ended, too.", NULL, 0},
               {'s', "state", "STATE", "Only tasks in this state, ended or not.",
                "staging starting running killing finished failed killed error lost dropped "
                "unreachable gone gone_by_operator unknown",
                CLI_CHOICE},
               FRAMEWORK_FLAG,
               {0, "agent", "AGENT", "Only tasks on this agent.", NULL, CLI_AGENT}},
     .examples = {{"task list", "what runs"},
                  {"task list --state=failed --framework=marathon", "what went wrong there"},
                  {"task list --agent=S3 -q", "ids of the tasks on an agent"},
                  {"task list --all -o json", "everything, one task a line"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_task_list},
    {.group = "task",
     .name = "info",
     .summary = "Show one task: its states, where it runs, what it uses.",
     .help = "TASK is an id, the beginning of one, or a name.",
     .words = {ONE("TASK", CLI_TASK)},
     .flags = {OF_FRAMEWORK},
     .examples = {{"task info web.5", "by the beginning of its id"},
                  {"task info web.5 -o json", "the master's message"}},
     .has_output = true,
     .run = cli_task_info},
    {.group = "task",
     .name = "logs",
     .summary = "Print what a task has written.",
     .help = "Its standard output, or another file of its sandbox. With --follow goes on as the "
             "file grows, until the task has ended. Where the agent cannot be reached, the "
             "master passes its files on.",
     .words = {ONE("TASK", CLI_TASK)},
     .flags = {{'f', "follow", NULL, "Go on while the file grows.", NULL, 0},
               {'n', "lines", "NUMBER", "Begin with this many of its last lines.", NULL, 0},
               {'e', "stderr", NULL, "Its standard error.", NULL, 0},
               {0, "file", "PATH", "A file of its sandbox.", NULL, 0},
               OF_FRAMEWORK},
     .examples = {{"task logs web.5", "all of its standard output"},
                  {"task logs -f -n 20 web.5", "the last 20 lines, and what comes"},
                  {"task logs --stderr web.5", "its standard error"},
                  {"task logs --file=log/access.log web.5", "a file that it wrote"}},
     .run = cli_task_logs},
    {.group = "task",
     .name = "files",
     .summary = "List the files of a task's sandbox, or fetch one.",
     .help = "PATH is a directory within the sandbox; --get writes a file's bytes, as they are, to "
             "standard output.",
     .words = {ONE("TASK", CLI_TASK), OPTIONAL("PATH", CLI_TEXT)},
     .flags = {{'g', "get", NULL, "Write the file PATH to standard output.", NULL, 0},
               OF_FRAMEWORK},
     .examples = {{"task files web.5", "what lies in its sandbox"},
                  {"task files web.5 log", "in a directory of it"},
                  {"task files web.5 core.gz --get > core.gz", "fetch a file"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_task_files},
    {.group = "task",
     .name = "exec",
     .summary = "Run a command inside a running task's container.",
     .help = "The command sees the task's files, environment and limits; it is no shell line: give "
             "`sh -c '...'` for one. Flags stand before TASK. The exit status is the command's, "
             "128 + N when signal N ended it, and 125 when it could not be run. The command ends "
             "when this program does. The agent must be reachable from here.",
     .words = {ONE("TASK", CLI_TASK), MANY("COMMAND", CLI_TEXT, false)},
     .flags = {{'i', "interactive", NULL, "Pass standard input on.", NULL, 0},
               {'t', "tty", NULL, "Give the command a terminal.", NULL, 0},
               OF_FRAMEWORK},
     .examples = {{"task exec web.5 ps aux", "one command"},
                  {"task exec -it web.5 bash", "a shell"},
                  {"task exec -i web.5 sh -c 'cat > in.sql' < dump.sql", "bring a file in"}},
     .passes_rest = true,
     .run = cli_task_exec},
    {.group = "task",
     .name = "attach",
     .summary = "Attach to the terminal or the session of a running task.",
     .help = "Shows what the task writes from now on and passes standard input on. Only tasks that "
             "were launched with a terminal (tty_info) can be attached to; of others `task logs` "
             "shows the output. ctrl-p ctrl-q detaches and leaves the task running. --container "
             "names a container inside the task's, such as another one's `task exec`.",
     .words = {ONE("TASK", CLI_TASK)},
     .flags = {{0, "no-stdin", NULL, "Only look.", NULL, 0},
               {0, "container", "ID", "A container nested in the task's.", NULL, 0},
               OF_FRAMEWORK},
     .examples = {{"task attach repl", "until ctrl-p ctrl-q"},
                  {"task attach --no-stdin repl", "only look"}},
     .run = cli_task_attach},
    {.group = "task",
     .name = "kill",
     .summary = "Kill a task's container.",
     .help =
         "Mesos lets only a task's own framework kill it gracefully. What an operator can do is "
         "kill its container at its agent: no grace period, and the framework is told that the "
         "task failed, so it may well launch it again. Of a pod's task that is its nested "
         "container. Of any other task it is the executor's container, and all tasks of that "
         "executor end with it. Use `framework teardown` to end a framework for good, `agent "
         "drain` to move tasks away.",
     .words = {ONE("TASK", CLI_TASK)},
     .flags = {OF_FRAMEWORK, YES},
     .examples = {{"task kill web.5", "asks first"}, {"task kill web.5 --yes", "in a script"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_task_kill},
    // ---- roles, quotas, weights ----
    {.group = "role",
     .name = "list",
     .summary = "List the roles: weights, frameworks, what they use, quotas.",
     .help = "Roles that a framework is subscribed in, that use something, or that have a weight "
             "or a quota.",
     .examples = {{"role list", "all of them"}, {"role list -o json", "for a script"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_role_list},
    {.group = "quota",
     .name = "list",
     .summary = "List the quotas.",
     .help = "Guarantees are kept free for a role; limits are the most that it gets.",
     .examples = {{"quota list", "all of them"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_quota_list},
    {.group = "quota",
     .name = "set",
     .summary = "Set a role's quota.",
     .help = "Takes the place of the quota that the role had. A guarantee that the cluster cannot "
             "hold is refused unless --force is given.",
     .words = {ONE("ROLE", CLI_ROLE)},
     .flags = {{'g', "guarantee", "RESOURCES", "What is kept for the role.", NULL, 0},
               {'l', "limit", "RESOURCES", "The most that it gets.", NULL, 0},
               {0, "force", NULL, "Do not check whether the cluster can hold it.", NULL, 0}},
     .examples = {{"quota set prod --guarantee='cpus:20;mem:65536'", "20 cpus, 64 GB"},
                  {"quota set dev --limit='cpus:8'", "no more than 8 cpus"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_quota_set},
    {.group = "quota",
     .name = "remove",
     .summary = "Remove a role's quota.",
     .help = "Neither guarantee nor limit is left.",
     .words = {ONE("ROLE", CLI_ROLE)},
     .examples = {{"quota remove dev", "as if there had never been one"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_quota_remove},
    {.group = "weight",
     .name = "list",
     .summary = "List the weights that were set.",
     .help = "Every other role weighs 1.",
     .examples = {{"weight list", "all of them"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_weight_list},
    {.group = "weight",
     .name = "set",
     .summary = "Set a role's weight.",
     .help = "A role of weight 2 gets twice the share of one of weight 1, when both want more than "
             "there is.",
     .words = {ONE("ROLE", CLI_ROLE), ONE("WEIGHT", CLI_TEXT)},
     .examples = {{"weight set prod 3", "three times the share"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_weight_set},
    // ---- maintenance ----
    {.group = "maintenance",
     .name = "status",
     .summary = "Show which machines are scheduled, draining, or down.",
     .help = "And what frameworks answered to the inverse offers of them.",
     .examples = {{"maintenance status", "all machines with a schedule"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_maintenance_status},
    {.group = "maintenance",
     .name = "schedule",
     .summary = "Announce when machines will be away, or show it.",
     .help = "Without MACHINE shows the schedule. With some, adds a window of theirs, or moves "
             "them into it; --remove takes them out of the schedule. Frameworks are asked, by "
             "inverse offers, to move their tasks. A MACHINE is an agent (id, part of one, or "
             "hostname), or HOSTNAME/IP where no agent runs.",
     .words = {MANY("MACHINE", CLI_AGENT, true)},
     .flags = {{'s', "start", "TIME",
                "When it begins: now, a duration from now (2hrs), or 2026-12-01T08:00:00 (local "
                "time); now unless given.",
                NULL, 0},
               {'d', "duration", "DURATION", "How long it lasts; without end unless given.", NULL,
                0},
               {0, "remove", NULL, "Take the machines out of the schedule.", NULL, 0}},
     .examples = {{"maintenance schedule", "what is scheduled"},
                  {"maintenance schedule S3 S4 --start=2hrs --duration=1hrs", "two machines"},
                  {"maintenance schedule --remove S3", "one of them after all not"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_maintenance_schedule},
    {.group = "maintenance",
     .name = "start",
     .summary = "Take machines down.",
     .help = "They must be scheduled. Their agents are shut down with all tasks, and are not "
             "admitted again before `maintenance stop`.",
     .words = {MANY("MACHINE", CLI_AGENT, false)},
     .flags = {YES},
     .examples = {{"maintenance start S3", "asks first"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_maintenance_start},
    {.group = "maintenance",
     .name = "stop",
     .summary = "Bring machines back.",
     .help = "They leave the schedule, and their agents may register again.",
     .words = {MANY("MACHINE", CLI_AGENT, false)},
     .examples = {{"maintenance stop node7.example.org/10.0.0.7", "a machine whose agent is away"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_maintenance_stop},
    // ---- the rest ----
    {.group = "offer",
     .name = "list",
     .summary = "List the offers that are out.",
     .help = "Inverse offers ask for something back: they are marked.",
     .examples = {{"offer list", "who holds what"}},
     .has_output = true,
     .has_ids = true,
     .run = cli_offer_list},
    {.name = "state",
     .summary = "Show the cluster at a glance.",
     .help = "The leader, agents, frameworks and tasks in numbers, and what is used. As JSON: the "
             "whole state, as the master's GET_STATE gives it.",
     .examples = {{"state", "in numbers"}, {"state -o json", "all of it"}},
     .has_output = true,
     .run = cli_state},
    {.name = "events",
     .summary = "Show what happens in the cluster.",
     .help = "Without --follow, what there is now, as if it had just been added. With it, each "
             "event as it comes, until interrupted; when the master goes, its successor is "
             "followed. As JSON: each event as the master sent it, one a line.",
     .flags = {{'f', "follow", NULL, "Go on with what comes.", NULL, 0}},
     .examples = {{"events -f", "watch"},
                  {"events -f -o json | jq -c .task_updated", "for a script"}},
     .has_output = true,
     .run = cli_events},
    {.name = "flags",
     .summary = "Show the flags that the master, or an agent, runs with.",
     .help = "Secrets are hidden by the daemons.",
     .flags = {AT_AGENT},
     .examples = {{"flags", "the leading master's"}, {"flags --agent=S3", "an agent's"}},
     .has_output = true,
     .run = cli_flags},
    {.name = "log-level",
     .summary = "Show or raise the verbosity of the master's, or an agent's, log.",
     .help = "LEVEL is a number from 0 up. It goes back by itself.",
     .words = {OPTIONAL("LEVEL", CLI_TEXT)},
     .flags = {{'d', "duration", "DURATION", "For how long; 10mins unless given.", NULL, 0},
               AT_AGENT},
     .examples = {{"log-level", "what it is"},
                  {"log-level 1 --duration=5mins", "more, for five minutes"},
                  {"log-level 2 --agent=S3", "an agent's"}},
     .has_output = true,
     .run = cli_log_level},
    {.name = "config",
     .summary = "Show or change the configuration of this program.",
     .help = "The file is ~/.mesos/config.toml, or what $MESOS_CLI_CONFIG names. Without KEY shows "
             "what is set, and which master counts; with KEY its value; with VALUE sets it.",
     .words = {{"KEY", CLI_CHOICE, true, false,
                "master.address master.zookeeper.addresses master.zookeeper.path "
                "master.principal master.secret agent.principal agent.secret agent.timeout "
                "agent.ssl core.output"},
               OPTIONAL("VALUE", CLI_TEXT)},
     .flags = {{0, "unset", NULL, "Remove the key.", NULL, 0}},
     .examples = {{"config", "what is set"},
                  {"config master.address m1:5050,m2:5050", "masters, of which one leads"},
                  {"config --unset master.address", "forget it"}},
     .has_output = true,
     .needs_no_master = true,
     .run = cli_config_run},
    {.name = "completion",
     .summary = "Print the completion of this command for a shell.",
     .help = "bash: eval \"$(mesos completion bash)\" in ~/.bashrc. zsh: eval \"$(mesos "
             "completion zsh)\" in ~/.zshrc, after compinit. fish: mesos completion fish > "
             "~/.config/fish/completions/mesos.fish. Ids are completed by asking the master.",
     .words = {{"SHELL", CLI_CHOICE, false, false, "bash zsh fish"}},
     .examples = {{"completion bash > /etc/bash_completion.d/mesos", "for everybody"}},
     .needs_no_master = true,
     .run = cli_completion},
    {.name = "help",
     .summary = "Explain a command.",
     .help = "The same as COMMAND --help.",
     .words = {MANY("COMMAND", CLI_TEXT, true)},
     .examples = {{"help task logs", "one command"}, {"help agent", "a group of them"}},
     .needs_no_master = true,
     .run = cli_help},
};
const size_t cli_command_count = ARRAY_COUNT(cli_commands);

const struct cli_command *cli_command_find(const char *group, const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        if (text_is_equal(cli_commands[i].group, group) &&
            strcmp(cli_commands[i].name, name) == 0) {
            return &cli_commands[i];
        }
    }
    return NULL;
}

bool cli_group_exists(const char *name)
{
    for (size_t i = 0; i < cli_group_count; i++) {
        if (strcmp(cli_groups[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool cli_flag_is_of(const struct cli_flag *flag, const struct cli_command *command)
{
    if (strcmp(flag->name, "output") == 0) {
        return command->has_output;
    }
    if (strcmp(flag->name, "quiet") == 0) {
        return command->has_ids;
    }
    if (strcmp(flag->name, "master") == 0) {
        return !command->needs_no_master || command->run == cli_config_run;
    }
    return true;
}
