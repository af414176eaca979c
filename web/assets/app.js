// SPDX-License-Identifier: Apache-2.0
//
// Starts the page: the stream, the frame, and in it the page that the address names.
import { html, render, useEffect, useState, useStore } from './lib.js';
import { place, href } from './router.js';
import { overview, start } from './live.js';
import { Layout } from './parts/layout.js';
import { Empty, Failure, Skeleton } from './parts/bits.js';

const loaded = new Map(); // route -> its component

function addStyle(path) {
  const address = `/assets/${path}`;
  if (document.querySelector(`link[href="${address}"]`)) return;
  const node = document.createElement('link');
  node.rel = 'stylesheet';
  node.href = address;
  document.head.append(node);
}

function Page({ route, params, query }) {
  const [, draw] = useState(0);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (loaded.has(route.path)) return;
    if (route.css) addStyle(route.css);
    setError(null);
    route.page().then((module) => {
      loaded.set(route.path, module.default);
      draw((n) => n + 1);
    }, (reason) => setError(reason));
  }, [route.path]);
  if (error) return html`<${Failure} error=${error} retry=${() => location.reload()} />`;
  const Component = loaded.get(route.path);
  if (!Component) return html`<${Skeleton} lines=${6} />`;
  // Another thing of the same kind begins afresh.
  return html`<${Component} key=${JSON.stringify(params)} params=${params} query=${query} />`;
}

function App() {
  const { route, path, params, query } = useStore(place);
  const cluster = useStore(overview, (state) => state?.cluster);
  useEffect(() => {
    scrollTo(0, 0);
  }, [path]);
  useEffect(() => {
    const subject = route ? Object.values(params).at(-1) ?? '' : '';
    const parts = [route ? `${route.title}${subject ? ` ${subject}` : ''}` : 'Not found', cluster, 'Meseta'];
    document.title = (path === '/' ? parts.slice(1) : parts).filter(Boolean).join(' · ');
  }, [path, cluster]);
  return html`<${Layout}>
    ${route ? html`<${Page} key=${route.path} route=${route} params=${params} query=${query} />` : html`<h1>Not found</h1><${Empty}
      title="There is no such page">Nothing is at “${path}”. The <a href=${href('/')}>home page</a> shows the cluster.<//>`}
  <//>`;
}

start();
render(html`<${App} />`, document.getElementById('app'));
