// SPDX-License-Identifier: Apache-2.0
//
// The last hour of the cluster's use: samples in a ring.

#pragma once

#include "api/master_v0.h"

struct dashboard_history;

struct dashboard_history *dashboard_history_new(void);
struct dashboard_history *dashboard_history_free(struct dashboard_history *h);
// One more sample; to be called every dashboard_history_interval_ns. Takes time in proportion to
// the frameworks.
void dashboard_history_take(struct dashboard_history *h, const struct master *m, int64_t wall_ns);
// As a value: {"interval", "newest", "samples", "resources": {"cpus": {"total": [...], "used",
// "offered"}, ...}, "tasks": [...], "roles": {NAME: {"cpus": [...], ...}}}, the oldest first.
void dashboard_history_put(const struct dashboard_history *h, struct json_writer *w);
int64_t dashboard_history_interval_ns(void);
