// SPDX-License-Identifier: Apache-2.0
//
// All tasks of the cluster: searched, sorted and filtered by state and place. The master does the work: a table of
// 100,000 is as quick as one of ten.
import { html, useState } from '../lib.js';
import { setQuery } from '../router.js';
import { DataTable } from '../parts/table.js';
import { taskColumns, taskHref } from '../parts/tasks.js';
import { PageHead } from '../parts/bits.js';
import { number, stateName } from '../format.js';

const PLACES = [['all', 'All'], ['active', 'Active'], ['unreachable', 'Unreachable'], ['completed', 'Completed']];

function Places({ place }) {
  return html`<div class="switch" role="group" aria-label="Which tasks">
    ${PLACES.map(([key, text]) => html`<button type="button" key=${key} aria-pressed=${place === key}
      onClick=${() => setQuery({ place: key === 'all' ? '' : key, state: '' })}>${text}</button>`)}
  </div>`;
}

/** The states that occur, with their numbers; each can be taken away and added. */
function States({ counts, chosen }) {
  const change = (state) => {
    const next = chosen.includes(state) ? chosen.filter((one) => one !== state) : [...chosen, state];
    setQuery({ state: next.join(',') });
  };
  const states = [...new Set([...Object.keys(counts), ...chosen])].sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0));
  return html`<div class="states" role="group" aria-label="States">
    ${states.map((state) => html`<button type="button" key=${state} aria-pressed=${chosen.includes(state)} class="chip"
      title=${state} onClick=${() => change(state)}>${stateName(state)} <b>${number(counts[state] ?? 0)}</b></button>`)}
  </div>`;
}

export default function Tasks({ query }) {
  const [counts, setCounts] = useState({});
  const place = PLACES.some(([key]) => key === query.place) ? query.place : 'all';
  const chosen = (query.state ?? '').split(',').filter((state) => /^TASK_[A-Z_]+$/.test(state));
  return html`
    <${PageHead} title="Tasks" />
    <${DataTable} label="Tasks" source="/dashboard/tasks" topics=${['tasks']} tall
      params=${{ place, state: chosen.join(','), framework: query.framework, agent: query.agent, role: query.role }}
      columns=${taskColumns()} sort="updated" order="desc" rowHref=${taskHref}
      tools=${html`<${Places} place=${place} /><${States} counts=${counts} chosen=${chosen} />`}
      onAnswer=${(data) => data.answer && setCounts(data.answer.states)}
      empty="There is no task" emptyNote="Tasks appear here as soon as a framework launches one." />`;
}
