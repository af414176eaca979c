// SPDX-License-Identifier: Apache-2.0
//
// One task: what became of it, when and why, and all that the master knows of it.
import { html } from '../lib.js';
import { href, seg } from '../router.js';
import { useLive } from '../data.js';
import { sandboxHref } from '../parts/tasks.js';
import { Code, Empty, Facts, Failure, PageHead, Section, Skeleton, TaskState, Time, kindOfState } from '../parts/bits.js';
import { RESOURCES, amount, date, duration, number, shortId, stateName } from '../format.js';

/** What the sources of a status are. */
const SOURCES = { SOURCE_MASTER: 'the master', SOURCE_AGENT: 'the agent', SOURCE_EXECUTOR: 'the executor' };
const ENDED = new Set(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_LOST', 'TASK_DROPPED', 'TASK_GONE', 'TASK_GONE_BY_OPERATOR']);

/** REASON_CONTAINER_LIMITATION_MEMORY -> "container limitation memory". */
const reasonText = (reason) => reason.replace(/^REASON_/, '').toLowerCase().replaceAll('_', ' ');

const seconds = (time) => Number(time ?? 0);

/** Scalars by name, summed; ranges and sets as text. */
function sum(resources = []) {
  const found = {};
  for (const one of resources) {
    if (one.type === 'SCALAR') found[one.name] = (found[one.name] ?? 0) + one.scalar.value;
    else if (one.ranges) found[one.name] = [found[one.name], ...one.ranges.range.map((r) => (r.begin === r.end ? `${r.begin}` : `${r.begin}–${r.end}`))].filter(Boolean).join(', ');
    else if (one.set) found[one.name] = [found[one.name], ...(one.set.item ?? [])].filter(Boolean).join(', ');
  }
  return found;
}

function checkText(status) {
  const code = status?.command?.exit_code ?? status?.http?.status_code;
  if (code !== undefined) return status.command ? `exit status ${code}` : `HTTP status ${code}`;
  return status?.tcp?.succeeded === undefined ? null : status.tcp.succeeded ? 'connected' : 'not connected';
}

/** Neighbouring statuses that say the same but for their time are one. */
function steps(statuses) {
  const shown = [];
  for (const status of statuses) {
    const key = [status.state, status.message, status.reason, status.source, status.healthy, checkText(status.check_status)].join('|');
    const last = shown.at(-1);
    if (last?.key === key) last.again += 1;
    else shown.push({ key, status, again: 0 });
  }
  return shown;
}

function Step({ step, next, isLast }) {
  const { status, again } = step;
  const at = seconds(status.timestamp);
  const until = next ? seconds(next.status.timestamp) : isLast && !ENDED.has(status.state) ? Date.now() / 1000 : null;
  const check = checkText(status.check_status);
  const kind = status.healthy === false ? 'bad' : kindOfState(status.state);
  return html`<li class=${kind}>
    <p class="step-head"><b>${stateName(status.state)}</b>
      ${status.healthy !== undefined && html`<span class="muted">${status.healthy ? 'healthy' : 'not healthy'}</span>`}
      ${check && html`<span class="muted">check: ${check}</span>`}
      <time class="muted" datetime=${new Date(at * 1000).toISOString()}>${date(at)}</time>
      ${until !== null && html`<span class="muted">for ${duration(Math.max(0, until - at))}</span>`}
      ${again > 0 && html`<span class="muted">told ${number(again + 1)} times</span>`}</p>
    ${status.message && html`<p class="step-message">${status.message}</p>`}
    <p class="muted small">${status.source && `Said by ${SOURCES[status.source] ?? status.source}`}${status.reason && html`${status.source ? ': ' : ''}<span title=${status.reason}>${reasonText(status.reason)}</span>`}</p>
  </li>`;
}

/** The states' share of the task's life, as a bar. */
function Bar({ shown }) {
  const from = seconds(shown[0].status.timestamp);
  const ended = ENDED.has(shown.at(-1).status.state);
  const to = ended ? seconds(shown.at(-1).status.timestamp) : Date.now() / 1000;
  if (to - from <= 0) return null;
  const parts = shown.slice(0, ended ? -1 : undefined).map((step, i) => {
    const start = seconds(step.status.timestamp);
    const end = shown[i + 1] ? seconds(shown[i + 1].status.timestamp) : to;
    return { state: step.status.state, kind: step.status.healthy === false ? 'bad' : kindOfState(step.status.state), share: (end - start) / (to - from), lasts: end - start };
  });
  return html`<div class="life" role="img" aria-label=${`${duration(to - from)} in all`}>
    ${parts.map((part, i) => html`<i key=${i} class=${part.kind} style=${{ flexGrow: Math.max(part.share, 0.004) }}
      title=${`${stateName(part.state)}: ${duration(part.lasts)}`}></i>`)}
  </div>`;
}

function Timeline({ statuses }) {
  const shown = steps(statuses);
  if (shown.length === 0) return html`<${Empty} title="No status yet">The task was sent to its agent, which has not told anything of it.<//>`;
  return html`<${Bar} shown=${shown} />
    <ol class="timeline">${shown.map((step, i) => html`<${Step} key=${i} step=${step} next=${shown[i + 1]} isLast=${i === shown.length - 1} />`)}</ol>`;
}

function addresses(status) {
  const infos = status?.container_status?.network_infos ?? [];
  return infos.flatMap((info) => info.ip_addresses ?? []).map((one) => one.ip_address).filter(Boolean).join(', ');
}

/** "8080/tcp (http)" */
const ports = (discovery) => (discovery?.ports?.ports ?? [])
  .map((port) => `${port.number}${port.protocol ? `/${port.protocol}` : ''}${port.name ? ` (${port.name})` : ''}`).join(', ');

function labels(message) {
  return (message?.labels ?? []).map((label) => (label.value === undefined ? label.key : `${label.key}=${label.value}`)).join(', ');
}

function Resources({ task }) {
  const asked = sum(task.resources);
  const limits = task.limits ?? {};
  const value = (name, of) => (typeof of === 'string' ? of : amount(name, of));
  const limit = (name) => {
    const { value: most } = limits[name] ?? {};
    return most === undefined ? '' : most === 'Infinity' || most === Infinity ? 'no limit' : `at most ${amount(name, most)}`;
  };
  const rows = Object.entries(asked);
  if (rows.length === 0) return html`<p class="muted">It asked for nothing.</p>`;
  return html`<${Facts} of=${rows.map(([name, of]) => [RESOURCES[name]?.title ?? name, html`${value(name, of)} <span class="muted">${limit(name)}</span>`])} />`;
}

function One({ task, framework, place, trail }) {
  const statuses = task.statuses ?? [];
  const newest = statuses.at(-1);
  const container = statuses.map((status) => status.container_status?.container_id?.value).filter(Boolean).at(-1);
  const agent = task.agent_id.value;
  const executor = task.executor_id?.value || task.task_id.value;
  const link = { id: task.task_id.value, agent_id: agent, framework_id: framework, executor_id: executor };
  const user = task.user;
  return html`
    <${PageHead} title=${task.name || task.task_id.value} trail=${trail}>
      <p class="under"><${TaskState} state=${task.state} />
        ${place === 'unreachable' && html`<span class="muted">its agent is not reached</span>`}
        <a class="button" href=${sandboxHref(link)}>Sandbox</a>
        <a href=${href(`/agents/${seg(agent)}/frameworks/${seg(framework)}/executors/${seg(executor)}`)}>Executor</a>
        <a href=${href(`/agents/${seg(agent)}`)}>Agent</a></p>
    <//>
    <${Facts} of=${[
      ['Task', html`<${Code}>${task.task_id.value}<//>`], ['Framework', html`<${Code}>${framework}<//>`], ['Agent', html`<${Code}>${agent}<//>`],
      ['Executor', executor === task.task_id.value ? null : html`<${Code}>${executor}<//>`],
      ['Container', container && html`<${Code}>${container}<//>`], ['User', user], ['Addresses', addresses(newest)],
    ]} />
    <${Section} id="timeline" title="Timeline"><div class="card"><${Timeline} statuses=${statuses} /></div><//>
    <div class="cards">
      <div class="card"><h2>Resources</h2><${Resources} task=${task} /></div>
      ${(task.discovery || task.labels || task.health_check) && html`<div class="card"><h2>More</h2><${Facts} of=${[
        ['Labels', labels(task.labels)],
        ['Visibility', task.discovery?.visibility?.toLowerCase()], ['Discovery name', task.discovery?.name], ['Ports', ports(task.discovery)],
        ['Health check', task.health_check && `${(task.health_check.type ?? 'command').toLowerCase()}, every ${duration(task.health_check.interval_seconds ?? 10)}`],
      ]} /></div>`}
    </div>`;
}

function useFrameworkName(id) {
  const { data } = useLive('/dashboard/frameworks', { search: id, limit: 1 });
  return data?.rows?.[0]?.name || shortId(id);
}

export default function Task({ params }) {
  const { data, error, isLoading, reload } = useLive('/dashboard/task', { framework: params.framework, id: params.task }, { topics: ['tasks'], keep: true });
  const trail = [['Frameworks', href('/frameworks')], [useFrameworkName(params.framework), href(`/frameworks/${seg(params.framework)}`)]];
  if (error && error.status === 404) {
    return html`<${PageHead} title=${params.task} trail=${trail} /><${Empty} title="This task is not here">${error.message}<//>`;
  }
  if (error && !data) return html`<${PageHead} title=${params.task} trail=${trail} /><${Failure} error=${error} retry=${reload} />`;
  if (isLoading && !data) return html`<${PageHead} title=${params.task} trail=${trail} /><${Skeleton} lines=${8} />`;
  const all = [
    ...(data.completed_tasks ?? []).map((task) => [task, 'completed']), ...(data.unreachable_tasks ?? []).map((task) => [task, 'unreachable']),
    ...(data.tasks ?? []).map((task) => [task, 'active']),
  ];
  const [task, place] = all.at(-1);
  return html`<${One} task=${task} framework=${params.framework} place=${place} trail=${trail} />
    ${all.length > 1 && html`<p class="muted">${number(all.length - 1)} earlier ${all.length === 2 ? 'task' : 'tasks'} of this framework had the same id;
      the newest of them: ${all.at(-2)[0].statuses?.length ? `${stateName(all.at(-2)[0].state)}, ${date(seconds(all.at(-2)[0].statuses.at(-1).timestamp))}` : stateName(all.at(-2)[0].state)}.</p>`}
    ${error && html`<${Failure} error=${error} retry=${reload} />`}`;
}
