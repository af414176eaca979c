// SPDX-License-Identifier: Apache-2.0

#include "container/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/mem.h"

enum { PASSWD_TEXT_SIZE = 16 * 1024, GROUPS_MAX = 65536 };

static void find_groups(const char *name, struct user *user)
{
    int count = 32;
    for (;;) {
        user->groups = mem_realloc_array(user->groups, (size_t)count, sizeof(gid_t));
        int wanted = count;
        if (getgrouplist(name, user->gid, user->groups, &wanted) >= 0) {
            user->group_count = (size_t)wanted;
            return;
        }
        if (count >= GROUPS_MAX) {
            user->group_count = (size_t)count;
            return;
        }
        count = wanted > count ? wanted : count * 2;
    }
}

int user_find(const char *name, struct user **ret_user, struct error *err)
{
    char text[PASSWD_TEXT_SIZE];
    struct passwd entry, *found = NULL;
    int code = getpwnam_r(name, &entry, text, sizeof(text), &found);
    if (found == NULL) {
        if (code == 0 || code == ENOENT || code == ESRCH) {
            return error_set(err, -ENOENT, "No such user '%s'", name);
        }
        return error_errno(err, -code, "Failed to look up user '%s'", name);
    }
    struct user *user = mem_zalloc(sizeof(*user));
    user->uid = entry.pw_uid;
    user->gid = entry.pw_gid;
    find_groups(name, user);
    *ret_user = user;
    return 0;
}

struct user *user_free(struct user *user)
{
    if (user != NULL) {
        mem_free(user->groups);
        mem_free(user);
    }
    return NULL;
}
