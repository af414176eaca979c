// SPDX-License-Identifier: Apache-2.0
//
// Whom a container runs as, looked up by the agent so that its helpers need no user database.

#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct user {
    uid_t uid;
    gid_t gid;
    gid_t *groups; // supplementary ones, `gid` among them
    size_t group_count;
};

// -ENOENT for a name that is not known. The caller frees with user_free.
int user_find(const char *name, struct user **ret_user, struct error *err);
struct user *user_free(struct user *user); // NULL is fine; returns NULL
