// SPDX-License-Identifier: Apache-2.0
//
// The simulator's own books, kept from what crosses the borders of the cores and never from what a
// core says of itself. A contradiction ends the run.
//
// Books of a master's reign (forgotten with it): which offers are open, what was launched
// on each agent. They are a lower bound of what is in use: whatever the master may have given back
// by now counts as given back.
// Books of the whole run: the status-update streams of agents, what frameworks got of them and
// acknowledged, what executors said.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim/sim.h"

// "framework\nid", in the scratch arena: what is booked is found by that.
const char *ledger_pair(const struct sim *sim, const char *framework_id, const char *id);

// ---- offers and agents of one master: ledger_books.c, ledger_offers.c ----
struct books *books_new(struct master_host *host);
struct books *books_free(struct books *l);
// Every event that a master sends to a framework.
void books_event(struct books *l, const char *framework_id,
                 const Mesos__V1__Scheduler__Event *event);
// Its stream ended or changed: its offers are void.
void books_offers_end(struct books *l, const char *framework_id);
// Around a call; `status` as the master answered.
void books_call_begins(struct books *l, const char *framework_id,
                       const Mesos__V1__Scheduler__Call *call);
void books_call_ends(struct books *l, const char *framework_id,
                     const Mesos__V1__Scheduler__Call *call, int status);
// `message` is what it asked with over this link; not again when the master repeats its answer.
void books_agent_admitted(struct books *l, const char *agent_id,
                          const Meseta__Link__ToMaster *message);
void books_agent_disconnected(struct books *l, const char *agent_id);
void books_run_task(struct books *l, const char *agent_id,
                    const Meseta__Link__ToAgent__RunTask *run);
void books_operation(struct books *l, const char *agent_id,
                     const Meseta__Link__ToAgent__ApplyOperation *message);
void books_run_group(struct books *l, const char *agent_id,
                     const Meseta__Link__ToAgent__RunTaskGroup *run);
void books_from_agent(struct books *l, const char *agent_id, const Meseta__Link__ToMaster *message);
// No offer is open of an agent that is not here.
void books_check_offers(struct books *l);
// NULL when all that the agent has is offered, or what lacks.
const char *books_lacks_offers(const struct books *l, const char *agent_id);

// ---- tasks, of the whole run: ledger_tasks.c ----
struct ledger *ledger_new(struct sim *sim);
struct ledger *ledger_free(struct ledger *l);
// An agent sends an update to the master.
void ledger_update_sent(struct ledger *l, const Meseta__Link__ToMaster__StatusUpdate *update);
// A framework gets one; and acknowledges one.
void ledger_update_received(struct ledger *l, const char *framework_id,
                            const Mesos__V1__TaskStatus *status);
void ledger_update_acknowledged(struct ledger *l, const char *framework_id, const char *agent_id,
                                const char *task_id, const uint8_t *uuid);
// An executor is given a task: once in its life.
void ledger_task_given(struct ledger *l, const char *framework_id, const char *task_id);
// An executor's update that counted when the agent took it.
void ledger_executor_said(struct ledger *l, const char *agent_id, const char *framework_id,
                          const char *task_id, Mesos__V1__TaskState state);
// NULL when every update of an agent that lives has come to its framework, if that lives, and was
// acknowledged, and every end that an executor told is among them; or what lacks.
const char *ledger_lacks_told(struct ledger *l);
// The agent is no more: its streams owe nothing any more.
void ledger_agent_died(struct ledger *l, const char *agent_id);
// Its process ended: what it did not write down is forgotten.
void ledger_agent_crashed(struct ledger *l, const char *agent_id);
// It was told to end for good.
void ledger_agent_stops(struct ledger *l, const char *agent_id);
// The agent has durably taken the acknowledgement: it must not send that update again.
void ledger_acknowledgement_counts(struct ledger *l, const char *framework_id, const char *task_id,
                                   const uint8_t *uuid);
// The agent is told to end the framework: it may forget what it has of it.
void ledger_framework_shut_down(struct ledger *l, const char *framework_id, const char *agent_id);
void ledger_framework_died(struct ledger *l, const char *framework_id);
struct operations *ledger_operations(struct ledger *l);

// ---- operations, of the whole run: ledger_operations.c ----
struct operations *operations_new(struct sim *sim);
void operations_free(struct operations *o);
// A master sends it to an agent.
void operations_begin(struct operations *o, const char *agent_id,
                      const Meseta__Link__ToAgent__ApplyOperation *message);
// An agent says what became of one: one end, again and again until it is acknowledged.
void operations_sent(struct operations *o, const char *agent_id,
                     const Meseta__Link__ToMaster__OperationStatus *message);
// An agent that returns names those that are not acknowledged: the first that is heard of an end
// may be this.
void operations_named(struct operations *o, const Meseta__Link__ToMaster__Reregister *message);
// The agent has durably taken the acknowledgement.
void operations_acknowledged(struct operations *o, const uint8_t *uuid, const uint8_t *status_uuid);
// A framework hears of one: what its agent said.
void operations_told(struct operations *o, const char *framework_id,
                     const Mesos__V1__OperationStatus *status);
// The agent, or the framework, is no more (the other one NULL): nothing of it need be told.
void operations_excuse(struct operations *o, const char *agent_id, const char *framework_id);
// NULL when every end that an agent told has come to its framework, or what lacks.
const char *operations_lack_told(const struct operations *o);
