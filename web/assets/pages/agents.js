// SPDX-License-Identifier: Apache-2.0
//
// Agents: how full each is, at a glance and in a table.
import { html, useState, useStore } from '../lib.js';
import { href, seg, setQuery } from '../router.js';
import { overview } from '../live.js';
import { DataTable } from '../parts/table.js';
import { HeatMap } from '../parts/heat.js';
import { AgentState, Section, Time, Use } from '../parts/bits.js';
import { RESOURCES, number, shortId } from '../format.js';

const use = (name, width, hide) => ({
  key: name, title: RESOURCES[name].title, sort: true, descends: true, width, hide,
  cell: (a) => (a.total ? html`<${Use} name=${name} used=${a.used[name]} offered=${a.offered[name]} total=${a.total[name]} />` : '–'),
});

const columns = (hasGpus) => [
  { key: 'host', title: 'Host', sort: true, width: '18%', cell: (a) => a.host || shortId(a.id), hint: (a) => a.id },
  { key: 'id', title: 'Id', sort: true, width: '15%', hide: 'narrow', cell: (a) => html`<code title=${a.id}>${shortId(a.id)}</code>` },
  { key: 'state', title: 'State', sort: true, width: '8.5rem', phone: '6.6rem', cell: (a) => html`<${AgentState} state=${a.state} />`, hint: (a) => a.state },
  { key: 'tasks', title: 'Tasks', sort: true, descends: true, align: 'end', width: '5rem', phone: '4rem', cell: (a) => number(a.tasks) },
  use('cpus', '13%'),
  use('mem', '13%', 'phone'),
  use('disk', '13%', 'narrow'),
  ...(hasGpus ? [use('gpus', '9%', 'narrow')] : []),
  { key: 'registered', title: 'Registered', sort: true, descends: true, width: '8rem', hide: 'narrow', cell: (a) => html`<${Time} at=${a.reregistered || a.registered || a.since} />` },
];

export default function Agents({ query }) {
  const [count, setCount] = useState(null);
  const hasGpus = useStore(overview, (state) => (state?.resources.gpus.total ?? 0) > 0);
  const names = Object.keys(RESOURCES).filter((name) => name !== 'gpus' || hasGpus);
  const resource = names.includes(query.heat) ? query.heat : 'cpus';
  const choice = html`<div class="switch" role="group" aria-label="Show the use of">${names.map((name) => html`<button key=${name} type="button"
    aria-pressed=${name === resource} onClick=${() => setQuery({ heat: name === 'cpus' ? '' : name })}>${RESOURCES[name].title}</button>`)}</div>`;
  return html`
    <h1>Agents</h1>
    <${Section} id="heat-map" title="How full each is" actions=${choice}><${HeatMap} resource=${resource} /><//>
    <${Section} id="agents" title="All agents" count=${count}>
      <${DataTable} label="Agents" source="/dashboard/agents" topics=${['agents', 'tasks', 'offers']} columns=${columns(hasGpus)} sort="host" order="asc"
        rowHref=${(a) => href(`/agents/${seg(a.id)}`)} tall=${true} empty="No agent has registered yet" onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
    <//>`;
}
