// SPDX-License-Identifier: Apache-2.0
//
// Maintenance: the windows of the schedule, the machines in them, and what frameworks answered to the inverse offers.
import { html } from '../lib.js';
import { href } from '../router.js';
import { useLive } from '../data.js';
import { DataTable } from '../parts/table.js';
import { Empty, Failure, PageHead, Pill, Section, Skeleton } from '../parts/bits.js';
import { date, duration, plural } from '../format.js';

const keyOf = (machine) => `${(machine.hostname ?? '').toLowerCase()}|${machine.ip ?? ''}`;
const nameOf = (machine) => [...new Set([machine.hostname, machine.ip])].filter(Boolean).join(', ');
const secondsOf = (time) => (time ? Number(time.nanoseconds) / 1e9 : null);

/** "from 3 Dec, for 2 h", and how far it is. */
function windowText({ start, duration: lasts }, now = Date.now() / 1000) {
  const from = secondsOf(start);
  const length = secondsOf(lasts);
  const until = length === null ? null : from + length;
  const text = `${date(from)}, ${length === null ? 'open end' : `for ${duration(length)}`}`;
  if (now < from) return [text, `begins in ${duration(from - now)}`];
  if (until !== null && now > until) return [text, `was to end ${duration(now - until)} ago`];
  return [text, until === null ? `began ${duration(now - from)} ago` : `ends in ${duration(until - now)}`];
}

/** What frameworks said: {accepted, declined, silent}. */
function answers(statuses = []) {
  const count = (status) => statuses.filter((one) => (one.status ?? 'UNKNOWN') === status).length;
  return { accepted: count('ACCEPT'), declined: count('DECLINE'), silent: count('UNKNOWN') };
}

function Answers({ of }) {
  const { accepted, declined, silent } = of;
  if (accepted + declined + silent === 0) return html`<span class="muted">nobody is asked</span>`;
  return html`<span class="ends">${[[accepted, 'agreed', 'good'], [declined, 'declined', 'bad'], [silent, 'no answer', 'quiet']]
    .filter(([count]) => count > 0).map(([count, text, kind]) => html`<${Pill} key=${text} kind=${kind}>${count} ${text}<//>`)}</span>`;
}

const columns = [
  {
    key: 'name', title: 'Machine', sort: true, width: '34%',
    cell: (m) => html`<a href=${href('/agents', { search: m.machine.hostname || m.machine.ip })}>${m.name}</a>`, hint: (m) => m.name,
  },
  { key: 'state', title: 'State', sort: true, width: '9rem', cell: (m) => html`<${Pill} kind=${{ Up: 'good', Draining: 'warn', Down: 'quiet' }[m.state]}>${m.state}<//>` },
  { key: 'answers', title: 'Frameworks', width: '26%', hide: 'phone', cell: (m) => (m.state === 'Draining' ? html`<${Answers} of=${m.answers} />` : '') },
];

function MaintenanceWindow({ of, index, states }) {
  const machines = of.machine_ids.map((machine) => ({ machine, name: nameOf(machine), ...(states.get(keyOf(machine)) ?? { state: 'Up', answers: answers() }) }));
  const [text, relative] = windowText(of.unavailability);
  return html`<${Section} id=${`window-${index}`} title=${text} count=${plural(machines.length, 'machine')} note=${relative}>
    <${DataTable} label=${`Machines of window ${index + 1}`} prefix=${`w${index}`} rows=${machines} columns=${columns} sort="name" search=${machines.length > 12} /><//>`;
}

export default function Maintenance() {
  const schedule = useLive('/maintenance/schedule', {}, { topics: ['maintenance'] });
  const status = useLive('/maintenance/status', {}, { topics: ['maintenance'] });
  const error = schedule.error ?? status.error;
  const head = html`<${PageHead} title="Maintenance"><p class="muted">Agents on machines in the schedule are offered with their window; frameworks are asked to
    leave by inverse offers. Down machines have no agent.</p><//>`;
  if (error) return html`${head}<${Failure} error=${error} retry=${() => { schedule.reload(); status.reload(); }} />`;
  if (!schedule.data || !status.data) return html`${head}<${Skeleton} lines=${6} />`;
  const states = new Map();
  for (const one of status.data.draining_machines ?? []) states.set(keyOf(one.id), { state: 'Draining', answers: answers(one.statuses) });
  for (const one of status.data.down_machines ?? []) states.set(keyOf(one), { state: 'Down', answers: answers() });
  const windows = schedule.data.windows ?? [];
  return html`${head}
    ${windows.length === 0 && html`<div class="card"><${Empty} title="No maintenance is scheduled">
      An operator schedules it with <code>mesos maintenance schedule</code> or <code>POST /maintenance/schedule</code>.<//></div>`}
    ${windows.map((one, i) => html`<${MaintenanceWindow} key=${i} of=${one} index=${i} states=${states} />`)}`;
}
