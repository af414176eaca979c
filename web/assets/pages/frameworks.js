// SPDX-License-Identifier: Apache-2.0
//
// Frameworks, running and completed.
import { html, useState } from '../lib.js';
import { href, seg } from '../router.js';
import { DataTable } from '../parts/table.js';
import { FrameworkState, Section, Time } from '../parts/bits.js';
import { amount, number, percent, shortId } from '../format.js';

const frameworkHref = (f) => href(`/frameworks/${seg(f.id)}`);

const columns = (isCompleted) => [
  { key: 'name', title: 'Framework', sort: true, width: '20%', cell: (f) => f.name || f.id, hint: (f) => f.id },
  { key: 'id', title: 'Id', sort: true, width: '18%', hide: 'narrow', cell: (f) => html`<code title=${f.id}>${shortId(f.id)}</code>` },
  { key: 'state', title: 'State', sort: true, width: '8rem', cell: (f) => html`<${FrameworkState} state=${f.state} />`, hint: (f) => f.state },
  { key: 'roles', title: 'Roles', sort: true, width: '12%', hide: 'phone', cell: (f) => f.roles.join(', ') },
  { key: 'user', title: 'User', width: '7rem', hide: 'narrow', cell: (f) => f.user },
  ...(isCompleted ? [
    { key: 'done', title: 'Tasks kept', align: 'end', width: '7rem', cell: (f) => number(f.completed_tasks) },
  ] : [
    { key: 'tasks', title: 'Tasks', sort: true, descends: true, align: 'end', width: '5.5rem', cell: (f) => number(f.tasks) },
    { key: 'cpus', title: 'CPUs', sort: true, descends: true, align: 'end', width: '6.5rem', hide: 'phone', cell: (f) => amount('cpus', f.used.cpus) },
    { key: 'mem', title: 'Memory', sort: true, descends: true, align: 'end', width: '6.5rem', hide: 'phone', cell: (f) => amount('mem', f.used.mem) },
    { key: 'share', title: 'Share', sort: true, descends: true, align: 'end', width: '5.5rem', hide: 'narrow', cell: (f) => percent(f.share, 1) },
  ]),
  { key: 'registered', title: 'Registered', sort: true, descends: true, width: '8rem', hide: 'narrow', cell: (f) => html`<${Time} at=${f.registered} />` },
  ...(isCompleted ? [{ key: 'ended', title: 'Ended', sort: true, descends: true, width: '8rem', hide: 'phone', cell: (f) => html`<${Time} at=${f.ended} />` }] : []),
];

function Table({ id, title, state, sort, empty, note }) {
  const [count, setCount] = useState(null);
  return html`<${Section} id=${id} title=${title} count=${count}>
    <${DataTable} label=${title} prefix=${state === 'completed' ? 'completed' : ''} source="/dashboard/frameworks" params=${{ state }}
      topics=${state === 'completed' ? ['frameworks'] : ['frameworks', 'tasks']} columns=${columns(state === 'completed')}
      sort=${sort} order="desc" rowHref=${frameworkHref} empty=${empty} emptyNote=${note}
      onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
  <//>`;
}

export default () => html`
  <h1>Frameworks</h1>
  <${Table} id="frameworks" title="Running" state="running" sort="registered" empty="No framework has subscribed yet"
    note=${html`Start one against this master, or run a command: <code>mesos-execute --master=${location.host} --name=hello --command='echo hello'</code>`} />
  <${Table} id="completed" title="Completed" state="completed" sort="ended" empty="No framework has ended yet"
    note="The newest stay here with their newest tasks." />`;
