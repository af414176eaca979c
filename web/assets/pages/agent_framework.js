// SPDX-License-Identifier: Apache-2.0
//
// What one framework runs on one agent: its executors there, as the agent itself tells (through the master).
import { html } from '../lib.js';
import { href, seg } from '../router.js';
import { useLive } from '../data.js';
import { DataTable } from '../parts/table.js';
import { Code, Empty, Facts, Failure, PageHead, Section, Skeleton } from '../parts/bits.js';
import { amount, number, shortId } from '../format.js';

/** The agent's own view of a framework: its executors of now and before. */
export function useAgentFramework(agentId, frameworkId) {
  const answer = useLive(`/agent/${seg(agentId)}/state`, {}, { topics: ['tasks'] });
  if (!answer.data) return { ...answer, framework: null };
  const { frameworks, completed_frameworks: completed } = answer.data;
  const now = frameworks.find((f) => f.id === frameworkId);
  // An ended framework may be there more than once: each time with other executors.
  const before = completed.filter((f) => f.id === frameworkId);
  const all = [now, ...before].filter(Boolean);
  if (all.length === 0) return { ...answer, framework: null };
  return {
    ...answer,
    framework: {
      ...all[0], isHere: Boolean(now),
      executors: all.flatMap((f) => f.executors ?? []),
      completed_executors: all.flatMap((f) => f.completed_executors ?? []),
    },
  };
}

export const executorPath = (agentId, frameworkId, executorId) =>
  `/agents/${seg(agentId)}/frameworks/${seg(frameworkId)}/executors/${seg(executorId)}`;

export default function AgentFramework({ params }) {
  const { data, framework: f, error, isLoading, reload } = useAgentFramework(params.agent, params.framework);
  const trail = [['Agents', href('/agents')], [data?.hostname ?? shortId(params.agent), href(`/agents/${seg(params.agent)}`)]];
  const columns = [
    { key: 'id', title: 'Executor', sort: true, width: '30%', cell: (e) => e.id },
    { key: 'name', title: 'Name', sort: true, width: '22%', hide: 'phone', cell: (e) => e.name || '–' },
    { key: 'tasks', title: 'Tasks', sort: (e) => e.tasks.length + e.queued_tasks.length, align: 'end', width: '6rem', cell: (e) => number(e.tasks.length + e.queued_tasks.length) },
    { key: 'completed', title: 'Ended', sort: (e) => e.completed_tasks.length, align: 'end', width: '6rem', hide: 'phone', cell: (e) => number(e.completed_tasks.length) },
    { key: 'cpus', title: 'CPUs', sort: (e) => e.resources?.cpus ?? 0, align: 'end', width: '6rem', hide: 'phone', cell: (e) => amount('cpus', e.resources?.cpus) },
    { key: 'mem', title: 'Memory', sort: (e) => e.resources?.mem ?? 0, align: 'end', width: '7rem', hide: 'phone', cell: (e) => amount('mem', e.resources?.mem) },
    { key: 'sandbox', title: 'Sandbox', width: '7rem', cell: (e) => html`<a href=${href(`${executorPath(params.agent, params.framework, e.id)}/browse`)} aria-label=${`Sandbox of ${e.id}`}>Sandbox</a>` },
  ];
  const table = (id, title, rows, empty) => html`<${Section} id=${id} title=${title} count=${rows.length}>
    <${DataTable} label=${title} prefix=${id} rows=${rows} columns=${columns} sort="id" search=${rows.length > 10} empty=${empty}
      rowHref=${(e) => href(executorPath(params.agent, params.framework, e.id))} /><//>`;
  return html`
    <${PageHead} title=${f?.name || params.framework} trail=${trail}>
      <p class="under"><a href=${href(`/frameworks/${seg(params.framework)}`)}>The framework in the whole cluster</a> <${Code}>${params.framework}<//></p>
    <//>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${isLoading && html`<${Skeleton} lines=${6} />`}
    ${data && !f && html`<${Empty} title="Nothing of this framework is here">The agent keeps what ended for a while only.<//>`}
    ${f && html`<${Facts} of=${[['User', f.user], ['Role', f.role ?? f.roles?.join(', ')], ['Checkpoints', f.checkpoint ? 'yes' : 'no']]} />
      ${table('executors', 'Executors', f.executors, 'None runs here now')}
      ${table('completed', 'Completed executors', f.completed_executors, 'None has ended here yet')}`}`;
}
