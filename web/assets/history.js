// SPDX-License-Identifier: Apache-2.0
//
// The last hour: asked for once, and from then on continued from the stream's figures at the same pace, so that an open
// chart costs the master nothing.
import { createStore, useEffect, useStore } from './lib.js';
import { getJson } from './data.js';
import { overview } from './live.js';

const NAMES = ['cpus', 'mem', 'disk', 'gpus'];

/** {data: {interval, newest, samples, resources, tasks, roles}, error}; data is null until it came. */
export const history = createStore({ data: null, error: null });

let users = 0;
let timer = 0;

async function load() {
  try {
    history.set({ data: await getJson('/dashboard/history'), error: null });
  } catch (error) {
    history.set({ data: history.get().data, error });
  }
}

function extend() {
  const { data } = history.get();
  const state = overview.get();
  if (!data || !state || document.hidden) return;
  const now = Date.now() / 1000;
  if (now - data.newest > 3 * data.interval) {
    load(); // the page slept: what is missing is at the master
    return;
  }
  const push = (list, value) => [...list.slice(-359), value];
  const resources = {};
  for (const name of NAMES) {
    const series = data.resources[name];
    const of = state.resources[name];
    resources[name] = {
      total: push(series.total, of.total), used: push(series.used, of.used), offered: push(series.offered, of.offered),
    };
  }
  history.set({
    data: {
      ...data, newest: now, samples: Math.min(360, data.samples + 1), resources,
      tasks: push(data.tasks, state.tasks.active),
    },
    error: null,
  });
}

/** The last hour, kept up to date. By role it is as new as the page, or as the last look. */
export function useHistory({ byRole = false } = {}) {
  useEffect(() => {
    users += 1;
    if (users === 1) {
      load();
      timer = setInterval(extend, 10000);
    } else if (byRole) {
      load();
    }
    return () => {
      users -= 1;
      if (users === 0) clearInterval(timer);
    };
  }, [byRole]);
  return useStore(history);
}
