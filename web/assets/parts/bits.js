// SPDX-License-Identifier: Apache-2.0
//
// Small things that many pages show.
import { html, useEffect, useState, useRef } from '../lib.js';
import { ago, date, number, percent, stateName, amount } from '../format.js';

/** What a state means, as a colour: good, bad, warn, busy or quiet. */
const KINDS = {
  TASK_RUNNING: 'busy', TASK_STARTING: 'busy', TASK_STAGING: 'busy', TASK_KILLING: 'warn', TASK_FINISHED: 'good',
  TASK_FAILED: 'bad', TASK_ERROR: 'bad', TASK_LOST: 'bad', TASK_DROPPED: 'bad', TASK_GONE: 'bad',
  TASK_GONE_BY_OPERATOR: 'bad', TASK_KILLED: 'quiet', TASK_UNREACHABLE: 'warn', TASK_UNKNOWN: 'warn',
};

export const Pill = ({ kind = 'quiet', children, title }) =>
  html`<span class=${`pill ${kind}`} title=${title}>${children}</span>`;

export const TaskState = ({ state }) => html`<${Pill} kind=${KINDS[state] ?? 'quiet'} title=${state}>${stateName(state)}<//>`;
export const kindOfState = (state) => KINDS[state] ?? 'quiet';

const AGENT_KINDS = { active: 'good', inactive: 'warn', disconnected: 'bad', unreachable: 'bad', awaited: 'warn', draining: 'warn', drained: 'quiet', deactivated: 'quiet' };
const FRAMEWORK_KINDS = { active: 'good', inactive: 'warn', disconnected: 'bad', recovered: 'warn', completed: 'quiet' };
const word = (state) => state.charAt(0).toUpperCase() + state.slice(1);
export const AgentState = ({ state }) => html`<${Pill} kind=${AGENT_KINDS[state]}>${word(state)}<//>`;
export const FrameworkState = ({ state }) => html`<${Pill} kind=${FRAMEWORK_KINDS[state]}>${word(state)}<//>`;

/** A moment, told as its distance from now; the whole date is in its title. Seconds since 1970; 0 is none. */
export function Time({ at }) {
  const [, tick] = useState(0);
  const age = at ? Date.now() / 1000 - at : 0;
  useEffect(() => {
    if (!at || age > 7200) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), age < 90 ? 5000 : 30000);
    return () => clearInterval(timer);
  }, [at, age < 90]);
  if (!at) return html`<span class="muted">–</span>`;
  return html`<time datetime=${new Date(at * 1000).toISOString()} title=${date(at)}>${ago(at)}</time>`;
}

/** An id or another text of machines, with a button that copies it. */
export function Code({ children: text }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(String(text));
    } catch {
      return; // forbidden: the text can still be selected
    }
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1500);
  };
  const canCopy = Boolean(navigator.clipboard);
  return html`<span class="code"><code>${text}</code>${canCopy && html`<button type="button" class="ghost small"
    aria-label=${`Copy ${text}`} onClick=${copy}>${copied ? 'Copied' : 'Copy'}</button>`}</span>`;
}

/** A bar: used and offered of a total. */
export function Meter({ used, offered = 0, total, label }) {
  const share = (value) => `${total > 0 ? Math.min(100, (100 * value) / total) : 0}%`;
  return html`<span class="meter" role="img" aria-label=${label}>
    <i class="used" style=${{ width: share(used) }}></i>
    <i class="offered" style=${{ width: share(offered) }}></i>
  </span>`;
}

/** "1.5 of 8" with a bar below, for a cell of a table. */
export function Use({ name, used, offered = 0, total }) {
  return html`<span class="use">
    <span>${amount(name, used)} <span class="muted">of ${amount(name, total)}</span></span>
    <${Meter} used=${used} offered=${offered} total=${total}
      label=${`${percent(used, total)} used, ${percent(offered, total)} offered`} />
  </span>`;
}

/** Facts as pairs: [[name, value], ...]; those without a value are left out. */
export const Facts = ({ of }) => html`<dl class="facts">
  ${of.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => html`<div key=${name}>
    <dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;

/** There is nothing; and what would be there, or what to do. */
export const Empty = ({ title, children }) => html`<div class="empty">
  <svg viewBox="0 0 48 32" width="48" height="32" aria-hidden="true"><path d="M2 29 13 9h22l11 20z" /></svg>
  <p class="empty-title">${title}</p>
  ${children && html`<p>${children}</p>`}
</div>`;

export const Failure = ({ error, retry }) => html`<div class="failure" role="alert">
  <p><b>${error.status === 404 ? 'Not found' : 'This could not be read'}</b> ${error.message}</p>
  ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
</div>`;

export const Skeleton = ({ lines = 3 }) => html`<div class="skeleton" role="status" aria-label="Loading">
  ${Array.from({ length: lines }, (_, i) => html`<i key=${i}></i>`)}
</div>`;

/** A part of a page with a heading; `count` stands beside it. */
export function Section({ id, title, count, note, actions, children, flat }) {
  return html`<section aria-labelledby=${`${id}-title`} id=${id} class=${flat ? 'flat' : ''}>
    <header class="section-head">
      <h2 id=${`${id}-title`}>${title}${count !== undefined && count !== null &&
        html` <span class="count" id=${`${id}-count`}>${typeof count === 'number' ? number(count) : count}</span>`}</h2>
      ${note && html`<p class="muted">${note}</p>`}
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </section>`;
}

/** The head of a page: where one is, and what it is about. `trail` is [[text, href], ...]. */
export function PageHead({ title, trail = [], children }) {
  return html`<div class="page-head">
    ${trail.length > 0 && html`<nav class="trail" aria-label="Where you are">
      ${trail.map(([text, to]) => html`<a href=${to} key=${to}>${text}</a>`)}
    </nav>`}
    <h1>${title}</h1>
    ${children}
  </div>`;
}

/** What a framework calls its own address: only web links are taken. */
export const webLink = (url) => (/^https?:\/\//i.test(url ?? '') ? url : null);
