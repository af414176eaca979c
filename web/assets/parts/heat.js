// SPDX-License-Identifier: Apache-2.0
//
// The heat map: a square for each agent, the darker the fuller. On a canvas, since there may be 10,000; what the pointer
// or the arrow keys are on is told in words below.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib.js';
import { Refresher, getJson } from '../data.js';
import { go, seg } from '../router.js';
import { number, RESOURCES } from '../format.js';
import { Empty, Failure, Skeleton } from './bits.js';

const STEPS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+';
const STATES = { a: 'in service', d: 'draining', o: 'out of service', x: 'not connected' };
/** 0 to 1; -1: it has none. */
const share = (text, i) => (text[i] === '-' ? -1 : STEPS.indexOf(text[i]) / 62);

/** {count, names: [id, host, ...], states, cpus, mem, ...}: names only when the set of agents changed. */
export function useHeat() {
  const [state, setState] = useState({ data: null, error: null });
  const kept = useRef(null);
  const refresher = useRef(null);
  useEffect(() => {
    refresher.current = new Refresher(['agents', 'tasks', 'offers'], async (signal) => {
      try {
        const data = await getJson('/dashboard/heat', { known: kept.current?.set }, { signal });
        if (signal.aborted) return 0;
        if (!data.names) data.names = kept.current.names;
        kept.current = data;
        setState({ data, error: null });
        // Names of 10,000 agents are many bytes: not too often.
        return data.took_us + data.count * 2;
      } catch (error) {
        if (!signal.aborted) setState({ data: kept.current, error });
        throw error;
      }
    });
    return () => refresher.current.stop();
  }, []);
  return { ...state, reload: () => refresher.current.now() };
}

function parse(color) {
  const node = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  node.fillStyle = color;
  node.fillRect(0, 0, 1, 1);
  return [...node.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

/** The colours of the theme that is on. */
function palette(node) {
  const read = (name) => {
    node.style.color = `var(${name})`;
    return parse(getComputedStyle(node).color);
  };
  const [low, high, warn, bad, muted] = ['--heat-0', '--heat-1', '--offered', '--bad', '--muted'].map(read);
  node.style.color = '';
  const text = (list) => `rgb(${list.join(' ')})`;
  const steps = Array.from({ length: 63 }, (_, i) => text(low.map((value, k) => Math.round(value + ((high[k] - value) * i) / 62))));
  return { steps, warn: text(warn), bad: text(bad), muted: text(muted) };
}

/** How large squares can be so that all are seen without scrolling. */
function grid(count, width) {
  let size = 30;
  while (size > 5 && Math.ceil(count / Math.floor(width / size)) * size > 260) size -= 1;
  const columns = Math.max(1, Math.floor(width / size));
  return { size, columns, rows: Math.ceil(count / columns) };
}

function draw(canvas, data, resource, at) {
  const width = canvas.clientWidth;
  if (width === 0) return;
  const { size, columns, rows } = grid(data.count, width);
  const ratio = devicePixelRatio || 1;
  canvas.style.height = `${rows * size}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(rows * size * ratio);
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const colors = palette(canvas);
  const gap = size > 8 ? 2 : 1;
  for (let i = 0; i < data.count; i++) {
    const x = (i % columns) * size;
    const y = Math.floor(i / columns) * size;
    const part = share(data[resource], i);
    if (part < 0) {
      context.fillStyle = colors.muted;
      context.fillRect(x + size / 2 - 1, y + size / 2 - 1, 2, 2);
    } else {
      context.fillStyle = colors.steps[Math.round(part * 62)];
      context.fillRect(x, y, size - gap, size - gap);
    }
    if (data.states[i] !== 'a') {
      // Not by colour alone: a stroke across for whoever is not in service.
      context.strokeStyle = data.states[i] === 'x' ? colors.bad : colors.warn;
      context.lineWidth = size > 12 ? 2 : 1.2;
      context.strokeRect(x + 1, y + 1, size - gap - 2, size - gap - 2);
      context.beginPath();
      context.moveTo(x + 1, y + size - gap - 1);
      context.lineTo(x + size - gap - 1, y + 1);
      context.stroke();
    }
  }
  if (at !== null && at < data.count) {
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineWidth = 2;
    context.strokeRect((at % columns) * size, Math.floor(at / columns) * size, size - gap, size - gap);
  }
}

function tell(data, i) {
  const parts = Object.keys(RESOURCES).filter((name) => share(data[name], i) >= 0)
    .map((name) => `${RESOURCES[name].title} ${Math.round(100 * share(data[name], i))} %`);
  const state = data.states[i] === 'a' ? '' : `, ${STATES[data.states[i]]}`;
  return `${data.names[2 * i + 1]}${state}: ${parts.join(', ')}`;
}

function summary(data, resource) {
  let full = 0;
  let none = 0;
  let empty = 0;
  for (let i = 0; i < data.count; i++) {
    const part = share(data[resource], i);
    if (part >= 0.9) full += 1;
    if (part === 0) empty += 1;
    if (part < 0) none += 1;
  }
  const words = [`${number(full)} at 90 % or more`, `${number(empty)} with nothing used`];
  if (none) words.push(`${number(none)} without any`);
  return words.join(', ');
}

export function HeatMap({ resource }) {
  const { data, error, reload } = useHeat();
  const [at, setAt] = useState(null);
  const [theme, setTheme] = useState(0);
  const canvas = useRef(null);
  useLayoutEffect(() => {
    if (canvas.current && data) draw(canvas.current, data, resource, at);
  }, [data, resource, at, theme]);
  useEffect(() => {
    const again = () => setTheme((n) => n + 1);
    const media = matchMedia('(prefers-color-scheme: dark)');
    const watcher = new MutationObserver(again);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    media.addEventListener('change', again);
    addEventListener('resize', again);
    return () => {
      watcher.disconnect();
      media.removeEventListener('change', again);
      removeEventListener('resize', again);
    };
  }, []);
  if (!data && error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (!data) return html`<${Skeleton} lines=${4} />`;
  if (data.count === 0) return html`<div class="card"><${Empty} title="No agent has registered yet">Start one: <code>mesos-agent --master=${location.host} --work_dir=/var/lib/mesos</code><//></div>`;
  const find = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const { size, columns } = grid(data.count, canvas.current.clientWidth);
    const column = Math.floor((event.clientX - box.left) / size);
    const i = Math.floor((event.clientY - box.top) / size) * columns + column;
    return column >= 0 && column < columns && i >= 0 && i < data.count ? i : null;
  };
  const open = (i) => i !== null && go(`/agents/${seg(data.names[2 * i])}`);
  const press = (event) => {
    const { columns } = grid(data.count, canvas.current.clientWidth);
    const from = at ?? -1;
    const next = { ArrowRight: from + 1, ArrowLeft: from - 1, ArrowDown: at === null ? 0 : from + columns, ArrowUp: from - columns, Home: 0, End: data.count - 1 }[event.key];
    if (event.key === 'Enter') open(at);
    if (next === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(data.count - 1, next)));
  };
  return html`<div class="card heat">
    <canvas ref=${canvas} id="heat" tabindex="0" role="img" aria-label=${`${number(data.count)} agents by the use of ${RESOURCES[resource].title}: ${summary(data, resource)}. Arrow keys move, Enter opens.`}
      onPointerMove=${(event) => setAt(find(event))} onPointerLeave=${() => setAt(null)} onClick=${(event) => open(find(event))} onKeyDown=${press} onBlur=${() => setAt(null)}></canvas>
    <div class="heat-foot">
      <p id="heat-word" aria-live="polite">${at !== null && at < data.count ? tell(data, at) : summary(data, resource)}</p>
      <p class="heat-legend muted" aria-hidden="true">empty <i class="ramp"></i> full <i class="off"></i> not in service</p>
    </div>
  </div>`;
}
