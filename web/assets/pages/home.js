// SPDX-License-Identifier: Apache-2.0
//
// Home: the cluster at a glance, and the three tables of tasks that Mesos' home had.
import { html, useState, useStore } from '../lib.js';
import { overview } from '../live.js';
import { DataTable } from '../parts/table.js';
import { taskColumns, taskHref } from '../parts/tasks.js';
import { Facts, Meter, Section, Skeleton, Time } from '../parts/bits.js';
import { RESOURCES, amount, number, percent } from '../format.js';

function ResourceCard({ name, of }) {
  const free = Math.max(0, of.total - of.used - of.offered);
  return html`<div class="card resource">
    <h2>${RESOURCES[name].title}</h2>
    <p class="big">${percent(of.used, of.total)} <span class="muted">used</span></p>
    <${Meter} used=${of.used} offered=${of.offered} total=${of.total} label=${`${RESOURCES[name].title}: ${percent(of.used, of.total)} used`} />
    <dl class="legend">
      <div><dt class="used">Used</dt><dd>${amount(name, of.used)}</dd></div>
      <div><dt class="offered">Offered</dt><dd>${amount(name, of.offered)}</dd></div>
      <div><dt class="free">Free</dt><dd>${amount(name, free)}</dd></div>
      <div><dt>Total</dt><dd>${amount(name, of.total)}</dd></div>
    </dl>
  </div>`;
}

const TABLES = [
  ['active', 'Active tasks', 'No task is active', 'Tasks appear here as soon as a framework launches one.'],
  ['unreachable', 'Unreachable tasks', 'No task is unreachable', ''],
  ['completed', 'Completed tasks', 'No task has ended yet', 'The newest of each framework are kept here after they ended.'],
];

function TaskTable({ place, title, empty, emptyNote }) {
  const [count, setCount] = useState(null);
  return html`<${Section} id=${place} title=${title} count=${count}>
    <${DataTable} label=${title} prefix=${place} source="/dashboard/tasks" params=${{ place }} topics=${['tasks']}
      columns=${taskColumns()} sort=${place === 'active' ? 'started' : 'updated'} order="desc" rowHref=${taskHref}
      empty=${empty} emptyNote=${emptyNote} onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
  <//>`;
}

export default function Home() {
  const state = useStore(overview);
  if (!state) return html`<${Skeleton} lines=${8} />`;
  const names = Object.keys(RESOURCES).filter((name) => name !== 'gpus' || state.resources.gpus.total > 0);
  return html`
    <h1 class="sr">${state.cluster || 'Cluster'}</h1>
    <${Facts} of=${[
      ['Leader', `${state.hostname}:${state.port}`],
      ['Elected', html`<${Time} at=${state.elected_time} />`],
      ['Started', html`<${Time} at=${state.start_time} />`],
      ['Version', state.version],
      ['Master', state.id],
    ]} />
    <div class="cards">${names.map((name) => html`<${ResourceCard} key=${name} name=${name} of=${state.resources[name]} />`)}</div>
    ${TABLES.filter(([place]) => place !== 'unreachable' || state.tasks.unreachable > 0).map(([place, title, empty, emptyNote]) =>
      html`<${TaskTable} key=${place} place=${place} title=${title} empty=${empty} emptyNote=${emptyNote} />`)}
    <p class="muted">${number(state.agents.active)} active agents, ${number(state.frameworks.active)} active frameworks.</p>`;
}
