// SPDX-License-Identifier: Apache-2.0
//
// The address is the state: `#/path?name=value`. Whatever a page can be asked to show is in it, so that a copied link
// shows the same. The paths are those that Mesos' own page had.
import { createStore } from './lib.js';
import { routes } from './routes.js';

function compile(path) {
  const names = [];
  const pattern = path.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return '([^/]+)';
  });
  return { names, pattern: new RegExp(`^${pattern}/?$`) };
}
const compiled = routes.map((route) => ({ ...route, ...compile(route.path) }));

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function read() {
  let text = location.hash.replace(/^#!?/, '');
  if (!text.startsWith('/')) text = `/${text}`;
  // What agents were called before.
  text = text.replace(/^\/slaves(?=[/?]|$)/, '/agents');
  const at = text.indexOf('?');
  const path = at < 0 ? text : text.slice(0, at);
  const query = Object.fromEntries(new URLSearchParams(at < 0 ? '' : text.slice(at + 1)));
  for (const route of compiled) {
    const found = route.pattern.exec(path);
    if (!found) continue;
    const params = Object.fromEntries(route.names.map((name, i) => [name, decode(found[i + 1])]));
    return { route, path, params, query };
  }
  return { route: null, path, params: {}, query };
}

/** Where the page is: {route, path, params, query}. */
export const place = createStore(read());
addEventListener('hashchange', () => place.set(read()));

/** The link to a path; parts of it must be encoded by `seg`. Values that are '', null or undefined are left out. */
export function href(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== '' && value !== null && value !== undefined) search.set(name, value);
  }
  const text = search.toString();
  return `#${path}${text ? `?${text}` : ''}`;
}

/** One part of a path. */
export const seg = encodeURIComponent;

export function go(path, query) {
  location.hash = href(path, query);
}

/** Changes some of the address' values in place: no new entry in the history. */
export function setQuery(changes) {
  const { path, query } = place.get();
  history.replaceState(history.state, '', href(path, { ...query, ...changes }));
  place.set(read());
}
