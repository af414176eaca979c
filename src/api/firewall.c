// SPDX-License-Identifier: Apache-2.0
//
// --firewall_rules: endpoints that nobody may use.

#include <errno.h>
#include <string.h>

#include "api/router.h"
#include "base/arena.h"
#include "proto/firewall.pb-c.h"
#include "wire/wire.h"

int api_router_set_firewall(struct api_router *router, const char *rules, struct error *err)
{
    if (rules == NULL)
        return 0;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message;
    int r =
        wire_json_decode(&meseta__firewall__descriptor, arena, rules, strlen(rules), &message, err);
    if (r < 0)
        return error_wrap(err, r, "Flag 'firewall_rules'");
    const Meseta__Firewall *firewall = (const Meseta__Firewall *)(void *)message;
    if (firewall->disabled_endpoints == NULL)
        return error_set(err, -EINVAL, "Flag 'firewall_rules': expecting 'disabled_endpoints'");
    for (size_t i = 0; i < firewall->disabled_endpoints->n_paths; i++) {
        const char *path = firewall->disabled_endpoints->paths[i];
        if (path[0] != '/')
            return error_set(err, -EINVAL,
                             "Flag 'firewall_rules': the path '%s' begins with no '/'", path);
        api_router_disable(router, path);
    }
    return 0;
}
