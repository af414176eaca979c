// SPDX-License-Identifier: Apache-2.0
//
// One framework: what it is and has, its share, why it is not offered more, and its tasks with their sandboxes.
import { html, useState } from '../lib.js';
import { href, seg } from '../router.js';
import { useLive, getJson } from '../data.js';
import { DataTable } from '../parts/table.js';
import { taskColumns, taskHref } from '../parts/tasks.js';
import { Code, Facts, Failure, FrameworkState, PageHead, Pill, Section, Skeleton, TaskState, Time, webLink } from '../parts/bits.js';
import { RESOURCES, amount, amountOf, date, duration, number, percent, plural } from '../format.js';

// ---- fair share ----

function Share({ standing }) {
  const { share, role_share: roleShare, weight, role } = standing;
  const width = (value) => ({ width: `${Math.min(100, 100 * value)}%` });
  return html`<div class="share">
    <h3><a href=${href('/roles')}>${role}</a> ${standing.suppressed && html`<${Pill} kind="quiet">Offers suppressed<//>`}</h3>
    <dl>
      <div><dt>This framework</dt><dd><span class="meter" role="img" aria-label=${percent(share, 1)}><i class="used" style=${width(share)}></i></span><b>${percent(share, 1)}</b></dd></div>
      <div><dt>The role ${weight !== 1 ? `(weight ${number(weight, 2)})` : ''}</dt><dd><span class="meter" role="img" aria-label=${percent(roleShare, 1)}><i class="role" style=${width(roleShare)}></i></span><b>${percent(roleShare, 1)}</b></dd></div>
    </dl>
    ${standing.filters > 0 && html`<p class="muted">${plural(standing.filters, 'agent')} declined for now</p>`}
  </div>`;
}

function Shares({ framework }) {
  if (framework.standings.length === 0) return null;
  return html`<${Section} id="shares" title="Fair share" note="Of what it holds most of; who has the smallest share in a role is offered first.">
    <div class="cards">${framework.standings.map((standing) => html`<div class="card" key=${standing.role}><${Share} standing=${standing} /></div>`)}</div>
  <//>`;
}

// ---- the allocator's why ----

const free = (amounts) => Object.keys(amounts).filter((name) => amounts[name] > 0).map((name) => amountOf(name, amounts[name])).join(', ');

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function WhyRole({ role }) {
  return html`<div class="card why">
    <h3>In the role ${role.role}</h3>
    <p>${sentence(role.text)}.</p>
    ${role.not_offered.length === 0 ? html`<p class="muted">There are no agents to offer.</p>` : html`<ul>
      ${[...role.not_offered].sort((a, b) => b.agents - a.agents).map((group) => html`<li key=${group.reason + group.detail}>
        <b>${plural(group.agents, 'agent')}</b> ${group.reason === 'NEXT_ROUND' ? '' : 'not offered: '}${group.text}.
        ${free(group.free) && html`<span class="muted"> Free there: ${free(group.free)}.</span>`}
        <span class="agents"> ${group.agent_ids.slice(0, 5).map((id) => html`<a key=${id} href=${href(`/agents/${seg(id)}`)}>${id.split('-').at(-1)}</a> `)}${group.agents > 5 ? '…' : ''}</span>
      </li>`)}
    </ul>`}
  </div>`;
}

const LatestOffers = ({ offers }) => html`<details class="card">
  <summary>The latest of ${plural(offers.made, 'offer')}</summary>
  <ul class="plain">${offers.latest.map((offer, i) => html`<li key=${i}><time>${date(offer.time)}</time>
    <a href=${href(`/agents/${seg(offer.agent_id)}`)}>${offer.hostname ?? offer.agent_id}</a> <span class="muted">${offer.resources}, to ${offer.role}</span></li>`)}</ul>
</details>`;

/** It looks at every agent, so it is asked once, and again when somebody wants it. */
function Why({ id }) {
  const [state, setState] = useState({ isOpen: false, data: null, error: null, at: 0 });
  const ask = async () => {
    setState((old) => ({ ...old, isOpen: true, error: null }));
    try {
      const data = await getJson('/master/allocator', { framework: id });
      setState({ isOpen: true, data, error: null, at: Date.now() / 1000 });
    } catch (error) {
      setState({ isOpen: true, data: null, error, at: 0 });
    }
  };
  const { isOpen, data, error, at } = state;
  const button = html`<button type="button" id="ask-why" onClick=${ask}>${data ? 'Ask again' : 'Ask the allocator'}</button>`;
  return html`<${Section} id="why" title="Why is it not offered more?" actions=${button}
      note=${data ? html`As of <${Time} at=${at} />` : 'The allocator gives its reason for each agent.'}>
    ${error && html`<${Failure} error=${error} retry=${ask} />`}
    ${isOpen && !data && !error && html`<${Skeleton} />`}
    ${data && html`<div class="why-roles">${data.roles.map((role) => html`<${WhyRole} key=${role.role} role=${role} />`)}
      ${data.offers.latest.length > 0 && html`<${LatestOffers} offers=${data.offers} />`}</div>`}
  <//>`;
}

// ---- tasks ----

const TABLES = [
  ['active', 'Active tasks', 'It has no active task', ''],
  ['unreachable', 'Unreachable tasks', 'None', ''],
  ['completed', 'Completed tasks', 'None of its tasks has ended yet', ''],
];

function Tasks({ id, place, title, empty }) {
  const [count, setCount] = useState(null);
  return html`<${Section} id=${place} title=${title} count=${count}>
    <${DataTable} label=${title} prefix=${place} source="/dashboard/tasks" params=${{ place, framework: id }} topics=${['tasks']}
      columns=${taskColumns(['framework'])} sort=${place === 'active' ? 'started' : 'updated'} order="desc" rowHref=${taskHref}
      search=${count > 10} empty=${empty} onAnswer=${(data) => !data.isLoading && setCount(data.total)} />
  <//>`;
}

const Ends = ({ states }) => {
  const list = Object.entries(states);
  if (list.length === 0) return null;
  return html`<span class="ends">${list.map(([state, count]) => html`<span key=${state}><${TaskState} state=${state} /> ${number(count)}</span>`)}</span>`;
};

export default function Framework({ params }) {
  const { data: f, error, isLoading, reload } = useLive('/dashboard/framework', { id: params.framework }, { topics: ['frameworks', 'tasks', 'offers'] });
  const trail = [['Frameworks', href('/frameworks')]];
  if (error && !f) {
    return html`<${PageHead} title=${params.framework} trail=${trail} />
      <${Failure} error=${error} retry=${reload} />`;
  }
  if (isLoading) return html`<${Skeleton} lines=${8} />`;
  const web = webLink(f.webui_url);
  const held = Object.keys(RESOURCES).filter((name) => name !== 'gpus' || f.used.gpus || f.offered.gpus);
  return html`
    <${PageHead} title=${f.name || f.id} trail=${trail}>
      <p class="under"><${FrameworkState} state=${f.state} /> <${Code}>${f.id}<//>${web && html` <a href=${web} rel="noreferrer">Its own page</a>`}</p>
    <//>
    <${Facts} of=${[
      ['Roles', f.roles.join(', ')],
      ['User', f.user],
      ['Principal', f.principal],
      ['Host', f.hostname],
      ['Registered', html`<${Time} at=${f.registered} />`],
      ['Reregistered', f.reregistered && f.reregistered !== f.registered ? html`<${Time} at=${f.reregistered} />` : null],
      ['Ended', f.ended ? html`<${Time} at=${f.ended} />` : null],
      ['Failover timeout', duration(f.failover_timeout)],
      ['Checkpoints', f.checkpoint ? 'yes' : 'no'],
      ['Agents', f.agents ? number(f.agents) : null],
      ['Executors', f.executors ? number(f.executors) : null],
      ['Capabilities', f.capabilities.length ? f.capabilities.map((name) => name.toLowerCase().replaceAll('_', ' ')).join(', ') : null],
      ['Tasks that ended', Object.keys(f.ended_states).length ? html`<${Ends} states=${f.ended_states} />` : null],
    ]} />
    ${f.state !== 'completed' && html`<div class="cards tight">${held.map((name) => html`<div class="card" key=${name}>
      <h2 class="quiet">${RESOURCES[name].title}</h2><p class="big">${amount(name, f.used[name])} <span class="muted">used</span></p>
      <p class="muted">${amount(name, f.offered[name])} offered</p></div>`)}
      <div class="card"><h2 class="quiet">Offers</h2><p class="big">${number(f.offers.outstanding)} <span class="muted">open</span></p>
        <p class="muted">${number(f.offers.accepted)} accepted, ${number(f.offers.declined)} declined${f.offers.rescinded ? `, ${number(f.offers.rescinded)} rescinded` : ''}</p></div></div>`}
    <${Shares} framework=${f} />
    ${f.state !== 'completed' && html`<${Why} id=${f.id} />`}
    ${TABLES.filter(([place]) => place === 'completed' || (place === 'active' ? f.state !== 'completed' : f.unreachable_tasks > 0))
      .map(([place, title, empty]) => html`<${Tasks} key=${place} id=${f.id} place=${place} title=${title} empty=${empty} />`)}`;
}
