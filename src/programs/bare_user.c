// SPDX-License-Identifier: Apache-2.0

#include "bare_user.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

#include "bare.h"

enum { CAPABILITIES_MAX = 64 };

static long control(long option, long a, long b)
{
    return bare_call6(SYS_prctl, option, a, b, 0, 0, 0);
}

// What the kernel does not know needs not be dropped.
static long bound(uint64_t bounding)
{
    for (long i = 0; i < CAPABILITIES_MAX; i++) {
        if ((bounding >> i & 1) != 0) {
            continue;
        }
        long code = control(PR_CAPBSET_DROP, i, 0);
        if (code == -EINVAL) {
            return 0;
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static long set_capabilities(uint64_t all)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t part = (uint32_t)(all >> (32 * i));
        data[i].effective = data[i].permitted = data[i].inheritable = part;
    }
    long code = BARE_CALL3(SYS_capset, &header, data, 0);
    for (long i = 0; i < CAPABILITIES_MAX && code >= 0; i++) {
        if ((all >> i & 1) != 0) {
            code = bare_call6(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0, 0);
        }
    }
    return code;
}

long user_become(const struct user_order *order, const char **ret_what)
{
    *ret_what = "Failed to drop capabilities";
    long code = order->has_bounding ? bound(order->bounding) : 0;
    if (code >= 0 && order->has_effective) {
        code = control(PR_SET_KEEPCAPS, 1, 0);
    }
    if (code >= 0 && order->has_user) {
        *ret_what = "Failed to set the supplementary groups";
        code = BARE_CALL3(SYS_setgroups, order->group_count, order->groups, 0);
    }
    if (code >= 0 && order->has_user) {
        *ret_what = "Failed to set the group id";
        code = BARE_CALL3(SYS_setresgid, order->gid, order->gid, order->gid);
    }
    if (code >= 0 && order->has_user) {
        *ret_what = "Failed to set the user id";
        code = BARE_CALL3(SYS_setresuid, order->uid, order->uid, order->uid);
    }
    if (code >= 0 && order->has_effective) {
        *ret_what = "Failed to set the capabilities";
        code = set_capabilities(order->effective);
    }
    return code < 0 ? code : 0;
}
