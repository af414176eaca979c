// SPDX-License-Identifier: Apache-2.0
//
// --whitelist: a file with one host name a line. Only agents on these hosts are offered. It is read
// every five seconds, as in Mesos.

#pragma once

#include "api/master_server.h"
#include "env/env.h"

struct whitelist;

// `path` may begin with "file://". A file that cannot be read is tried again; until it can, the
// last list holds (at first: all agents).
struct whitelist *whitelist_new(struct env *env, struct master_server *server, const char *path);
struct whitelist *whitelist_free(struct whitelist *w); // NULL is fine
