// SPDX-License-Identifier: Apache-2.0
//
// What the files of the master's operator API share.

#pragma once

#include "api/master_internal.h"
#include "api/v1_common.h"
#include "proto/master.pb-c.h"

// What a call of the core gave: nothing (0: the answer comes later), or a status with its text.
// Steps the core at the turn's end.
void master_v1_finish(struct master_server *server, struct http_request *r, int status,
                      const struct error *err);

// ---- master_v1_state.c: messages in the arena; they may point into the core's records ----
Mesos__V1__Master__Response__GetAgents__Agent *master_v1_agent(struct arena *arena,
                                                               const struct agent *a);
void master_v1_get_agents(struct api_v1_request *q);
Mesos__V1__Master__Response__GetFrameworks__Framework *master_v1_framework(
    struct arena *arena, const struct framework *f);
// The first event of SUBSCRIBE.
#define MASTER_V1_HEARTBEAT_S 15.0
struct answer_reader;
void master_v1_ask_subscribed(struct master_server *server, enum content_type type,
                              struct answer_reader *reader);
void master_v1_get_frameworks(struct api_v1_request *q);
void master_v1_get_executors(struct api_v1_request *q);
void master_v1_get_tasks(struct api_v1_request *q);
void master_v1_get_roles(struct api_v1_request *q);
void master_v1_get_state(struct api_v1_request *q);

// ---- master_v1_events.c ----
void master_v1_subscribe(struct api_v1_request *q);

// ---- master_operations.c ----
void master_v1_reserve_resources(struct api_v1_request *q);
void master_v1_unreserve_resources(struct api_v1_request *q);
void master_v1_create_volumes(struct api_v1_request *q);
void master_v1_destroy_volumes(struct api_v1_request *q);
int master_v1_check_grow_volume(const struct api_v1_request *q, struct error *err);
int master_v1_check_shrink_volume(const struct api_v1_request *q, struct error *err);
void master_v1_grow_volume(struct api_v1_request *q);
void master_v1_shrink_volume(struct api_v1_request *q);
void master_v1_get_operations(struct api_v1_request *q);

// ---- master_quota.c ----
void master_v1_get_weights(struct api_v1_request *q);
void master_v1_update_weights(struct api_v1_request *q);
void master_v1_get_quota(struct api_v1_request *q);
void master_v1_update_quota(struct api_v1_request *q);
void master_v1_set_quota(struct api_v1_request *q);
void master_v1_remove_quota(struct api_v1_request *q);

// ---- master_allocator.c ----
void master_v1_explain_offers(struct api_v1_request *q);

// ---- master_maintenance.c ----
void master_v1_get_maintenance_status(struct api_v1_request *q);
void master_v1_get_maintenance_schedule(struct api_v1_request *q);
void master_v1_update_maintenance_schedule(struct api_v1_request *q);
void master_v1_start_maintenance(struct api_v1_request *q);
void master_v1_stop_maintenance(struct api_v1_request *q);
