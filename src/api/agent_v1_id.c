// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <string.h>

#include "api/agent_v1.h"
#include "model/validate.h"
#include "wire/wire.h"

enum { NAME_SIZE_MAX = 242 }; // Mesos' number

int agent_v1_check_id(const Mesos__V1__ContainerID *id, struct error *err)
{
    int r = validate_id(id->value, err);
    if (r < 0) {
        return r;
    }
    if (strlen(id->value) > NAME_SIZE_MAX) {
        return error_set(err, -EINVAL, "'ContainerID.value' '%s' exceeds the maximum length (%d)",
                         id->value, NAME_SIZE_MAX);
    }
    if (strpbrk(id->value, ". ") != NULL) {
        return error_set(err, -EINVAL, "'ContainerID.value' '%s' contains invalid characters",
                         id->value);
    }
    r = id->parent != NULL ? agent_v1_check_id(id->parent, err) : 0;
    return r < 0 ? error_wrap(err, r, "'ContainerID.parent' is invalid") : 0;
}

const char *agent_v1_id_text(const Mesos__V1__ContainerID *id, struct arena *arena)
{
    return id->parent == NULL
               ? id->value
               : arena_printf(arena, "%s.%s", agent_v1_id_text(id->parent, arena), id->value);
}

Mesos__V1__ContainerID *agent_v1_id_message(const char *text, struct arena *arena)
{
    Mesos__V1__ContainerID *outer = NULL;
    char *rest = arena_strdup(arena, text);
    while (rest != NULL) {
        Mesos__V1__ContainerID *id =
            WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
        id->value = strsep(&rest, ".");
        id->parent = outer;
        outer = id;
    }
    return outer;
}
