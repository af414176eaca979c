// SPDX-License-Identifier: Apache-2.0
//
// One executor on one agent, and its tasks, as the agent tells.
import { html } from '../lib.js';
import { href, seg } from '../router.js';
import { DataTable } from '../parts/table.js';
import { sandboxHref, taskHref } from '../parts/tasks.js';
import { Code, Empty, Facts, Failure, PageHead, Section, Skeleton, TaskState, Time } from '../parts/bits.js';
import { amount, shortId } from '../format.js';
import { executorPath, useAgentFramework } from './agent_framework.js';

export default function Executor({ params }) {
  const { data, framework: f, error, isLoading, reload } = useAgentFramework(params.agent, params.framework);
  const here = `/agents/${seg(params.agent)}/frameworks/${seg(params.framework)}`;
  const trail = [
    ['Agents', href('/agents')], [data?.hostname ?? shortId(params.agent), href(`/agents/${seg(params.agent)}`)],
    [f?.name || shortId(params.framework), href(here)],
  ];
  const all = f ? [...f.executors, ...f.completed_executors] : [];
  const e = all.find((one) => one.id === params.executor);
  const row = (t) => ({ ...t, agent_id: params.agent, framework_id: params.framework, executor_id: params.executor, updated: t.statuses?.at(-1)?.timestamp ?? 0 });
  const columns = [
    { key: 'id', title: 'Task', sort: true, width: '30%', cell: (t) => t.id },
    { key: 'name', title: 'Name', sort: true, width: '24%', hide: 'phone', cell: (t) => t.name },
    { key: 'state', title: 'State', sort: true, width: '8rem', cell: (t) => html`<${TaskState} state=${t.state ?? 'TASK_STAGING'} />` },
    { key: 'cpus', title: 'CPUs', align: 'end', width: '6rem', hide: 'phone', cell: (t) => amount('cpus', t.resources?.cpus) },
    { key: 'mem', title: 'Memory', align: 'end', width: '7rem', hide: 'phone', cell: (t) => amount('mem', t.resources?.mem) },
    { key: 'updated', title: 'Updated', sort: true, width: '8rem', hide: 'phone', cell: (t) => html`<${Time} at=${t.updated} />` },
    { key: 'sandbox', title: 'Sandbox', width: '7rem', cell: (t) => html`<a href=${sandboxHref(t)} aria-label=${`Sandbox of ${t.id}`}>Sandbox</a>` },
  ];
  const table = (id, title, rows, empty) => html`<${Section} id=${id} title=${title} count=${rows.length}>
    <${DataTable} label=${title} prefix=${id} rows=${rows.map(row)} columns=${columns} sort="updated" order="desc" search=${rows.length > 10} empty=${empty} rowHref=${taskHref} /><//>`;
  return html`
    <${PageHead} title=${params.executor} trail=${trail}>
      <p class="under"><a class="button" href=${href(`${executorPath(params.agent, params.framework, params.executor)}/browse`)}>Sandbox</a></p>
    <//>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${isLoading && html`<${Skeleton} lines=${6} />`}
    ${data && !e && html`<${Empty} title="This executor is not here">The agent keeps those that ended for a while only.<//>`}
    ${e && html`<${Facts} of=${[
      ['Name', e.name], ['Source', e.source], ['Container', html`<${Code}>${e.container}<//>`],
      ['CPUs', amount('cpus', e.resources?.cpus)], ['Memory', amount('mem', e.resources?.mem)],
    ]} />
      ${e.queued_tasks.length > 0 && table('queued', 'Queued tasks', e.queued_tasks)}
      ${table('active', 'Tasks', e.tasks, 'No task of it runs now')}
      ${table('completed', 'Completed tasks', e.completed_tasks, 'None has ended yet')}`}`;
}
