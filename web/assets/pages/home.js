// SPDX-License-Identifier: Apache-2.0
//
// Home: the cluster at a glance, its last hour, and the three tables of tasks that Mesos' home had.
import { html, useMemo, useState, useStore } from '../lib.js';
import { overview } from '../live.js';
import { useHistory } from '../history.js';
import { href, setQuery } from '../router.js';
import { Chart } from '../parts/chart.js';
import { DataTable } from '../parts/table.js';
import { taskColumns, taskHref } from '../parts/tasks.js';
import { Facts, Section, Skeleton, Time } from '../parts/bits.js';
import { RESOURCES, amount, number, percent, stateName } from '../format.js';

const ROLES_SHOWN = 6;

/** The largest roles one by one, and the others together. */
function seriesByRole(data, name) {
  const last = (list) => list[name].reduce((sum, value) => sum + value, 0);
  const roles = Object.entries(data.roles).sort(([, a], [, b]) => last(b) - last(a));
  const series = roles.slice(0, ROLES_SHOWN).map(([role, lists], i) => ({ name: role === '*' ? '* (default)' : role, kind: `c${i}`, values: lists[name] }));
  const others = roles.slice(ROLES_SHOWN);
  if (others.length > 0) {
    const values = others[0][1][name].map((_, i) => others.reduce((sum, [, lists]) => sum + (lists[name][i] ?? 0), 0));
    series.push({ name: `${others.length} others`, kind: 'c6', values });
  }
  return series;
}

function ResourceCard({ name, of, history, byRole }) {
  const free = Math.max(0, of.total - of.used - of.offered);
  const show = RESOURCES[name].show;
  const series = useMemo(() => {
    if (!history) return [];
    const lists = history.resources[name];
    return byRole ? seriesByRole(history, name) : [{ name: 'Used', kind: 'used', values: lists.used }, { name: 'Offered', kind: 'offered', values: lists.offered }];
  }, [history, byRole]);
  return html`<div class="card resource" id=${`use-${name}`}>
    <h2>${RESOURCES[name].title}</h2>
    <p class="big">${percent(of.used, of.total)} <span class="muted">of ${amount(name, of.total)} used</span></p>
    ${history ? html`<${Chart} label=${RESOURCES[name].title} series=${series} total=${history.resources[name].total} show=${show}
      newest=${history.newest} interval=${history.interval} />` : html`<div class="chart-room"></div>`}
    ${byRole ? html`<ul class="legend-row">${series.map((one) => html`<li key=${one.name} class=${one.kind}>${one.name}</li>`)}
        ${series.length === 0 && html`<li class="free">Nothing was used</li>`}</ul>`
      : html`<ul class="legend-row">
        <li class="used">Used <b>${amount(name, of.used)}</b></li>
        <li class="offered">Offered <b>${amount(name, of.offered)}</b></li>
        <li class="free">Free <b>${amount(name, free)}</b></li></ul>`}
  </div>`;
}

/** Figures in a card: [[name, value, href], ...]. */
const Figures = ({ id, title, total, to, of }) => html`<div class="card figures" id=${id}>
  <h2><a href=${to}>${title}</a></h2>
  <p class="big">${number(total)}</p>
  <dl>${of.map(([name, value, link]) => html`<div key=${name} class=${value ? '' : 'zero'}>
    <dt>${link && value ? html`<a href=${link}>${name}</a>` : name}</dt><dd>${number(value)}</dd></div>`)}</dl>
</div>`;

const STATES = ['TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_UNREACHABLE'];
const ENDS = ['TASK_FINISHED', 'TASK_KILLED', 'TASK_FAILED', 'TASK_LOST', 'TASK_ERROR', 'TASK_DROPPED', 'TASK_GONE', 'TASK_GONE_BY_OPERATOR'];
const ALWAYS = ['TASK_STAGING', 'TASK_RUNNING', 'TASK_FINISHED', 'TASK_KILLED', 'TASK_FAILED', 'TASK_LOST'];

function ClusterCards({ state }) {
  const { agents, frameworks, tasks } = state;
  const states = (names, counts) => names.filter((name) => counts[name] || ALWAYS.includes(name))
    .map((name) => [stateName(name), counts[name] ?? 0, href('/tasks', { state: name })]);
  const optional = (of) => of.filter(([, value, , always]) => value || always);
  return html`<div class="cards small">
    <${Figures} id="agents-card" title="Agents" total=${agents.total} to=${href('/agents')} of=${optional([
      ['Activated', agents.active, href('/agents', { search: 'active' }), true],
      ['Deactivated', agents.inactive, href('/agents', { sort: 'state', order: 'desc' }), true],
      ['Draining or drained', agents.draining, href('/agents', { search: 'drain' })],
      ['Unreachable', agents.unreachable, href('/agents', { search: 'unreachable' }), true],
      ['Not back since the failover', agents.awaited, href('/agents', { search: 'awaited' })],
      ['Gone', agents.gone, null],
    ])} />
    <${Figures} id="frameworks-card" title="Frameworks" total=${frameworks.total} to=${href('/frameworks')} of=${optional([
      ['Active', frameworks.active, href('/frameworks', { search: 'active' }), true],
      ['Disconnected', frameworks.disconnected, href('/frameworks', { search: 'disconnected' })],
      ['Completed', frameworks.completed, href('/frameworks'), true],
    ])} />
    <${Figures} id="tasks-card" title="Tasks" total=${tasks.active} to=${href('/tasks')} of=${[
      ...states(STATES, tasks.states), ...states(ENDS, tasks.ended)]} />
  </div>`;
}

const TABLES = [
  ['active', 'Active tasks', 'No task is active', 'A task appears here as soon as a framework launches it.'],
  ['unreachable', 'Unreachable tasks', 'No task is unreachable', ''],
  ['completed', 'Completed tasks', 'No task has ended yet', 'The newest of each framework stay here after they ended.'],
];

function TaskTable({ place, title, empty, emptyNote }) {
  const [count, setCount] = useState(null);
  return html`<${Section} id=${place} title=${title} count=${count}>
    <${DataTable} label=${title} prefix=${place} source="/dashboard/tasks" params=${{ place }} topics=${['tasks']}
      columns=${taskColumns()} sort=${place === 'active' ? 'started' : 'updated'} order="desc" rowHref=${taskHref}
      empty=${empty} emptyNote=${emptyNote} search=${count > 10}
      onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
  <//>`;
}

export default function Home({ query }) {
  const state = useStore(overview);
  const byRole = query.by === 'role';
  const { data: history } = useHistory({ byRole });
  if (!state) return html`<${Skeleton} lines=${8} />`;
  const names = Object.keys(RESOURCES).filter((name) => name !== 'gpus' || state.resources.gpus.total > 0);
  return html`
    <h1 class="sr">${state.cluster || 'Cluster'}</h1>
    <section aria-labelledby="use-title" class="use-section">
      <header class="section-head">
        <h2 id="use-title">Use over the last hour</h2>
        <div class="switch" role="group" aria-label="Show the use">
          <button type="button" aria-pressed=${!byRole} onClick=${() => setQuery({ by: '' })}>In total</button>
          <button type="button" aria-pressed=${byRole} onClick=${() => setQuery({ by: 'role' })}>By role</button>
        </div>
      </header>
      <div class="cards">${names.map((name) => html`<${ResourceCard} key=${name} name=${name} of=${state.resources[name]} history=${history} byRole=${byRole} />`)}</div>
    </section>
    <${ClusterCards} state=${state} />
    ${TABLES.filter(([place]) => place !== 'unreachable' || state.tasks.unreachable > 0).map(([place, title, empty, emptyNote]) =>
      html`<${TaskTable} key=${place} place=${place} title=${title} empty=${empty} emptyNote=${emptyNote} />`)}
    <${Facts} of=${[
      ['Leader', `${state.hostname}:${state.port}`],
      ['Elected', html`<${Time} at=${state.elected_time} />`],
      ['Started', html`<${Time} at=${state.start_time} />`],
      ['Version', state.version],
      ['Master', state.id],
    ]} />`;
}
