// SPDX-License-Identifier: Apache-2.0
//
// One agent: what it has, who uses it, and its tasks.
import { html, useState } from '../lib.js';
import { href, seg } from '../router.js';
import { useLive } from '../data.js';
import { DataTable } from '../parts/table.js';
import { taskColumns, taskHref } from '../parts/tasks.js';
import { AgentState, Code, Facts, Failure, PageHead, Section, Skeleton, TaskState, Time, Use } from '../parts/bits.js';
import { AgentActions } from '../parts/actions.js';
import { RESOURCES, amount, amountOf, date, number } from '../format.js';

const frameworkHref = (agent) => (f) => href(`/agents/${seg(agent.id)}/frameworks/${seg(f.id)}`);
const executorHref = (agent) => (e) => href(`/agents/${seg(agent.id)}/frameworks/${seg(e.framework_id)}/executors/${seg(e.id)}`);

const running = (f) => Object.values(f.states).reduce((sum, value) => sum + value, 0);

const frameworkColumns = [
  { key: 'name', title: 'Framework', sort: true, width: '28%', cell: (f) => f.name || f.id, hint: (f) => f.id },
  { key: 'user', title: 'User', sort: true, width: '12%', hide: 'phone', cell: (f) => f.user },
  { key: 'tasks', title: 'Tasks', sort: running, descends: true, align: 'end', width: '6rem', cell: (f) => number(running(f)) },
  { key: 'states', title: 'By state', width: '30%', hide: 'phone', cell: (f) => html`<span class="ends">${Object.entries(f.states).map(([state, count]) => html`<span key=${state}><${TaskState} state=${state} /> ${number(count)}</span>`)}</span>` },
  { key: 'cpus', title: 'CPUs', sort: (f) => f.used.cpus, descends: true, align: 'end', width: '6rem', cell: (f) => amount('cpus', f.used.cpus) },
  { key: 'mem', title: 'Memory', sort: (f) => f.used.mem, descends: true, align: 'end', width: '7rem', cell: (f) => amount('mem', f.used.mem) },
];

const executorColumns = [
  { key: 'id', title: 'Executor', sort: true, width: '26%', cell: (e) => e.id },
  { key: 'name', title: 'Name', sort: true, width: '20%', hide: 'phone', cell: (e) => e.name },
  { key: 'framework', title: 'Framework', sort: true, width: '24%', cell: (e) => html`<a href=${href(`/frameworks/${seg(e.framework_id)}`)}>${e.framework}</a>`, hint: (e) => e.framework_id },
  { key: 'cpus', title: 'CPUs', sort: (e) => e.used.cpus, align: 'end', width: '6rem', cell: (e) => amount('cpus', e.used.cpus) },
  { key: 'mem', title: 'Memory', sort: (e) => e.used.mem, align: 'end', width: '7rem', cell: (e) => amount('mem', e.used.mem) },
];

const attributes = (of) => Object.entries(of).map(([name, value]) => `${name}: ${value}`).join(', ');

function reserved(of) {
  return Object.entries(of).map(([role, amounts]) => `${role}: ${Object.entries(amounts)
    .filter(([, value]) => value).map(([name, value]) => (typeof value === 'number' ? amountOf(name, value) : `${name} ${value}`)).join(', ')}`).join('; ');
}

function Tasks({ id, place, title, empty }) {
  const [count, setCount] = useState(null);
  return html`<${Section} id=${place} title=${title} count=${count}>
    <${DataTable} label=${title} prefix=${place} source="/dashboard/tasks" params=${{ place, agent: id }} topics=${['tasks']}
      columns=${taskColumns(['agent'])} sort=${place === 'active' ? 'started' : 'updated'} order="desc" rowHref=${taskHref}
      search=${count > 10} empty=${empty} onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
  <//>`;
}

const STATE_TEXTS = {
  unreachable: 'The master does not hear of this agent any more: its tasks are marked unreachable until it comes back.',
  awaited: 'The registry knows this agent; it has not come back yet since this master was elected.',
  disconnected: 'The connection to this agent broke. It is given time to come back.',
  deactivated: 'An operator deactivated this agent: its tasks run on, and it is offered to nobody.',
  draining: 'This agent is drained: its tasks are being killed, and it is offered to nobody.',
  drained: 'This agent is drained: nothing runs on it, and it is offered to nobody.',
};

function Details({ agent, info }) {
  return html`
    <${Facts} of=${[
      ['Address', info.pid.replace(/^.*@/, '')],
      ['Registered', html`<${Time} at=${agent.registered} />`],
      ['Reregistered', agent.reregistered ? html`<${Time} at=${agent.reregistered} />` : null],
      ['Version', agent.version],
      ['Attributes', attributes(info.attributes)],
      ['Region', info.domain?.fault_domain?.region.name],
      ['Zone', info.domain?.fault_domain?.zone.name],
      ['Ports', info.resources.ports],
      ['Reserved', reserved(info.reserved_resources)],
      ['Unavailable from', info.unavailability ? date(info.unavailability.start.nanoseconds / 1e9) : null],
    ]} />
    <div class="cards tight">${Object.keys(RESOURCES).filter((name) => agent.total[name] > 0).map((name) => html`<div class="card" key=${name}>
      <h2 class="quiet">${RESOURCES[name].title}</h2>
      <${Use} name=${name} used=${agent.used[name]} offered=${agent.offered[name]} total=${agent.total[name]} />
      <p class="muted small">${amount(name, agent.offered[name])} offered</p>
    </div>`)}</div>
    <${Section} id="frameworks" title="Frameworks here" count=${agent.frameworks.length}>
      <${DataTable} label="Frameworks here" prefix="frameworks" rows=${agent.frameworks} columns=${frameworkColumns} sort="name" search=${agent.frameworks.length > 10}
        rowHref=${frameworkHref(agent)} empty="Nobody uses this agent" />
    <//>
    ${agent.executors.length > 0 && html`<${Section} id="executors" title="Executors" count=${agent.executors.length} note="Of command tasks each is its own.">
      <${DataTable} label="Executors" prefix="executors" rows=${agent.executors} columns=${executorColumns} sort="id" search=${agent.executors.length > 10} rowHref=${executorHref(agent)} />
    <//>`}`;
}

export default function Agent({ params }) {
  const { data: agent, error, isLoading, reload } = useLive('/dashboard/agent', { id: params.agent }, { topics: ['agents', 'tasks', 'offers', 'maintenance'] });
  const trail = [['Agents', href('/agents')]];
  if (error && !agent) {
    return html`<${PageHead} title=${params.agent} trail=${trail} />
      <${Failure} error=${error} retry=${reload} />`;
  }
  if (isLoading) return html`<${Skeleton} lines=${8} />`;
  return html`
    <${PageHead} title=${agent.host || agent.id} trail=${trail}>
      <p class="under"><${AgentState} state=${agent.state} /> <${Code}>${agent.id}<//></p>
      ${STATE_TEXTS[agent.state] && html`<p class="muted" id="agent-state">${STATE_TEXTS[agent.state]} ${agent.since ? html`Since <${Time} at=${agent.since} />.` : ''}</p>`}
    <//>
    <${AgentActions} agent=${agent} done=${reload} />
    ${agent.info && html`<${Details} agent=${agent} info=${agent.info} />`}
    <${Tasks} id=${agent.id} place=${agent.state === 'unreachable' ? 'unreachable' : 'active'} title=${agent.state === 'unreachable' ? 'Unreachable tasks' : 'Active tasks'} empty="No task runs here" />
    <${Tasks} id=${agent.id} place="completed" title="Completed tasks" empty="No task has ended here yet" />`;
}
