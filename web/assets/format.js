// SPDX-License-Identifier: Apache-2.0
//
// Numbers, amounts and times as people read them; British English.
const LOCALE = 'en-GB';
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const cache = new Map();

export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (digits === 0) return whole.format(value);
  if (!cache.has(digits)) cache.set(digits, new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits }));
  return cache.get(digits).format(value);
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export function percent(part, all) {
  if (!all) return '0 %';
  const share = (100 * part) / all;
  if (share > 0 && share < 1) return '< 1 %';
  if (share > 99 && share < 100) return '> 99 %';
  return `${Math.round(share)} %`;
}

/** Mesos' megabytes: 1024 of them are a gigabyte. */
export function megabytes(value) {
  if (value === null || value === undefined) return '–';
  const units = ['MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, value < 100 && unit > 0 ? 1 : value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function bytes(value) {
  if (value === null || value === undefined) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, value < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** The resources that the page knows: how an amount of each is written. */
export const RESOURCES = {
  cpus: { title: 'CPUs', show: (value) => number(value, value < 100 ? 2 : 0) },
  mem: { title: 'Memory', show: megabytes },
  disk: { title: 'Disk', show: megabytes },
  gpus: { title: 'GPUs', show: (value) => number(value, 2) },
};
export const amount = (name, value) => (RESOURCES[name] ? RESOURCES[name].show(value) : number(value, 3));

/** "1 CPU", "2.5 CPUs", "64 MB memory"; of other resources the name. */
export function amountOf(name, value) {
  if (name === 'cpus' || name === 'gpus') return `${amount(name, value)} ${name === 'cpus' ? 'CPU' : 'GPU'}${value === 1 ? '' : 's'}`;
  return `${amount(name, value)} ${RESOURCES[name] ? RESOURCES[name].title.toLowerCase() : name}`;
}

/** Seconds as "20 ms", "3 min", "2 h 5 min", "4 days". */
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s > 0 && s < 1) return `${Math.max(1, Math.round(1000 * s))} ms`;
  if (s < 10) return `${number(s, 1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(s / 86400)} days`;
}

/** How long ago, from seconds since 1970. */
export function ago(seconds, now = Date.now() / 1000) {
  const age = now - seconds;
  return age < 5 ? 'just now' : `${duration(Math.round(age))} ago`;
}

const stamp = new Intl.DateTimeFormat(LOCALE, {
  year: 'numeric', month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
});
const clock = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit' });
export const date = (seconds) => (seconds ? stamp.format(new Date(seconds * 1000)) : '–');
export const hours = (seconds) => clock.format(new Date(seconds * 1000));

/** TASK_KILLED_BY_X -> "Killed by x". */
export function stateName(state) {
  const text = String(state).replace(/^(TASK|OPERATION)_/, '').toLowerCase().replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Ids are long and alike in front: what tells them apart is the end. */
export function shortId(id) {
  const found = /^([0-9a-f]{8})-[0-9a-f-]{27}-(\w+)$/.exec(id);
  return found ? `…${found[2]}` : id;
}
