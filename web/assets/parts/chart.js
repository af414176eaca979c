// SPDX-License-Identifier: Apache-2.0
//
// Amounts over time, stacked below what there is in all. Drawn as SVG: sharp, and in the theme's colours by its classes.
import { html, useMemo, useRef, useState } from '../lib.js';
import { hours } from '../format.js';

const WIDTH = 1000;
const HEIGHT = 100;

/** Paths of stacked areas; `lists` from the bottom up. */
function stack(lists, count, slots, max) {
  const x = (i) => ((i + slots - count) / Math.max(1, slots - 1)) * WIDTH;
  const y = (value) => HEIGHT - (max > 0 ? (value / max) * HEIGHT : 0);
  let below = new Array(count).fill(0);
  return lists.map((list) => {
    const above = below.map((value, i) => value + (list[i] ?? 0));
    if (count < 2) {
      below = above;
      return '';
    }
    const up = above.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(2)}`).join('L');
    const down = below.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(2)}`).reverse().join('L');
    below = above;
    return `M${up}L${down}Z`;
  });
}

/**
 * `series`: [{name, kind, values}], the lowest first; `total`: the upper end, over time; `show(value)` as text;
 * `newest`: seconds since 1970; `interval`: seconds between two values; `slots`: how many fit.
 */
export function Chart({ label, series, total, show, newest, interval, slots = 360 }) {
  const [at, setAt] = useState(null);
  const box = useRef(null);
  const count = total.length;
  const max = Math.max(...total, 0);
  const paths = useMemo(() => stack(series.map((one) => one.values), count, slots, max), [series, total, slots]);
  const point = (event) => {
    const { left, width } = box.current.getBoundingClientRect();
    const slot = Math.round(((event.clientX - left) / width) * (slots - 1));
    const i = slot - (slots - count);
    setAt(i >= 0 && i < count ? i : null);
  };
  const shown = at === null || at >= count ? count - 1 : at;
  const when = newest - (count - 1 - shown) * interval;
  const words = series.map((one) => `${one.name} ${show(one.values[shown] ?? 0)}`).join(', ');
  const line = ((shown + slots - count) / Math.max(1, slots - 1)) * 100;
  const ticks = [0, 1, 2, 3, 4].map((i) => newest - ((4 - i) / 4) * (slots - 1) * interval);
  return html`<figure class="chart">
    <div class="chart-box" ref=${box} onPointerMove=${point} onPointerLeave=${() => setAt(null)}>
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${label}, ${count < 2 ? 'just begun' : 'the last hour'}: now ${words}`}>
        ${[0.25, 0.5, 0.75].map((part) => html`<line key=${part} class="grid" x1="0" x2=${WIDTH} y1=${HEIGHT * part} y2=${HEIGHT * part} />`)}
        ${paths.map((path, i) => html`<path key=${series[i].name} class=${`area ${series[i].kind}`} d=${path} />`)}
      </svg>
      ${at !== null && html`<i class="cursor" style=${{ left: `${line}%` }}></i>`}
      ${at !== null && html`<p class=${`readout ${line > 50 ? 'left' : ''}`} style=${line > 50 ? { right: `${100 - line}%` } : { left: `${line}%` }}>
        <b>${hours(when)}</b>${series.map((one) => html`<span key=${one.name}><i class=${one.kind}></i>${one.name} <b>${show(one.values[shown] ?? 0)}</b></span>`)}
        <span>of <b>${show(total[shown] ?? 0)}</b></span></p>`}
      ${count < 2 && html`<p class="chart-none muted">The hour begins now</p>`}
    </div>
    <div class="axis" aria-hidden="true">${ticks.map((tick, i) => html`<span key=${i}>${hours(tick)}</span>`)}</div>
  </figure>`;
}
