// SPDX-License-Identifier: Apache-2.0
//
// The master's stream, /dashboard/stream: the cluster in figures and the versions of its tables, whenever they change.
// When it breaks, the page looks for the leader: here, and at the other masters that it has heard of; when another
// master leads, it goes there, to the same place.
import { createStore } from './lib.js';

const SILENCE_MS = 40000; // the master says something every 15 s
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 10000;

/** The newest overview, or null. */
export const overview = createStore(null);
/** How it is with the stream: {kind: 'connecting' | 'live' | 'lost' | 'moving', text}. */
export const link = createStore({ kind: 'connecting', text: 'Connecting' });

let source = null;
let wait = WAIT_MIN_MS;
let watchdog = 0;
let masters = []; // "host:port" of those that were heard of

function hear(event) {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => lose('the master fell silent'), SILENCE_MS);
  wait = WAIT_MIN_MS;
  overview.set(JSON.parse(event.data));
  if (overview.get().masters) masters = overview.get().masters;
  if (link.get().kind !== 'live') link.set({ kind: 'live', text: 'Live' });
}

function open() {
  source?.close();
  source = new EventSource('/dashboard/stream');
  source.addEventListener('overview', hear);
  source.addEventListener('beat', hear);
  source.addEventListener('error', () => lose('the connection to the master broke'));
}

async function ask(origin) {
  const answer = await fetch(`${origin}/dashboard/leader`, { signal: AbortSignal.timeout(3000), cache: 'no-store' });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  return answer.json();
}

/** What to do next, by what the masters say. */
async function findLeader() {
  const others = masters.map((name) => `${location.protocol}//${name}`).filter((origin) => origin !== location.origin);
  let text = `No master is reached at ${location.host}`;
  for (const origin of ['', ...others]) {
    try {
      const answer = await ask(origin);
      if (answer.leads && answer.ready && origin === '') return { here: true };
      if (answer.leads && !answer.ready) {
        text = 'A new leader was elected and reads its registry';
      } else if (answer.leads) {
        return { there: origin };
      } else if (answer.leader) {
        return { there: `${location.protocol}//${answer.leader.hostname}:${answer.leader.port}` };
      } else {
        text = 'No master leads at the moment';
      }
    } catch {
      // that one is away; the next may know
    }
  }
  return { text };
}

async function retry() {
  const found = await findLeader();
  if (found.here) {
    open();
    return;
  }
  if (found.there && found.there !== location.origin) {
    try {
      // Not before it answers itself: it may be just becoming the leader, or be the one that died.
      const answer = await ask(found.there);
      if (answer.leads && answer.ready) {
        link.set({ kind: 'moving', text: `The leader is now ${found.there.replace(/^.*\/\//, '')}: going there` });
        setTimeout(() => location.replace(`${found.there}/${location.hash}`), 1200);
        return;
      }
    } catch {
      // again later
    }
    found.text = `Waiting for the new leader at ${found.there.replace(/^.*\/\//, '')}`;
  }
  if (link.get().kind === 'lost') link.set({ kind: 'lost', text: found.text });
  wait = Math.min(WAIT_MAX_MS, wait * 1.6);
  setTimeout(retry, wait * (0.8 + 0.4 * Math.random()));
}

function lose(why) {
  if (!source) return;
  source.close();
  source = null;
  clearTimeout(watchdog);
  link.set({ kind: 'lost', text: `Reconnecting: ${why}` });
  setTimeout(retry, wait);
}

export function start() {
  open();
}

/** The versions of some tables as one text: when it changes, so did one of them. */
export function versionsOf(state, topics) {
  return state ? topics.map((topic) => state.versions[topic] ?? '').join(' ') : '';
}
