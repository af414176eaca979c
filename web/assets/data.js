// SPDX-License-Identifier: Apache-2.0
//
// Asking the master, and asking again when something changed. A page names the tables ("topics") that its data depends
// on: tasks, agents, frameworks, offers, roles, maintenance. When the stream tells a new version of one, the data is
// fetched anew: never while it is fetched already, never while the page is hidden, and the less often the longer the
// master needed for it (`took_us` in its answer), so that an open page takes a bounded part of the master's time.
import { useCallback, useEffect, useRef, useState } from './lib.js';
import { link, overview, versionsOf } from './live.js';

const GAP_MIN_MS = 1000;
const GAP_PER_TOOK = 250; // at most 1/250 of the master's time

/** An answer that is none: `status` 0 when nobody answered. `message` can be shown. */
export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function withQuery(path, params = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== '' && value !== null && value !== undefined) search.set(name, value);
  }
  const text = search.toString();
  return text ? `${path}${path.includes('?') ? '&' : '?'}${text}` : path;
}

/** fetch() that throws an ApiError with a sentence for people. */
export async function request(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The master was not reached. It is asked again as soon as it answers.');
  }
  if (!answer.ok) {
    const text = (await answer.text().catch(() => '')).trim().slice(0, 500);
    throw new ApiError(answer.status, text || `The master answered with status ${answer.status}.`);
  }
  return answer;
}

export async function getJson(path, params, options) {
  const answer = await request(withQuery(path, params), options);
  return answer.json();
}

/** Runs `run` (which may be slow, and gets an AbortSignal) now and whenever one of the topics changed. */
export class Refresher {
  constructor(topics, run) {
    this.topics = topics;
    this.run = run;
    this.seen = null; // versions that the newest data has
    this.notBefore = 0;
    this.timer = 0;
    this.controller = null;
    this.look = () => this.check();
    this.ends = [overview.subscribe(this.look), link.subscribe(this.look)];
    document.addEventListener('visibilitychange', this.look);
    this.now();
  }

  stop() {
    for (const end of this.ends) end();
    document.removeEventListener('visibilitychange', this.look);
    clearTimeout(this.timer);
    this.controller?.abort();
    this.stopped = true;
  }

  /** Whatever is under way counts no more. */
  now() {
    this.controller?.abort();
    this.controller = null;
    clearTimeout(this.timer);
    this.timer = 0;
    this.fetch();
  }

  check() {
    if (this.stopped || this.controller || this.timer || document.hidden || link.get().kind !== 'live') return;
    if (versionsOf(overview.get(), this.topics) === this.seen && !this.failed) return;
    const delay = Math.max(0, this.notBefore - performance.now());
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.fetch();
    }, delay);
  }

  async fetch() {
    const controller = new AbortController();
    this.controller = controller;
    const versions = overview.get() ? versionsOf(overview.get(), this.topics) : null;
    let took = 0;
    let failed = false;
    try {
      took = (await this.run(controller.signal)) || 0;
    } catch (error) {
      failed = true;
      if (error.name !== 'AbortError' && !(error instanceof ApiError)) console.error(error);
    }
    if (this.controller !== controller || this.stopped) return;
    this.controller = null;
    this.failed = failed;
    this.seen = versions;
    this.notBefore = performance.now() + Math.max(failed ? 3000 : GAP_MIN_MS, (GAP_PER_TOOK * took) / 1000);
    this.check();
  }
}

/**
 * JSON of the master, kept up to date: {data, error, isLoading, reload}. While another address is fetched the former
 * data stays when `keep` says so.
 */
export function useLive(path, params, { topics = [], keep = false } = {}) {
  const url = path === null ? null : withQuery(path, params);
  const [state, setState] = useState({ url, data: null, error: null });
  const refresher = useRef(null);
  useEffect(() => {
    if (url === null) return undefined;
    refresher.current = new Refresher(topics, async (signal) => {
      try {
        const data = await getJson(url, {}, { signal });
        if (!signal.aborted) setState({ url, data, error: null });
        return data.took_us;
      } catch (error) {
        if (!signal.aborted) setState((old) => ({ url, data: old.url === url || keep ? old.data : null, error }));
        throw error;
      }
    });
    return () => refresher.current.stop();
  }, [url, topics.join(' ')]);
  const reload = useCallback(() => refresher.current?.now(), []);
  const isMine = state.url === url;
  return {
    data: isMine || keep ? state.data : null,
    error: isMine ? state.error : null,
    isLoading: !isMine || (state.data === null && state.error === null),
    reload,
  };
}
