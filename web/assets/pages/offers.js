// SPDX-License-Identifier: Apache-2.0
//
// What frameworks are offered at the moment and have neither taken nor declined.
import { html, useState } from '../lib.js';
import { href, seg } from '../router.js';
import { DataTable } from '../parts/table.js';
import { PageHead } from '../parts/bits.js';
import { amount, number, shortId } from '../format.js';

const scalar = (name, title, hide) => ({
  key: name, title, sort: true, descends: true, align: 'end', width: '7rem', hide, cell: (o) => amount(name, o.resources[name]),
});

const columns = [
  {
    key: 'framework', title: 'Framework', sort: true, width: '20%', hint: (o) => o.framework_id,
    cell: (o) => html`<a href=${href(`/frameworks/${seg(o.framework_id)}`)}>${o.framework || shortId(o.framework_id)}</a>`,
  },
  { key: 'role', title: 'Role', sort: true, width: '14%', hide: 'phone', cell: (o) => o.role },
  {
    key: 'agent', title: 'Agent', sort: true, width: '20%', hint: (o) => o.agent_id,
    cell: (o) => html`<a href=${href(`/agents/${seg(o.agent_id)}`)}>${o.host}</a>`,
  },
  scalar('cpus', 'CPUs'), scalar('mem', 'Memory'), scalar('disk', 'Disk', 'phone'), scalar('gpus', 'GPUs', 'narrow'),
  { key: 'id', title: 'Offer', sort: true, width: '12rem', hide: 'narrow', hint: (o) => o.id, cell: (o) => html`<code>${o.id.replace(/^.*-(O\d+)$/, '…$1')}</code>` },
];

export default function Offers() {
  const [count, setCount] = useState(null);
  return html`
    <${PageHead} title="Offers">
      <p class="muted">${count === null ? '' : count === 0 ? 'No offer is open.' : `${number(count)} open: offered, and neither taken nor declined yet.`}</p><//>
    <${DataTable} label="Offers" source="/dashboard/offers" topics=${['offers']} columns=${columns} sort="framework" tall
      onAnswer=${(data) => !data.isLoading && setCount(data.total)}
      empty="No offer is open" emptyNote="Frameworks take or decline offers at once as a rule. Why a framework is offered nothing is told on its page." />`;
}
