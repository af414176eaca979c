// SPDX-License-Identifier: Apache-2.0
//
// Directories and files of the agents and of the master. An agent's are asked for through the master, which is reached
// for sure: no name of an agent must be known to the browser's network, and no rule on other origins matters. When the
// master does not reach the agent, the browser asks it directly, as Mesos' page did.
import { ApiError, getJson, withQuery } from './data.js';

/** What a piece of a file may hold: what the other side gives at most. */
export const PIECE = 64 * 1024;

const encoder = new TextEncoder();
const direct = new Map(); // agent -> origin, of those that only answer directly

const AWAY = new Set([502, 503, 504]);

async function originOf(agent, signal) {
  const answer = await getJson('/slaves', { slave_id: agent }, { signal });
  const found = answer.slaves.find((one) => one.id === agent);
  return found ? `${location.protocol}//${found.hostname}:${found.port}` : null;
}

/** GET of a files endpoint; `agent` null: the master's own. */
async function ask(agent, verb, params, signal) {
  if (agent === null) return getJson(`/files/${verb}`, params, { signal });
  if (!direct.has(agent)) {
    try {
      return await getJson(`/agent/${encodeURIComponent(agent)}/files/${verb}`, params, { signal });
    } catch (error) {
      if (!AWAY.has(error.status)) throw error;
      const origin = await originOf(agent, signal);
      if (!origin) throw error;
      try {
        const answer = await getJson(`${origin}/files/${verb}`, params, { signal });
        direct.set(agent, origin);
        return answer;
      } catch (second) {
        throw second.status ? second : error; // neither way: the master's sentence says more
      }
    }
  }
  try {
    return await getJson(`${direct.get(agent)}/files/${verb}`, params, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) direct.delete(agent);
    throw error;
  }
}

/** The entries of a directory: {path, name, size, mtime, mode, uid, gid, nlink, isDirectory}. */
export async function browse(agent, path, signal) {
  const entries = await ask(agent, 'browse', { path }, signal);
  return entries.map((entry) => ({
    ...entry, name: entry.path.replace(/^.*\//, ''), isDirectory: entry.mode.startsWith('d'),
  }));
}

/** How long a file is, in bytes. */
export async function sizeOf(agent, path, signal) {
  return (await ask(agent, 'read', { path, offset: -1 }, signal)).offset;
}

/**
 * A piece of a file from `offset`: {text, start, end}, in bytes. A character that the piece's end would cut in two is left
 * to the next piece. A byte that is no UTF-8 comes as one replacement character (of three bytes).
 */
export async function read(agent, path, offset, length, signal) {
  const { data } = await ask(agent, 'read', { path, offset, length: Math.min(length, PIECE) }, signal);
  const size = encoder.encode(data).length - 2 * (data.split('\ufffd').length - 1);
  return { text: data, start: offset, end: offset + size };
}

export function downloadHref(agent, path) {
  if (agent === null) return withQuery('/files/download', { path });
  return withQuery(`${direct.get(agent) ?? `/agent/${encodeURIComponent(agent)}`}/files/download`, { path });
}
