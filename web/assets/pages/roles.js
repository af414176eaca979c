// SPDX-License-Identifier: Apache-2.0
//
// Roles as a tree: each with what it and those below it have, its weight, its share and its quota.
import { html, useMemo, useState, useStore } from '../lib.js';
import { href } from '../router.js';
import { useLive } from '../data.js';
import { overview } from '../live.js';
import { Empty, Failure, Meter, Section, Skeleton } from '../parts/bits.js';
import { RESOURCES, amount, amountOf, number, percent } from '../format.js';

const NAMES = Object.keys(RESOURCES);
const add = (to, from) => NAMES.forEach((name) => { to[name] += from[name]; });
const nothing = () => Object.fromEntries(NAMES.map((name) => [name, 0]));

/** The roles as a tree, the sums of what is below in each. */
function makeTree(list) {
  const nodes = new Map();
  for (const role of list) nodes.set(role.name, { ...role, own: role, children: [], sum: null });
  const roots = [];
  for (const node of [...nodes.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))) {
    const at = node.name.lastIndexOf('/');
    const parent = at > 0 ? nodes.get(node.name.slice(0, at)) : null;
    (parent ? parent.children : roots).push(node);
  }
  const sum = (node) => {
    node.sum = { used: nothing(), offered: nothing(), reserved: nothing(), frameworks: node.frameworks, tasks: node.tasks };
    for (const key of ['used', 'offered', 'reserved']) add(node.sum[key], node.own[key]);
    for (const child of node.children) {
      const below = sum(child);
      for (const key of ['used', 'offered', 'reserved']) add(node.sum[key], below[key]);
      node.sum.frameworks += below.frameworks;
      node.sum.tasks += below.tasks;
    }
    return node.sum;
  };
  roots.forEach(sum);
  return roots;
}

function flatten(nodes, closed, level = 1, out = []) {
  for (const node of nodes) {
    out.push({ node, level });
    if (!closed.has(node.name)) flatten(node.children, closed, level + 1, out);
  }
  return out;
}

const amounts = (of) => Object.entries(of).filter(([, value]) => value !== 0)
  .map(([name, value]) => amountOf(name, value)).join(', ');
const limits = (of) => Object.entries(of).map(([name, value]) => amountOf(name, value)).join(', ');

/** How much of a resource a role uses: of its limit where it has one, else of the cluster. */
function UseOf({ node, name, cluster }) {
  const limit = node.quota?.limits[name];
  const total = limit ?? cluster[name].total;
  const used = node.sum.used[name];
  return html`<span class="use"><span>${amount(name, used)} <span class="muted">${limit !== undefined ? `of ${amount(name, limit)} at most` : percent(used, total)}</span></span>
    <${Meter} used=${used} offered=${node.sum.offered[name]} total=${total} label=${`${percent(used, total)} of ${limit !== undefined ? 'its limit' : 'the cluster'}`} /></span>`;
}

function Row({ node, level, closed, toggle, cluster }) {
  const name = node.name.slice(node.name.lastIndexOf('/') + 1);
  const isClosed = closed.has(node.name);
  return html`<tr data-row aria-level=${level} aria-expanded=${node.children.length ? String(!isClosed) : undefined}>
    <td title=${node.name}><span class="tree" style=${{ paddingLeft: `${(level - 1) * 1.3}rem` }}>
      ${node.children.length > 0 ? html`<button type="button" class="ghost twist" aria-label=${`${isClosed ? 'Show' : 'Hide'} roles below ${node.name}`} onClick=${() => toggle(node.name)}>${isClosed ? '▸' : '▾'}</button>` : html`<span class="twist"></span>`}
      <a class="row-link" href=${href('/frameworks', { search: node.name === '*' ? '' : node.name })}>${name === '*' ? '* (default)' : name}</a></span></td>
    <td class="end">${number(node.weight, 3)}</td>
    <td class="end hide-phone">${percent(node.share * node.weight, 1)}</td>
    <td class="end hide-phone">${number(node.sum.frameworks)}</td>
    <td class="end hide-narrow">${number(node.sum.tasks)}</td>
    <td><${UseOf} node=${node} name="cpus" cluster=${cluster} /></td>
    <td class="hide-phone"><${UseOf} node=${node} name="mem" cluster=${cluster} /></td>
    <td class="hide-phone" title=${node.quota ? limits(node.quota.guarantees) : ''}>${node.quota && limits(node.quota.guarantees) || html`<span class="muted">–</span>`}</td>
    <td class="hide-narrow" title=${node.quota ? limits(node.quota.limits) : ''}>${node.quota && limits(node.quota.limits) || html`<span class="muted">–</span>`}</td>
    <td class="hide-narrow" title=${amounts(node.sum.reserved)}>${amounts(node.sum.reserved) || html`<span class="muted">–</span>`}</td>
  </tr>`;
}

export default function Roles() {
  const { data, error, isLoading, reload } = useLive('/dashboard/roles', {}, { topics: ['roles', 'tasks', 'offers', 'frameworks'] });
  const cluster = useStore(overview, (state) => state?.resources);
  const [closed, setClosed] = useState(new Set());
  const tree = useMemo(() => (data ? makeTree(data.roles) : []), [data]);
  const toggle = (name) => {
    const next = new Set(closed);
    if (!next.delete(name)) next.add(name);
    setClosed(next);
  };
  if (error && !data) return html`<h1>Roles</h1><${Failure} error=${error} retry=${reload} />`;
  if (isLoading || !cluster) return html`<h1>Roles</h1><${Skeleton} lines=${6} />`;
  const rows = flatten(tree, closed);
  return html`<h1>Roles</h1>
    <${Section} id="roles" title="All roles" count=${data.roles.length} note="What a role has includes the roles below it. Bars: of its limit, or else of the cluster.">
      ${rows.length === 0 ? html`<div class="card"><${Empty} title="No role is in use">A role appears when a framework subscribes to it, or an operator gives it a weight, a quota or a reservation.<//></div>`
        : html`<div class="table-box tall" tabindex="0" role="region" aria-label="Roles"><table role="treegrid" aria-label="Roles">
        <colgroup><col style=${{ '--width': '20%' }} /><col style=${{ '--width': '5.5rem', '--phone-width': '4.6rem' }} /><col class="hide-phone" style=${{ '--width': '5.5rem' }} /><col class="hide-phone" style=${{ '--width': '6.8rem' }} /><col class="hide-narrow" style=${{ '--width': '5.5rem' }} /><col /><col class="hide-phone" /><col class="hide-phone" /><col class="hide-narrow" /><col class="hide-narrow" /></colgroup>
        <thead><tr><th scope="col">Role</th><th scope="col" class="end">Weight</th><th scope="col" class="end hide-phone">Share</th><th scope="col" class="end hide-phone">Frameworks</th><th scope="col" class="end hide-narrow">Tasks</th>
          <th scope="col">CPUs</th><th scope="col" class="hide-phone">Memory</th><th scope="col" class="hide-phone">Guaranteed</th><th scope="col" class="hide-narrow">At most</th><th scope="col" class="hide-narrow">Reserved</th></tr></thead>
        <tbody>${rows.map(({ node, level }) => html`<${Row} key=${node.name} node=${node} level=${level} closed=${closed} toggle=${toggle} cluster=${cluster} />`)}</tbody>
      </table></div>`}
    <//>`;
}
