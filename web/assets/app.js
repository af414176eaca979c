// SPDX-License-Identifier: Apache-2.0
//
// The first page: the leading master, agents, frameworks and tasks, read from /state. Everything
// is put into the page as text, never as markup, since names come from users.

const PERIOD_MS = 2000;
const ROWS_MAX = 200; // rows of one table that are drawn; the count says how many there are

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const number = (value, digits = 1) =>
  value.toLocaleString('en', { maximumFractionDigits: digits });

function megabytes(value) {
  const units = ['MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value)} ${units[unit]}`;
}

function since(seconds) {
  const age = Math.max(0, Date.now() / 1000 - seconds);
  if (age < 90) return `${Math.round(age)} s ago`;
  if (age < 5400) return `${Math.round(age / 60)} min ago`;
  if (age < 129600) return `${Math.round(age / 3600)} h ago`;
  return `${Math.round(age / 86400)} days ago`;
}

function time(seconds) {
  if (!seconds) return '–';
  const when = new Date(seconds * 1000);
  return element('time', { dateTime: when.toISOString(), title: when.toLocaleString() }, since(seconds));
}

const pill = (text, kind) => element('span', { className: `pill ${kind}` }, text);

// Columns are [title, class, cell]; a cell gives text or a node.
function drawTable(id, columns, rows, nothing) {
  const head = element('tr');
  for (const [title, kind] of columns) {
    head.append(element('th', { scope: 'col', className: kind }, title));
  }
  const body = element('tbody');
  for (const row of rows.slice(0, ROWS_MAX)) {
    const line = element('tr');
    for (const [, kind, cell] of columns) {
      const content = cell(row);
      line.append(element('td', {
        className: kind,
        title: kind === 'wide' && typeof content === 'string' ? content : '',
      }, content));
    }
    body.append(line);
  }
  if (rows.length === 0 || rows.length > ROWS_MAX) {
    const text = rows.length === 0 ? nothing : `… and ${number(rows.length - ROWS_MAX)} more`;
    body.append(element('tr', {}, element('td', { className: 'empty', colSpan: columns.length }, text)));
  }
  byId(id).replaceChildren(element('thead', {}, head), body);
  byId(`${id}-count`).textContent = number(rows.length);
}

function tile(name, value, note, share) {
  const node = element('div', { className: 'tile' },
    element('div', { className: 'name' }, name),
    element('div', { className: 'value' }, value),
    element('div', { className: 'note' }, note));
  if (share !== undefined) {
    const bar = element('i');
    bar.style.width = `${Math.min(100, 100 * share)}%`;
    node.append(element('div', { className: 'meter' }, bar));
  }
  return node;
}

function drawTiles(state, tasks) {
  const sum = (key, name) => state.slaves.reduce((total, s) => total + (s[key][name] || 0), 0);
  const resource = (title, name, show) => {
    const total = sum('resources', name);
    const used = sum('used_resources', name);
    const offered = sum('offered_resources', name);
    return tile(title, `${show(used)} of ${show(total)}`, `${show(offered)} offered`,
      total > 0 ? used / total : 0);
  };
  byId('tiles').replaceChildren(
    tile('Agents', number(state.activated_slaves),
      `${number(state.unreachable_slaves)} unreachable, ${number(state.deactivated_slaves)} deactivated`),
    tile('Frameworks', number(state.frameworks.filter((f) => f.active).length),
      `${number(state.completed_frameworks.length)} completed`),
    tile('Tasks running', number(tasks.active.filter((t) => t.state === 'TASK_RUNNING').length),
      `${number(tasks.completed.length)} completed`),
    resource('CPUs', 'cpus', number),
    resource('Memory', 'mem', megabytes),
    resource('Disk', 'disk', megabytes));
}

function drawLeader(state) {
  const fact = (name, value) => element('span', {}, `${name} `, element('b', {}, value));
  const facts = [
    fact('Leader', state.leader_info ? `${state.leader_info.hostname}:${state.leader_info.port}` : 'none'),
    fact('Version', state.version),
    element('span', {}, 'Started ', element('b', {}, time(state.start_time))),
    element('span', {}, 'Elected ', element('b', {}, time(state.elected_time))),
    fact('Master', state.id),
  ];
  byId('leader').replaceChildren(...facts);
  byId('cluster').textContent = state.cluster || '';
  document.title = state.cluster ? `${state.cluster} – Meseta` : 'Meseta';
}

// Where a task's stdout and stderr are: its agent serves each executor's newest run.
function logLinks(task, agents) {
  const agent = agents.get(task.slave_id);
  if (!agent) return '–';
  const executor = task.executor_id || task.id;
  const path = `/frameworks/${task.framework_id}/executors/${executor}/runs/latest`;
  const links = element('span');
  for (const name of ['stdout', 'stderr']) {
    const url = `//${agent.pid.split('@')[1]}/files/download?path=${encodeURIComponent(`${path}/${name}`)}`;
    links.append(element('a', { href: url }, name), ' ');
  }
  return links;
}

function taskColumns(state, agents) {
  const frameworks = new Map([...state.frameworks, ...state.completed_frameworks].map((f) => [f.id, f.name]));
  const first = (task) => (task.statuses.length ? task.statuses[0].timestamp : 0);
  const last = (task) => (task.statuses.length ? task.statuses[task.statuses.length - 1].timestamp : 0);
  return [
    ['Task', 'wide', (t) => t.id],
    ['Name', 'wide', (t) => t.name],
    ['State', '', (t) => pill(t.state.replace('TASK_', ''), t.state)],
    ['Framework', 'wide', (t) => frameworks.get(t.framework_id) || t.framework_id],
    ['Agent', '', (t) => agents.get(t.slave_id)?.hostname || t.slave_id],
    ['Started', '', (t) => time(first(t))],
    ['Last update', '', (t) => time(last(t))],
    ['CPUs', 'number', (t) => number(t.resources.cpus, 3)],
    ['Memory', 'number', (t) => megabytes(t.resources.mem)],
    ['Logs', '', (t) => logLinks(t, agents)],
  ];
}

function draw(state) {
  const agents = new Map(state.slaves.map((s) => [s.id, s]));
  const all = [...state.frameworks, ...state.completed_frameworks];
  const newest = (a, b) => (b.statuses.at(-1)?.timestamp || 0) - (a.statuses.at(-1)?.timestamp || 0);
  const tasks = {
    active: all.flatMap((f) => f.tasks),
    unreachable: all.flatMap((f) => f.unreachable_tasks || []),
    completed: all.flatMap((f) => f.completed_tasks).sort(newest),
  };
  drawLeader(state);
  drawTiles(state, tasks);
  drawTable('frameworks', [
    ['Framework', 'wide', (f) => f.id],
    ['Name', 'wide', (f) => (f.webui_url ? element('a', { href: safeUrl(f.webui_url) }, f.name) : f.name)],
    ['User', '', (f) => f.user],
    ['Roles', 'wide', (f) => (f.roles || [f.role]).join(', ')],
    ['State', '', frameworkState],
    ['Active tasks', 'number', (f) => number(f.tasks.length)],
    ['CPUs', 'number', (f) => number(f.used_resources.cpus, 3)],
    ['Memory', 'number', (f) => megabytes(f.used_resources.mem)],
    ['Registered', '', (f) => time(f.registered_time)],
  ], all, 'No framework has subscribed yet.');
  drawTable('agents', [
    ['Agent', 'wide', (s) => s.id],
    ['Host', '', (s) => s.hostname],
    ['State', '', (s) => (s.active ? pill('active', 'good') : pill('inactive', 'warn'))],
    ['CPUs used', 'number', (s) => `${number(s.used_resources.cpus, 3)} of ${number(s.resources.cpus)}`],
    ['Memory used', 'number', (s) => `${megabytes(s.used_resources.mem)} of ${megabytes(s.resources.mem)}`],
    ['Disk used', 'number', (s) => `${megabytes(s.used_resources.disk)} of ${megabytes(s.resources.disk)}`],
    ['Registered', '', (s) => time(s.registered_time)],
  ], state.slaves, 'No agent has registered yet.');
  const columns = taskColumns(state, agents);
  drawTable('active', columns, tasks.active, 'No task is active.');
  drawTable('completed', columns, tasks.completed, 'No task has ended yet.');
  byId('unreachable-section').hidden = tasks.unreachable.length === 0;
  drawTable('unreachable', columns, tasks.unreachable, '');
}

function frameworkState(framework) {
  if (framework.unregistered_time) return pill('completed', 'muted');
  if (framework.active) return pill('active', 'good');
  return framework.connected ? pill('inactive', 'warn') : pill('disconnected', 'warn');
}

// A framework chooses its own address: only web links are taken.
function safeUrl(url) {
  return /^https?:\/\//i.test(url) ? url : '#';
}

function showLive(text, kind) {
  const live = byId('live');
  live.textContent = text;
  live.className = `pill ${kind}`;
}

async function refresh() {
  try {
    const answer = await fetch('/state', { headers: { Accept: 'application/json' } });
    if (!answer.ok) throw new Error(`the master answered ${answer.status}`);
    draw(await answer.json());
    showLive('live', 'good');
  } catch (error) {
    showLive(`not reached: ${error.message}`, 'bad');
  }
}

async function run() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

run();
