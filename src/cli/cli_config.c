// SPDX-License-Identifier: Apache-2.0
//
// Reads the configuration file, and `mesos config`, which shows and changes it.

#include "cli/cli_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

enum { AGENT_TIMEOUT_S = 5, FILE_MODE = 0600, FOLDER_MODE = 0700, TIMEOUT_S_MAX = 3600 };

const struct cli_config_key cli_config_keys[] = {
    {"master.address", TOML_TEXT,
     "The master, as --master takes it: HOST[:PORT], several with commas between, or zk://...",
     false},
    {"master.zookeeper.addresses", TOML_LIST,
     "ZooKeeper's servers, HOST:PORT each, where the masters elect their leader; instead of "
     "master.address.",
     false},
    {"master.zookeeper.path", TOML_TEXT, "The path there, such as /mesos.", false},
    {"master.principal", TOML_TEXT, "Who to be for the master (HTTP Basic).", false},
    {"master.secret", TOML_TEXT, "The secret that goes with it.", true},
    {"agent.principal", TOML_TEXT, "Who to be for agents.", false},
    {"agent.secret", TOML_TEXT, "The secret that goes with it.", true},
    {"agent.timeout", TOML_NUMBER, "Seconds to try to connect to an agent; 5 unless set.", false},
    {"agent.ssl", TOML_BOOL, "Only false: TLS is not supported yet.", false},
    {"core.output", TOML_TEXT, "table or json: the output without -o.", false},
};
const size_t cli_config_key_count = ARRAY_COUNT(cli_config_keys);

static const struct cli_config_key *find_key(const char *name)
{
    for (size_t i = 0; i < cli_config_key_count; i++) {
        if (strcmp(cli_config_keys[i].name, name) == 0) {
            return &cli_config_keys[i];
        }
    }
    return NULL;
}

static const char *const type_names[] = {
    [TOML_TEXT] = "a string in quotes",
    [TOML_NUMBER] = "a whole number",
    [TOML_BOOL] = "true or false",
    [TOML_LIST] = "a list of strings",
};

static int check_entry(const struct toml_entry *entry, struct error *err)
{
    const struct cli_config_key *key = find_key(entry->key);
    if (strcmp(entry->key, "plugins") == 0) {
        return entry->type == TOML_LIST && entry->item_count == 0
                   ? 0
                   : error_set(err, -EINVAL, "line %u: plugins are not supported", entry->line);
    }
    if (key == NULL) {
        return error_set(err, -EINVAL, "line %u: there is no setting '%s'", entry->line,
                         entry->key);
    }
    if (key->type != entry->type) {
        return error_set(err, -EINVAL, "line %u: '%s' must be %s", entry->line, entry->key,
                         type_names[key->type]);
    }
    return 0;
}

static const char *text_of(const struct toml *toml, const char *key)
{
    const struct toml_entry *entry = toml_get(toml, key);
    return entry != NULL ? entry->text : NULL;
}

// "zk://a:1,b:2/mesos"
static int read_zookeeper(const struct toml *toml, struct arena *arena, const char **ret_url,
                          struct error *err)
{
    const struct toml_entry *addresses = toml_get(toml, "master.zookeeper.addresses");
    const char *path = text_of(toml, "master.zookeeper.path");
    if (addresses == NULL || addresses->item_count == 0 || path == NULL) {
        return error_set(err, -EINVAL,
                         "master.zookeeper needs 'addresses', a list, and 'path', a string");
    }
    if (path[0] != '/' || path[1] == '\0') {
        return error_set(err, -EINVAL, "master.zookeeper.path must begin with '/' and go on");
    }
    const char *url = "zk://";
    for (size_t i = 0; i < addresses->item_count; i++) {
        url = arena_printf(arena, "%s%s%s", url, i > 0 ? "," : "", addresses->items[i]);
    }
    *ret_url = arena_printf(arena, "%s%s", url, path);
    return 0;
}

static int read_values(const struct toml *toml, struct arena *arena, struct cli_config *config,
                       struct error *err)
{
    config->principal = text_of(toml, "master.principal");
    config->secret = text_of(toml, "master.secret");
    config->agent_principal = text_of(toml, "agent.principal");
    config->agent_secret = text_of(toml, "agent.secret");
    config->master = text_of(toml, "master.address");
    bool has_zookeeper = toml_get(toml, "master.zookeeper.addresses") != NULL ||
                         toml_get(toml, "master.zookeeper.path") != NULL;
    if (has_zookeeper && config->master != NULL) {
        return error_set(err, -EINVAL,
                         "master.address and master.zookeeper are set both: which one counts?");
    }
    if (has_zookeeper) {
        int r = read_zookeeper(toml, arena, &config->master, err);
        if (r != 0) {
            return r;
        }
    }
    const char *output = text_of(toml, "core.output");
    if (output != NULL && strcmp(output, "json") != 0 && strcmp(output, "table") != 0) {
        return error_set(err, -EINVAL, "core.output is 'table' or 'json', not '%s'", output);
    }
    config->is_json = text_is_equal(output, "json");
    const char *timeout = text_of(toml, "agent.timeout");
    if (timeout != NULL &&
        (text_parse_i64(timeout, &config->agent_timeout_s, NULL) < 0 ||
         config->agent_timeout_s < 1 || config->agent_timeout_s > TIMEOUT_S_MAX)) {
        return error_set(err, -EINVAL, "agent.timeout must be from 1 to %d seconds", TIMEOUT_S_MAX);
    }
    if (text_is_equal(text_of(toml, "agent.ssl"), "true")) {
        return error_set(err, -EINVAL, "agent.ssl: TLS is not supported yet");
    }
    return 0;
}

static void set_defaults(struct cli_config *config)
{
    *config = (struct cli_config){.path = config->path, .agent_timeout_s = AGENT_TIMEOUT_S};
}

int cli_config_read_text(struct arena *arena, const char *text, size_t size,
                         struct cli_config *config, struct error *err)
{
    set_defaults(config);
    struct toml toml;
    int r = toml_parse(arena, text, size, &toml, err);
    for (size_t i = 0; r == 0 && i < toml.count; i++) {
        r = check_entry(&toml.entries[i], err);
    }
    return r < 0 ? r : read_values(&toml, arena, config, err);
}

const char *cli_config_path(struct arena *arena)
{
    const char *path = getenv("MESOS_CLI_CONFIG");
    if (path != NULL && path[0] != '\0') {
        return arena_strdup(arena, path);
    }
    const char *home = getenv("HOME");
    return home != NULL && home[0] != '\0' ? arena_printf(arena, "%s/.mesos/config.toml", home)
                                           : NULL;
}

// The file's text; "" when there is none.
static int read_file(struct arena *arena, const char *path, const char **ret_text, bool *ret_exists,
                     struct error *err)
{
    *ret_text = "";
    *ret_exists = false;
    if (path == NULL) {
        return 0;
    }
    AUTO_FREE char *data = NULL;
    size_t size;
    int r = file_read(path, TOML_SIZE_MAX, &data, &size, err);
    if (r == -ENOENT || r == -ENOTDIR) {
        return 0;
    }
    if (r < 0) {
        return cli_wrap(err, -EINVAL, "Cannot read the configuration");
    }
    if (strlen(data) != size) {
        return error_set(err, -EINVAL, "Bad configuration in %s: it holds a NUL byte", path);
    }
    *ret_text = arena_strndup(arena, data, size);
    *ret_exists = true;
    return 0;
}

int cli_config_read(struct arena *arena, struct cli_config *ret_config, struct error *err)
{
    ret_config->path = cli_config_path(arena);
    set_defaults(ret_config);
    const char *text;
    bool exists;
    int r = read_file(arena, ret_config->path, &text, &exists, err);
    if (r != 0) {
        return r;
    }
    r = cli_config_read_text(arena, text, strlen(text), ret_config, err);
    ret_config->exists = exists;
    return r < 0 ? cli_wrap(err, -EINVAL, "Bad configuration in %s", ret_config->path) : 0;
}

// ---- mesos config ----

static void put_value(const struct toml_entry *entry, struct buf *out)
{
    if (entry->type != TOML_LIST) {
        buf_puts(out, entry->text);
        return;
    }
    for (size_t i = 0; i < entry->item_count; i++) {
        buf_printf(out, "%s%s", i > 0 ? "," : "", entry->items[i]);
    }
}

static int show(struct cli *cli, const struct toml *toml)
{
    static const struct cli_column columns[] = {{"KEY", 0}, {"VALUE", 0}};
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    for (size_t i = 0; i < cli_config_key_count; i++) {
        const struct cli_config_key *key = &cli_config_keys[i];
        const struct toml_entry *entry = toml_get(toml, key->name);
        if (entry == NULL) {
            continue;
        }
        AUTO_BUF struct buf value = BUF_INIT;
        if (key->is_secret) {
            buf_puts(&value, "***");
        } else {
            put_value(entry, &value);
        }
        json_key_string(&w, key->name, value.data);
        cli_table_add(table, key->name);
        cli_table_add(table, value.data);
    }
    json_object_close(&w);
    if (cli->output == CLI_JSON) {
        buf_putc(&out, '\n');
        cli_write(out.data, out.size);
        return 0;
    }
    cli_field(cli, "File",
              cli->config.exists ? cli->config.path
                                 : arena_printf(cli->arena, "%s (not there)",
                                                cli->config.path != NULL ? cli->config.path : "-"));
    cli_field(cli, "Master", cli->master);
    cli_field(cli, "Master from", cli->master_source);
    if (toml->count > 0) {
        cli_write("\n", 1);
        cli_table_print(table);
    }
    return 0;
}

// What the user wrote as TOML of that type.
static int make_value(const struct cli_config_key *key, const char *text, struct buf *out,
                      struct error *err)
{
    int64_t number;
    switch (key->type) {
    case TOML_TEXT:
        toml_put_string(text, out);
        return 0;
    case TOML_NUMBER:
        if (text_parse_i64(text, &number, NULL) < 0) {
            return error_set(err, -EINVAL, "%s must be a whole number, not '%s'", key->name, text);
        }
        buf_put_i64(out, number);
        return 0;
    case TOML_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return error_set(err, -EINVAL, "%s must be true or false, not '%s'", key->name, text);
        }
        buf_puts(out, text);
        return 0;
    case TOML_LIST:
        break;
    }
    AUTO_FREE char *copy = mem_strdup(text);
    char *rest = copy;
    buf_putc(out, '[');
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        toml_put_string(text_trim(item), out);
        buf_puts(out, rest != NULL ? ", " : "");
    }
    buf_putc(out, ']');
    return 0;
}

// The first key of a pair that only makes sense whole is let through.
static bool is_half(const char *name)
{
    return text_starts_with(name, "master.zookeeper.");
}

static int change(struct cli *cli, const struct toml *toml, const char *text,
                  const struct cli_config_key *key, const char *value, struct error *err)
{
    const char *path = cli->config.path;
    if (path == NULL) {
        return error_set(err, -EINVAL, "There is no home directory: set MESOS_CLI_CONFIG");
    }
    AUTO_BUF struct buf made = BUF_INIT;
    AUTO_BUF struct buf out = BUF_INIT;
    int r = value != NULL ? make_value(key, value, &made, err) : 0;
    if (r != 0) {
        return r;
    }
    toml_put_changed(toml, text, strlen(text), key->name, value != NULL ? made.data : NULL, &out);
    struct cli_config config = cli->config;
    r = cli_config_read_text(cli->arena, out.size > 0 ? out.data : "", out.size, &config, err);
    if (r < 0 && !is_half(key->name)) {
        return r;
    }
    const char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        r = path_make_directories(arena_strndup(cli->arena, path, (size_t)(slash - path)),
                                  FOLDER_MODE, err);
    } else {
        r = 0;
    }
    if (r == 0) {
        r = file_replace(path, out.size > 0 ? out.data : "", out.size, FILE_MODE, err);
    }
    return r < 0 ? cli_wrap(err, CLI_ERROR_FAILED, "Cannot write the configuration") : 0;
}

int cli_config_run(struct cli *cli, struct error *err)
{
    const char *name = cli->words[0];
    const char *value = name != NULL ? cli->words[1] : NULL;
    bool unsets = cli_has_flag(cli, "unset");
    const char *text;
    bool exists;
    struct toml toml;
    int r = read_file(cli->arena, cli->config.path, &text, &exists, err);
    if (r == 0) {
        r = toml_parse(cli->arena, text, strlen(text), &toml, err);
    }
    if (r != 0) {
        return r;
    }
    if (name == NULL) {
        return unsets ? error_set(err, CLI_ERROR_USAGE, "--unset wants a KEY") : show(cli, &toml);
    }
    const struct cli_config_key *key = find_key(name);
    if (key == NULL) {
        return error_set(err, CLI_ERROR_USAGE,
                         "There is no setting '%s'; `mesos help config` lists them", name);
    }
    if (value != NULL && unsets) {
        return error_set(err, CLI_ERROR_USAGE, "--unset takes no VALUE");
    }
    if (value != NULL || unsets) {
        return change(cli, &toml, text, key, value, err);
    }
    const struct toml_entry *entry = toml_get(&toml, name);
    if (entry == NULL) {
        return error_set(err, CLI_ERROR_NOT_FOUND, "'%s' is not set in %s", name,
                         cli->config.path != NULL ? cli->config.path : "any file");
    }
    AUTO_BUF struct buf out = BUF_INIT;
    put_value(entry, &out);
    buf_putc(&out, '\n');
    cli_write(out.data, out.size);
    return 0;
}
