// SPDX-License-Identifier: Apache-2.0
//
// How the master's records look in the v0 endpoints. Written from src/master/records.h, which is
// read only here.

#pragma once

#include "api/master_internal.h"
#include "api/v0_texts.h"
#include "wire/json.h"

// The Task message that a record stands for, statuses included; in `arena`, borrowing the record's
// texts.
Mesos__V1__Task *master_v0_task(struct arena *arena, const struct task *task);
// The object of /state; resets the arena first.
void master_v0_put_task(struct json_writer *w, struct v0_texts *texts, struct arena *arena,
                        const struct task *t);
Mesos__V1__ExecutorInfo *master_v0_executor(struct arena *arena, const struct executor *e);

// Subscribed, or with something in use that was allocated to the role: it may have left it since.
bool master_v0_is_in_role(const struct framework *f, const char *role);
// The names of all roles that somebody uses, and of their parents, sorted; in the arena.
size_t master_v0_roles(const struct master *m, struct arena *arena, const char ***ret_names);

// `full` adds the "..._full" lists. The caller opens and closes the object.
void master_v0_put_agent_members(struct json_writer *w, struct v0_texts *texts,
                                 const struct agent *a, bool full);
void master_v0_put_recovered_agent(struct json_writer *w, const struct recovered_agent *r);
void master_v0_put_framework_summary_members(struct json_writer *w, const struct framework *f);
// Between the two come the lists of its tasks, offers and executors.
void master_v0_put_framework_members(struct json_writer *w, const struct framework *f);
void master_v0_put_framework_last_members(struct json_writer *w, const struct framework *f);
// As the lists have them; reset the arena first.
void master_v0_put_offer(struct json_writer *w, struct arena *arena, const struct offer *o);
void master_v0_put_executor(struct json_writer *w, struct arena *arena, const struct executor *e);

static inline double master_v0_seconds(int64_t wall_ns)
{
    return (double)wall_ns / (double)NS_PER_S;
}
