// SPDX-License-Identifier: Apache-2.0
//
// The sandbox browser: a directory of an agent. A file opens in the reader (file.js). Where Mesos' page linked to the
// sandbox of an executor or of a task without a path, the path is the one that each agent has for it.
import { html, useEffect, useState } from '../lib.js';
import { go, href, seg } from '../router.js';
import { browse, downloadHref } from '../files.js';
import { useLive } from '../data.js';
import { DataTable } from '../parts/table.js';
import { Empty, Failure, PageHead, Time } from '../parts/bits.js';
import { bytes, shortId } from '../format.js';

export const browseHref = (agent, path) => href(`/agents/${seg(agent)}/browse`, { path });
export const fileHref = (agent, path) =>
  (agent === null ? href('/file', { path }) : href(`/agents/${seg(agent)}/file`, { path }));

/** The directory of an executor's newest container, for each agent. */
const sandboxPath = (framework, executor) => `/frameworks/${framework}/executors/${executor}/runs/latest`;

/** What a path leads through, as links: the sandbox is one step, whose name is its executor's. */
export function crumbs(agent, path) {
  const sandbox = /^(.*\/frameworks\/[^/]+\/executors\/([^/]+)\/runs\/[^/]+)(\/.*)?$/.exec(path);
  const steps = [];
  let at = sandbox ? sandbox[1] : '';
  if (sandbox) steps.push([`Sandbox of ${sandbox[2]}`, at]);
  for (const name of (sandbox ? sandbox[3] ?? '' : path).split('/').filter(Boolean)) {
    at += `/${name}`;
    steps.push([name, at]);
  }
  return steps.map(([name, to]) => [name, browseHref(agent, to)]);
}

/** The trail above a file or directory of an agent. */
export function useTrail(agent, path) {
  const { data } = useLive('/dashboard/agents', { search: agent, limit: 1 }, { topics: [] });
  const host = data?.rows?.[0]?.host ?? shortId(agent);
  return [['Agents', href('/agents')], [host, href(`/agents/${seg(agent)}`)], ...crumbs(agent, path).slice(0, -1)];
}

/** A directory's entries, asked for again on `reload`. */
function useDirectory(agent, path) {
  const [state, setState] = useState({ path: null, entries: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    browse(agent, path, controller.signal).then(
      (entries) => setState({ path, entries, error: null }),
      (error) => error.name !== 'AbortError' && setState({ path, entries: null, error }),
    );
    return () => controller.abort();
  }, [agent, path, round]);
  const isMine = state.path === path;
  return { entries: isMine ? state.entries : null, error: isMine ? state.error : null, reload: () => setRound((n) => n + 1) };
}

const columns = (agent) => [
  {
    key: 'name', title: 'Name', sort: (e) => `${e.isDirectory ? 0 : 1}${e.name}`, width: '38%', hint: (e) => e.name,
    cell: (e) => html`<span class=${e.isDirectory ? 'entry directory' : 'entry'}>${e.name}${e.isDirectory ? '/' : ''}</span>`,
  },
  { key: 'size', title: 'Size', sort: true, descends: true, align: 'end', width: '6.5rem', cell: (e) => (e.isDirectory ? '' : bytes(e.size)) },
  { key: 'mtime', title: 'Changed', sort: true, descends: true, width: '8.5rem', cell: (e) => html`<${Time} at=${e.mtime} />` },
  { key: 'mode', title: 'Mode', width: '8rem', hide: 'phone', cell: (e) => html`<code>${e.mode}</code>` },
  { key: 'uid', title: 'Owner', sort: true, width: '7rem', hide: 'phone', cell: (e) => e.uid },
  { key: 'gid', title: 'Group', sort: true, width: '7rem', hide: 'narrow', cell: (e) => e.gid },
  {
    key: 'download', title: 'Download', width: '6.5rem', hide: 'phone',
    cell: (e) => (e.isDirectory ? '' : html`<a href=${downloadHref(agent, e.path)} download=${e.name} aria-label=${`Download ${e.name}`}>Download</a>`),
  },
];

function Gone({ error, retry }) {
  if (error.status !== 404) return html`<${Failure} error=${error} retry=${retry} />`;
  return html`<${Empty} title="This directory is not here">
    ${error.message} Agents remove the sandboxes of executors that ended when their time is over, or sooner when the disk fills up.
    <span> </span><button type="button" class="link" onClick=${retry}>Look again</button><//>`;
}

function Directory({ agent, path, title }) {
  const { entries, error, reload } = useDirectory(agent, path);
  const trail = useTrail(agent, path);
  const steps = crumbs(agent, path);
  // Somebody named a file: its page is another.
  const isFile = path.startsWith('/slave/log') || (entries?.length === 0 && /\.\w+$|\/(stdout|stderr)$/.test(path));
  useEffect(() => {
    if (isFile) location.replace(fileHref(agent, path));
  }, [isFile]);
  return html`
    <${PageHead} title=${title ?? steps.at(-1)?.[0] ?? '/'} trail=${trail}>
      <p class="under"><code class="path">${path}</code>
        <button type="button" class="ghost small" onClick=${reload}>Refresh</button></p>
    <//>
    ${error ? html`<${Gone} error=${error} retry=${reload} />` : html`<${DataTable} label="Files" rows=${entries} columns=${columns(agent)}
      sort="name" search=${!entries || entries.length > 12} tall rowHref=${(e) => (e.isDirectory ? browseHref : fileHref)(agent, e.path)}
      empty="This directory is empty" />`}`;
}

/** A task of a group has a directory of its own: by its container, which the master knows. */
function TaskDirectory({ params }) {
  const { agent, framework, executor, task } = params;
  const { data, error } = useLive('/dashboard/task', { framework, id: task }, { topics: [] });
  const base = sandboxPath(framework, executor);
  if (!data && !error) return null;
  const known = data ? [...(data.tasks ?? []), ...(data.unreachable_tasks ?? []), ...(data.completed_tasks ?? [])].at(-1) : null;
  const id = known?.statuses?.map((status) => status.container_status?.container_id).filter((one) => one?.parent).at(-1);
  return html`<${Directory} agent=${agent} path=${id ? `${base}/containers/${id.value}` : base} title=${`Sandbox of ${task}`} />`;
}

export default function Browse({ params, query }) {
  if (params.task) return html`<${TaskDirectory} params=${params} />`;
  if (params.executor) return html`<${Directory} agent=${params.agent} path=${sandboxPath(params.framework, params.executor)} />`;
  if (query.path) return html`<${Directory} key=${query.path} agent=${params.agent} path=${query.path.replace(/(.)\/+$/, '$1')} />`;
  const open = (event) => {
    event.preventDefault();
    const path = event.target.elements.path.value.trim();
    if (path) go(`/agents/${seg(params.agent)}/browse`, { path });
  };
  return html`<${PageHead} title="Files of an agent" trail=${[['Agents', href('/agents')]]} />
    <form class="card path-form" onSubmit=${open}><label class="field">Path on the agent <input name="path" placeholder="/slave/log" /></label>
      <button type="submit">Open</button></form>`;
}
