// SPDX-License-Identifier: Apache-2.0
//
// Where sandboxes lie. People and tools build these paths by hand, so they are Mesos' own:
// <work_dir>/slaves/ID/frameworks/ID/executors/ID/runs/CONTAINER.

#include "agent/internal.h"

#include "base/check.h"

const char *agent_path_framework(const struct agent *agent, const char *framework_id,
                                 struct arena *arena)
{
    CHECK(agent->info->id != NULL);
    return arena_printf(arena, "%s/slaves/%s/frameworks/%s", agent->options.work_dir,
                        agent->info->id->value, framework_id);
}

const char *agent_path_executor(const struct agent *agent, const char *framework_id,
                                const char *executor_id, struct arena *arena)
{
    return arena_printf(arena, "%s/executors/%s", agent_path_framework(agent, framework_id, arena),
                        executor_id);
}

const char *agent_path_run(const struct agent *agent, const char *framework_id,
                           const char *executor_id, const char *run, struct arena *arena)
{
    return arena_printf(arena, "%s/runs/%s",
                        agent_path_executor(agent, framework_id, executor_id, arena), run);
}
