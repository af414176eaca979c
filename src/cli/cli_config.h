// SPDX-License-Identifier: Apache-2.0
//
// The configuration file of `mesos`: ~/.mesos/config.toml, or what MESOS_CLI_CONFIG names. Its keys
// are those of Apache Mesos' command line, and a few more. One table (cli_config_keys) says what
// they are; a key that is not in it is an error.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/cli_toml.h"

struct cli_config {
    const char *path;
    bool exists;
    const char *master; // as --master takes it; NULL
    const char *principal, *secret;
    const char *agent_principal, *agent_secret;
    int64_t agent_timeout_s; // to connect to an agent
    bool is_json;            // core.output
};

struct cli_config_key {
    const char *name;
    enum toml_type type;
    const char *help;
    bool is_secret; // shown as "***"
};
extern const struct cli_config_key cli_config_keys[];
extern const size_t cli_config_key_count;

// Where the file is; NULL when there is no home directory. In the arena.
const char *cli_config_path(struct arena *arena);
// A file that is not there gives the defaults. -EINVAL with a text that names the file and line.
int cli_config_read(struct arena *arena, struct cli_config *ret_config, struct error *err);
// Reads a text as cli_config_read does the file.
int cli_config_read_text(struct arena *arena, const char *text, size_t size,
                         struct cli_config *config, struct error *err);
