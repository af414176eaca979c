// SPDX-License-Identifier: Apache-2.0
//
// Tasks as tables show them, wherever they do.
import { html } from '../lib.js';
import { href, seg } from '../router.js';
import { amount, shortId } from '../format.js';
import { TaskState, Time } from './bits.js';

/** The sandbox of a task: the path that Mesos' page gave it. */
export const sandboxHref = (task) => href(
  `/agents/${seg(task.agent_id)}/frameworks/${seg(task.framework_id)}/executors/${seg(task.executor_id)}/tasks/${seg(task.id)}/browse`);

export const taskHref = (task) => href(`/frameworks/${seg(task.framework_id)}/tasks/${seg(task.id)}`);

/** Columns for DataTable on /dashboard/tasks; `without` names those that the page has no use for. */
export function taskColumns(without = []) {
  return [
    { key: 'id', title: 'Task', sort: true, width: '17%', cell: (t) => t.id },
    { key: 'name', title: 'Name', sort: true, width: '13%', hide: 'phone', cell: (t) => t.name },
    { key: 'state', title: 'State', sort: true, width: '7.5rem', phone: '7rem', cell: (t) => html`<${TaskState} state=${t.state} />`, hint: (t) => t.state },
    {
      key: 'framework', title: 'Framework', sort: true, width: '17%', hide: 'narrow', hint: (t) => t.framework_id,
      cell: (t) => html`<a href=${href(`/frameworks/${seg(t.framework_id)}`)}>${t.framework}</a>`,
    },
    { key: 'role', title: 'Role', sort: true, width: '9%', hide: 'narrow', cell: (t) => t.role },
    {
      key: 'agent', title: 'Agent', sort: true, width: '13%', hide: 'phone', hint: (t) => `${t.host} ${t.agent_id}`,
      cell: (t) => html`<a href=${href(`/agents/${seg(t.agent_id)}`)}>${t.host || shortId(t.agent_id)}</a>`,
    },
    { key: 'cpus', title: 'CPUs', sort: true, descends: true, align: 'end', width: '5rem', hide: 'narrow', cell: (t) => amount('cpus', t.resources.cpus) },
    { key: 'mem', title: 'Memory', sort: true, descends: true, align: 'end', width: '6rem', hide: 'narrow', cell: (t) => amount('mem', t.resources.mem) },
    { key: 'started', title: 'Started', sort: true, descends: true, width: '7.5rem', hide: 'phone', cell: (t) => html`<${Time} at=${t.started} />` },
    { key: 'updated', title: 'Updated', sort: true, descends: true, width: '7.5rem', hide: 'narrow', cell: (t) => html`<${Time} at=${t.updated} />` },
    { key: 'sandbox', title: 'Sandbox', width: '6.6rem', phone: '6rem', cell: (t) => html`<a href=${sandboxHref(t)} aria-label=${`Sandbox of ${t.id}`}>Sandbox</a>` },
  ].filter((column) => !without.includes(column.key));
}
