// SPDX-License-Identifier: Apache-2.0
//
// What the files of the agent's operator API share.

#pragma once

#include "api/agent_daemon.h"
#include "api/v1_common.h"
#include "proto/agent.pb-c.h"

// ---- agent_v1_id.c: ContainerID messages and the ids of src/container ("PARENT.CHILD") ----
// Mesos' rules for a client's ContainerID; -EINVAL with its text.
int agent_v1_check_id(const Mesos__V1__ContainerID *id, struct error *err);
const char *agent_v1_id_text(const Mesos__V1__ContainerID *id, struct arena *arena);
Mesos__V1__ContainerID *agent_v1_id_message(const char *text, struct arena *arena);

// ---- agent_v1_containers.c: LAUNCH, WAIT, KILL, REMOVE ----
extern const struct api_v1_row agent_v1_container_rows[];
extern const size_t agent_v1_container_row_count;
// Answers those who wait for it. On a turn of the loop, not from within a call.
void agent_v1_container_launched(struct agent_daemon *d, const char *container_id);
void agent_v1_container_terminated(struct agent_daemon *d, const char *container_id,
                                   const struct container_termination *termination);
// Forgets who waits.
void agent_v1_containers_free(struct agent_daemon *d);

// ---- agent_v1_session.c: what comes out of sessions ----
extern const struct api_v1_row agent_v1_session_rows[];
extern const size_t agent_v1_session_row_count;
// Answers with the container's output as a stream. `is_session`: it ends with the client.
void agent_v1_begin_output(struct api_v1_request *q, const char *container_id, bool is_session);

// ---- agent_v1_input.c: what goes into sessions ----
// A request that comes in parts (http_options.wants_parts).
bool agent_v1_is_input(const struct http_request *r);
void agent_v1_take_input(struct agent_daemon *d, struct http_request *r);

// ---- agent_v1_refuse.c: resource providers and images, which there are none of ----
extern const struct api_v1_row agent_v1_refuse_rows[];
extern const size_t agent_v1_refuse_row_count;

// ---- agent_v1_look.c: GET_... ----
extern const struct api_v1_row agent_v1_look_rows[];
extern const size_t agent_v1_look_row_count;
