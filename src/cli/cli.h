// SPDX-License-Identifier: Apache-2.0
//
// mesos: the operator's command line. One table of commands (cli_commands.c) says what there is:
// words, flags, help, examples; the parser, `mesos help`, shell completion and docs/cli.md come
// from it. It talks to masters and agents through their public HTTP APIs alone, one call after
// another, and lives as long as one command: what it keeps lies in one arena.
//
// A function that fails returns one of errno's codes with a text; the code becomes the exit status
// (cli_exit_status), the text a line on standard error.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "cli/cli_config.h"
#include "client/address.h"
#include "proto/agent.pb-c.h"
#include "proto/master.pb-c.h"
#include "wire/wire.h"

// Exit statuses. Scripts rely on them; docs/cli.md lists them from cli_exit_help.
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      // refused by the master or the agent, or went wrong there
    CLI_USAGE = 2,       // the command line or the configuration is wrong
    CLI_UNREACHABLE = 3, // no master, or not the agent
    CLI_NOT_FOUND = 4,
    CLI_AMBIGUOUS = 5, // an id that could mean several
    CLI_DENIED = 6,    // 401 and 403
    CLI_NOT_RUN = 125, // task exec: its own failure, not the command's
};

// What an error code means for the caller of the program. Codes that are not listed: CLI_FAILED.
#define CLI_ERROR_USAGE (-EINVAL)
#define CLI_ERROR_UNREACHABLE (-EHOSTUNREACH)
#define CLI_ERROR_NOT_FOUND (-ENOENT)
#define CLI_ERROR_AMBIGUOUS (-ENOTUNIQ)
#define CLI_ERROR_DENIED (-EACCES)
#define CLI_ERROR_FAILED (-EREMOTEIO)
enum cli_exit cli_exit_status(int code);
// Puts `<formatted>: ` before the text, and makes the error one of that code, which it returns.
int cli_wrap(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define cli_wrap(err, code, ...) ERROR_RETURNED(cli_wrap(err, code_, __VA_ARGS__), code)
#endif

// ---- the table of commands (cli_commands.c) ----

// What a word or a flag's value is: completion offers what there is of it.
enum cli_kind { CLI_TEXT, CLI_AGENT, CLI_FRAMEWORK, CLI_TASK, CLI_ROLE, CLI_FILE, CLI_CHOICE };

struct cli_flag {
    char letter;         // 0: none
    const char *name;    // without dashes; NULL ends a list
    const char *value;   // what its value is called; NULL: it is a switch
    const char *help;    // one sentence
    const char *choices; // with CLI_CHOICE: the values that there are, with a space between
    enum cli_kind kind;
};

struct cli_word {
    const char *name; // NULL ends a list
    enum cli_kind kind;
    bool is_optional;
    bool is_many;        // this one and all that follow
    const char *choices; // with CLI_CHOICE
};

struct cli_example {
    const char *command; // without "mesos "; NULL ends a list
    const char *what;
};

enum { CLI_WORDS_MAX = 3, CLI_FLAGS_MAX = 10, CLI_EXAMPLES_MAX = 6 };

struct cli;
struct cli_command {
    const char *group; // "agent"; NULL: the command is one word
    const char *name;
    const char *summary; // a line
    const char *help;    // sentences
    struct cli_word words[CLI_WORDS_MAX];
    struct cli_flag flags[CLI_FLAGS_MAX];
    struct cli_example examples[CLI_EXAMPLES_MAX];
    bool has_output;  // knows -o
    bool has_ids;     // knows -q
    bool passes_rest; // what follows the second word is not looked at: another program's words
    bool needs_no_master;
    // 0 or another exit status, or a negative code.
    int (*run)(struct cli *cli, struct error *err);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_flag cli_global_flags[]; // of every command; a NULL name ends them

struct cli_group {
    const char *name, *summary;
};
extern const struct cli_group cli_groups[];
extern const size_t cli_group_count;

// NULL: there is none. `group` is NULL for commands of one word.
const struct cli_command *cli_command_find(const char *group, const char *name);
bool cli_group_exists(const char *name);
bool cli_flag_is_of(const struct cli_flag *flag, const struct cli_command *command);

// ---- one run ----

enum cli_output { CLI_TABLE, CLI_JSON };

struct cli {
    struct arena *arena; // as long as the run
    const struct cli_command *command;
    char **words; // NULL-terminated
    size_t word_count;
    const char *flags[CLI_FLAGS_MAX]; // values in the order of the command's; NULL: not given
    enum cli_output output;
    bool ids_only;
    bool has_colours;
    unsigned width;     // of the terminal; 0: as wide as it comes
    const char *master; // as given
    const char *master_source;
    struct cli_config config;
    struct cli_http *http;
    bool has_leader;
    struct address leader; // once it was found
};

// The value of one of the command's flags, NULL when it was not given; "" for a switch.
const char *cli_flag_value(const struct cli *cli, const char *name);
bool cli_has_flag(const struct cli *cli, const char *name);

int cli_main(int argc, char **argv);
// Reads the command line into `cli`: CLI_ERROR_USAGE. `ret_help`: help was asked for.
int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help, struct error *err);

// ---- help, completion, the page (cli_help.c, cli_completion.c) ----

void cli_put_usage(const struct cli_command *command, struct buf *out); // one line
void cli_put_help(const struct cli_command *command, unsigned width, struct buf *out);
void cli_put_overview(const char *group, unsigned width, struct buf *out); // NULL: of all groups
void cli_put_page(struct buf *out); // the part of docs/cli.md that is made from the table
int cli_put_completion(const char *shell, struct buf *out, struct error *err);

// ---- HTTP (cli_http.c) ----

struct cli_http;
struct cli_http *cli_http_new(void);
struct cli_http *cli_http_free(struct cli_http *http);

struct cli_request {
    const char *method; // NULL: POST
    const struct address *address;
    const char *target;       // "/api/v1"
    const char *content_type; // of the body
    const char *accept;       // NULL: anything
    const char *principal, *secret;
    const void *body;
    size_t body_size;
    int64_t connect_ms; // to connect; 0: 5 seconds
    // A body with status 200 as it comes, instead of into the answer. A negative code ends it all.
    int (*on_data)(void *ctx, const void *data, size_t size);
    void *ctx;
};

struct cli_answer {
    int status;
    char *location; // in the arena; NULL
    const char *body;
    size_t size; // `body` is followed by a NUL
};

// One request. The answer lies in the arena. CLI_ERROR_UNREACHABLE with the reason.
int cli_http_ask(struct cli *cli, const struct cli_request *request, struct cli_answer *ret_answer,
                 struct error *err);
// An answer's status as an error: 0 for 200 and 202. `who` begins the text.
int cli_http_check(const struct cli_answer *answer, const char *who, struct error *err);

// ---- masters and agents (cli_master.c) ----

// One request to the leading master, wherever it is: `address` is filled in, redirects are
// followed. An answer other than 200 and 202 is an error with the master's text.
int cli_master_ask(struct cli *cli, struct cli_request *request, struct cli_answer *ret_answer,
                   struct error *err);
int cli_master_get(struct cli *cli, const char *target, struct cli_answer *ret_answer,
                   struct error *err);
// A call of the operator API in protobuf. `ret_response` may be NULL where there is none.
int cli_master_call(struct cli *cli, const Mesos__V1__Master__Call *call,
                    Mesos__V1__Master__Response **ret_response, struct error *err);
// A call that is a type alone.
int cli_master_look(struct cli *cli, Mesos__V1__Master__Call__Type type,
                    Mesos__V1__Master__Response **ret_response, struct error *err);

// Where an agent listens, by what the master knows.
int cli_agent_address(const Mesos__V1__Master__Response__GetAgents__Agent *agent,
                      struct address *ret_address, struct error *err);
int cli_agent_call(struct cli *cli, const struct address *address,
                   const Mesos__V1__Agent__Call *call, Mesos__V1__Agent__Response **ret_response,
                   struct error *err);

// Lists of a GET_TASKS response, by their field numbers.
enum cli_task_list { CLI_TASKS_ACTIVE = 2, CLI_TASKS_UNREACHABLE = 5, CLI_TASKS_COMPLETED = 3 };
// Every task that the master knows, one after another, so that a big cluster's fit. The message
// lives until the callback returns.
typedef void cli_task_fn(void *ctx, enum cli_task_list list, const Mesos__V1__Task *task);
int cli_master_walk_tasks(struct cli *cli, cli_task_fn *on_task, void *ctx, struct error *err);
// All agents, in the arena; the array is NULL-terminated.
int cli_master_agents(struct cli *cli, Mesos__V1__Master__Response__GetAgents__Agent ***ret_agents,
                      size_t *ret_count, struct error *err);
int cli_master_frameworks(struct cli *cli, Mesos__V1__Master__Response__GetFrameworks **ret,
                          struct error *err);

// ---- ids (cli_find.c) ----

// Looks for what a user means by an id: the id itself, a name, the id's beginning, or its last part
// (the "S3" of an agent, the "0007" of a framework). What fits better wins; of two that fit equally
// well neither.
struct cli_match {
    const char *wanted;
    const char *what; // "agent"
    int rank;         // of the candidates
    size_t count;
    void *value;         // of the first candidate
    const char *ids[10]; // of the first ones, for the text
};
// 0: it does not fit.
int cli_match_rank(const char *wanted, const char *id, const char *name);
void cli_match_offer(struct cli_match *match, struct arena *arena, int rank, const char *id,
                     void *value);
// CLI_ERROR_NOT_FOUND, CLI_ERROR_AMBIGUOUS.
int cli_match_end(const struct cli_match *match, struct error *err);

int cli_find_agent(struct cli *cli, const char *wanted,
                   Mesos__V1__Master__Response__GetAgents__Agent **ret_agent, struct error *err);
int cli_find_framework(struct cli *cli, const char *wanted,
                       Mesos__V1__Master__Response__GetFrameworks__Framework **ret_framework,
                       bool *ret_is_completed, struct error *err);
// A task of that framework (an id as above; NULL: of any).
int cli_find_task(struct cli *cli, const char *wanted, const char *framework,
                  Mesos__V1__Task **ret_task, struct error *err);
// The agent whose id that is, exactly; CLI_ERROR_UNREACHABLE when the master has it not.
int cli_agent_of(struct cli *cli, const char *agent_id,
                 Mesos__V1__Master__Response__GetAgents__Agent **ret_agent, struct error *err);

// ---- output (cli_output.c) ----

enum cli_column_kind {
    CLI_COLUMN_TEXT,
    CLI_COLUMN_NUMBER, // to the right
    CLI_COLUMN_ID,     // shown by its last part where there is no room
    CLI_COLUMN_STATE,  // coloured by what it says
};
struct cli_column {
    const char *title;
    enum cli_column_kind kind;
};

struct cli_table;
// Columns are borrowed. Rows are printed by cli_table_print, each column as wide as it needs; on a
// terminal that is too narrow the widest give way.
struct cli_table *cli_table_new(struct cli *cli, const struct cli_column *columns, size_t count);
// One cell after another, row by row. The text is copied.
void cli_table_add(struct cli_table *table, const char *text);
void cli_table_addf(struct cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_table_print(struct cli_table *table);
// Without rows, says so on standard error, if that is a person's.
void cli_table_print_or(struct cli_table *table, const char *text_if_empty);

// "Name:   value" lines of one thing. NULL values are left out.
void cli_field(struct cli *cli, const char *name, const char *value);
void cli_fieldf(struct cli *cli, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cli_heading(struct cli *cli, const char *text);
// A line that tells what was done; not with -q.
void cli_say(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A JSON array on standard output, an element a line. Nothing is written before the first element
// or the end, so that what fails before leaves no half of one.
struct cli_json_list {
    bool has_items;
};
void cli_json_list_open(struct cli_json_list *list);
void cli_json_list_put(struct cli_json_list *list, const ProtobufCMessage *message);
void cli_json_list_put_text(struct cli_json_list *list, const char *text);
void cli_json_list_close(struct cli_json_list *list);
void cli_json_put(const ProtobufCMessage *message); // one object and a line's end
// {"agent_id": "...", "done": "drain"}: the outcome of an operation.
void cli_json_put_done(const char *key, const char *id, const char *done);

// Items as they were asked for: ids one a line, elements of a JSON array, or rows of a table.
struct cli_list {
    struct cli *cli;
    struct cli_table *table;
    struct cli_json_list json;
};
void cli_list_open(struct cli_list *list, struct cli *cli, const struct cli_column *columns,
                   size_t column_count);
// True: it is to be a row of `table`, which the caller adds.
bool cli_list_put(struct cli_list *list, const char *id, const ProtobufCMessage *message);
void cli_list_close(struct cli_list *list, const char *text_if_empty); // see cli_table_print_or

// Writes to standard output; ends the program quietly when nobody reads any more.
void cli_write(const void *data, size_t size);
void cli_flush(void);

// ---- texts (cli_text.c); results lie in the arena ----

// Control characters, which a framework could have put into a name, become '?'.
const char *cli_clean(struct arena *arena, const char *text);
const char *cli_text_amount(struct arena *arena, double value); // "0.1", "12"
const char *cli_text_megabytes(struct arena *arena, double megabytes);
const char *cli_text_bytes(struct arena *arena, uint64_t bytes);
const char *cli_text_age(struct arena *arena, double seconds);  // "3m12s"
const char *cli_text_time(struct arena *arena, double seconds); // "2026-11-28 20:18:12 (3m12s ago)"
const char *cli_text_since(struct arena *arena, double seconds); // its age now
const char *cli_text_resources(struct arena *arena, Mesos__V1__Resource *const *resources,
                               size_t count);
double cli_scalar(Mesos__V1__Resource *const *resources, size_t count, const char *name);
double cli_now(void); // seconds since 1970
double cli_seconds(const Mesos__V1__TimeInfo *time);
// "TASK_RUNNING" as "running".
const char *cli_text_state(struct arena *arena, Mesos__V1__TaskState state);
const char *cli_text_container_id(struct arena *arena, const Mesos__V1__ContainerID *id);
size_t cli_text_width(const char *text); // columns of a terminal
// --grace=1mins: CLI_ERROR_USAGE names the flag.
int cli_read_duration(const char *flag, const char *text, int64_t *ret_ns, struct error *err);

// Asks on a terminal; elsewhere only --yes will do. CLI_ERROR_USAGE, CLI_ERROR_FAILED.
int cli_confirm(struct cli *cli, const char *question, struct error *err);

// ---- sandboxes (cli_sandbox.c) ----

struct cli_sandbox {
    struct cli *cli;
    const Mesos__V1__Task *task;
    struct address agent;
    bool has_address;
    bool is_by_master;   // the agent cannot be reached: its master passes it on
    struct error direct; // why it cannot
    char *path;          // virtual, at the agent
};
int cli_sandbox_open(struct cli *cli, const Mesos__V1__Task *task, struct cli_sandbox *ret_sandbox,
                     struct error *err);
// GET /files/ENDPOINT of a path within the sandbox. `more` is the rest of the query, or "". With
// `on_data` the answer's body goes there.
int cli_sandbox_get(struct cli_sandbox *sandbox, const char *endpoint, const char *file,
                    const char *more, int (*on_data)(void *ctx, const void *data, size_t size),
                    void *ctx, struct cli_answer *ret_answer, struct error *err);
// Bytes of a file from `offset` on, as many as come at once, and its size. None: there are no more
// yet.
int cli_sandbox_read(struct cli_sandbox *sandbox, const char *file, uint64_t offset,
                     struct buf *out, uint64_t *ret_next, uint64_t *ret_size, struct error *err);

// ---- a container's input and output (cli_io.c) ----

struct cli_io_options {
    const struct address *agent;
    const Mesos__V1__Agent__Call *call; // LAUNCH_..._SESSION or ATTACH_CONTAINER_OUTPUT
    const Mesos__V1__ContainerID *container_id;
    bool takes_input; // what comes from standard input goes there
    bool ends_input;  // without takes_input: the container's input ends at once
    bool is_terminal; // standard input is put into raw mode, sizes of the window are passed on
    bool may_detach;  // ctrl-p ctrl-q
};
enum cli_io_end { CLI_IO_ENDED, CLI_IO_DETACHED, CLI_IO_SIGNALLED };
// Until the output ends, the user detaches, or a signal comes (its number in `ret_signal`).
int cli_io_run(struct cli *cli, const struct cli_io_options *options, enum cli_io_end *ret_end,
               int *ret_signal, struct error *err);
// Of the terminal at standard input; false: there is none.
bool cli_io_window_size(uint32_t *ret_rows, uint32_t *ret_columns);

// ---- the commands ----

#define CLI_RUN(name) int name(struct cli *cli, struct error *err)
CLI_RUN(cli_agent_list);
CLI_RUN(cli_agent_info);
CLI_RUN(cli_agent_drain);
CLI_RUN(cli_agent_deactivate);
CLI_RUN(cli_agent_reactivate);
CLI_RUN(cli_agent_gone);
CLI_RUN(cli_framework_list);
CLI_RUN(cli_framework_info);
CLI_RUN(cli_framework_teardown);
CLI_RUN(cli_framework_why);
CLI_RUN(cli_task_list);
CLI_RUN(cli_task_info);
CLI_RUN(cli_task_logs);
CLI_RUN(cli_task_files);
CLI_RUN(cli_task_attach);
CLI_RUN(cli_task_exec);
CLI_RUN(cli_task_kill);
CLI_RUN(cli_role_list);
CLI_RUN(cli_quota_list);
CLI_RUN(cli_quota_set);
CLI_RUN(cli_quota_remove);
CLI_RUN(cli_weight_list);
CLI_RUN(cli_weight_set);
CLI_RUN(cli_maintenance_status);
CLI_RUN(cli_maintenance_schedule);
CLI_RUN(cli_maintenance_start);
CLI_RUN(cli_maintenance_stop);
CLI_RUN(cli_offer_list);
CLI_RUN(cli_state);
CLI_RUN(cli_events);
CLI_RUN(cli_flags);
CLI_RUN(cli_log_level);
CLI_RUN(cli_config_run);
CLI_RUN(cli_completion);
CLI_RUN(cli_help);
