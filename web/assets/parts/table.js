// SPDX-License-Identifier: Apache-2.0
//
// A table of any length: only the rows in sight are drawn. Its rows come either as a whole (`rows`) or page by page from
// an endpoint of the dashboard (`source` and `params`), which then searches and sorts. What is searched and how it is
// sorted stands in the address (with `prefix` before the names, where a page has several tables).
//
// Columns: {key, title, cell(row), sort: true | (row) => value, descends, align: 'end', width: CSS, phone: its
// width there, hide: 'narrow' | 'phone'}.
// `search={false}` leaves the field out (a search in the address still counts).
// `rowHref(row)` is where a row leads: its first column becomes the link. Keys: see the help (parts/layout.js).
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState, useStore } from '../lib.js';
import { getJson, Refresher, withQuery } from '../data.js';
import { place, setQuery } from '../router.js';
import { number } from '../format.js';
import { Empty, Failure } from './bits.js';

const PAGE = 100; // rows that are asked for at once
const ROW = 38; // pixels; --row in parts.css
const SPARE = 12; // rows drawn above and below those in sight
const SEARCH_DELAY_MS = 120;

/** What is searched and sorted, from the address. */
function useChoice(prefix, columns, fallback) {
  const query = useStore(place, (value) => value.query);
  const name = (text) => (prefix ? `${prefix}.${text}` : text);
  const column = columns.find((one) => one.sort && one.key === query[name('sort')]);
  const sort = column ? column.key : fallback.sort;
  const order = ['asc', 'desc'].includes(query[name('order')]) && column ? query[name('order')] : fallback.order;
  return {
    search: query[name('search')] ?? '',
    sort,
    order,
    set(changes) {
      setQuery(Object.fromEntries(Object.entries(changes).map(([key, value]) => [name(key), value])));
    },
  };
}

/** Rows that the page has as a whole. */
function useLocalRows({ rows, columns, choice, enabled }) {
  return useMemo(() => {
    if (!enabled) return null;
    if (!rows) return { matched: 0, total: 0, at: () => undefined, see() {}, isLoading: true };
    const terms = choice.search.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => JSON.stringify(row).toLowerCase();
    let found = terms.length ? rows.filter((row) => terms.every((term) => text(row).includes(term))) : rows.slice();
    const column = columns.find((one) => one.key === choice.sort);
    if (column) {
      const value = typeof column.sort === 'function' ? column.sort : (row) => row[column.key];
      const sign = choice.order === 'desc' ? -1 : 1;
      found = found.map((row) => [value(row), row]).sort(([a], [b]) =>
        sign * (typeof a === 'string' || typeof b === 'string' ? String(a).localeCompare(String(b), 'en', { numeric: true }) : a - b))
        .map(([, row]) => row);
    }
    return { matched: found.length, total: rows.length, at: (i) => found[i], see() {}, isLoading: false };
  }, [enabled, rows, choice.search, choice.sort, choice.order]);
}

/** Rows that the master searches and sorts; those in sight are kept up to date. */
function useServerRows({ source, params, topics, choice, enabled }) {
  const [, draw] = useState(0);
  const state = useRef({ pages: new Map(), want: [0, 0], matched: 0, total: 0, isLoading: true, error: null });
  const url = enabled ? withQuery(source, { ...params, search: choice.search, sort: choice.sort, order: choice.order }) : null;
  const refresher = useRef(null);
  useEffect(() => {
    if (!url) return undefined;
    const s = state.current;
    s.isLoading = true;
    s.want = [0, 0];
    refresher.current = new Refresher(topics, async (signal) => {
      // All pages in sight at once; pages that are not in sight any more are forgotten.
      const [from, to] = s.want;
      try {
        const answer = await getJson(url, { offset: from * PAGE, limit: (to - from + 1) * PAGE }, { signal });
        if (signal.aborted) return 0;
        s.pages = new Map();
        for (let page = from; page <= to; page++) {
          s.pages.set(page, answer.rows.slice((page - from) * PAGE, (page - from + 1) * PAGE));
        }
        Object.assign(s, { matched: answer.matched, total: answer.total, answer, isLoading: false, error: null });
        draw((n) => n + 1);
        return answer.took_us;
      } catch (error) {
        if (!signal.aborted) {
          s.error = error;
          s.isLoading = false;
          draw((n) => n + 1);
        }
        throw error;
      }
    });
    return () => refresher.current.stop();
  }, [url]);
  const s = state.current;
  return {
    ...s,
    at: (i) => s.pages.get(Math.floor(i / PAGE))?.[i % PAGE],
    see(from, to) {
      const want = [Math.floor(from / PAGE), Math.max(0, Math.floor((to - 1) / PAGE))];
      const isThere = s.pages.has(want[0]) && s.pages.has(want[1]);
      const isAsked = want[0] >= s.want[0] && want[1] <= s.want[1];
      if (want[0] === s.want[0] && want[1] === s.want[1]) return;
      s.want = want;
      if (!isThere && !isAsked) refresher.current?.now();
    },
    reload: () => refresher.current?.now(),
  };
}

function HeadCell({ column, choice, fallback }) {
  const className = `${column.align === 'end' ? 'end' : ''} ${column.hide ? `hide-${column.hide}` : ''}`;
  if (!column.sort) return html`<th scope="col" class=${className}>${column.title}</th>`;
  const isSorted = choice.sort === column.key;
  const change = () => {
    const first = column.descends ? 'desc' : 'asc';
    const order = isSorted ? (choice.order === 'asc' ? 'desc' : 'asc') : first;
    const isDefault = column.key === fallback.sort && order === fallback.order;
    choice.set({ sort: isDefault ? '' : column.key, order: isDefault ? '' : order });
  };
  return html`<th scope="col" class=${className} aria-sort=${isSorted ? (choice.order === 'asc' ? 'ascending' : 'descending') : undefined}>
    <button type="button" class="sort" onClick=${change}>${column.title}<i aria-hidden="true">${isSorted ? (choice.order === 'asc' ? '▲' : '▼') : ''}</i></button></th>`;
}

function Row({ row, index, columns, rowHref }) {
  if (!row) {
    return html`<tr class="waiting" aria-rowindex=${index + 2}>${columns.map((column) => html`<td key=${column.key}
      class=${column.hide ? `hide-${column.hide}` : ''}><i></i></td>`)}</tr>`;
  }
  const target = rowHref?.(row);
  return html`<tr data-row=${index} aria-rowindex=${index + 2}>${columns.map((column, i) => {
    const content = column.cell(row);
    const title = typeof content === 'string' ? content : column.hint?.(row);
    return html`<td key=${column.key} title=${title}
      class=${`${column.align === 'end' ? 'end' : ''} ${column.hide ? `hide-${column.hide}` : ''}`}>
      ${i === 0 && target ? html`<a href=${target} class="row-link">${content}</a>` : content}</td>`;
  })}</tr>`;
}

/** Parts of the width are for wide screens: on a phone their columns share what is left. */
const widths = ({ width = 'auto', phone }) => ({ '--width': width, '--phone-width': phone ?? (width.endsWith('%') ? 'auto' : width) });

/** Which rows are in sight of a scrolling box. */
function useWindow(count) {
  const box = useRef(null);
  const [sight, setSight] = useState([0, 30]);
  const look = () => {
    const node = box.current;
    if (!node) return;
    const from = Math.max(0, Math.floor(node.scrollTop / ROW) - SPARE);
    const to = Math.min(count, Math.ceil((node.scrollTop + Math.max(node.clientHeight, 400)) / ROW) + SPARE);
    setSight((old) => (old[0] === from && old[1] === to ? old : [from, to]));
  };
  useLayoutEffect(look, [count]);
  return [box, [Math.min(sight[0], count), Math.min(sight[1], count)], look];
}

/** Moves the focus along the rows' links. */
function useRowKeys(box, count, look) {
  const wanted = useRef(-1);
  useEffect(() => {
    if (wanted.current < 0) return;
    const node = box.current?.querySelector(`tr[data-row="${wanted.current}"] a.row-link`);
    if (node) {
      wanted.current = -1;
      node.focus({ preventScroll: true });
    }
  });
  return (event) => {
    const key = { j: 'ArrowDown', k: 'ArrowUp' }[event.key] ?? event.key;
    if (!['ArrowDown', 'ArrowUp', 'Home', 'End', 'PageDown', 'PageUp'].includes(key) || count === 0) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const row = event.target.closest?.('tr[data-row]');
    const at = row ? Number(row.dataset.row) : -1;
    const step = Math.max(1, Math.floor(box.current.clientHeight / ROW) - 2);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: count - 1, PageDown: at + step, PageUp: at - step }[key];
    const to = Math.max(0, Math.min(count - 1, next));
    event.preventDefault();
    wanted.current = to;
    const top = to * ROW;
    const node = box.current;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + 2 * ROW > node.scrollTop + node.clientHeight) node.scrollTop = top + 2 * ROW - node.clientHeight;
    look();
    const link = node.querySelector(`tr[data-row="${to}"] a.row-link`);
    if (link) {
      wanted.current = -1;
      link.focus({ preventScroll: true });
    }
  };
}

function SearchField({ choice, label }) {
  const [text, setText] = useState(choice.search);
  const timer = useRef(0);
  useEffect(() => setText(choice.search), [choice.search]);
  const type = (event) => {
    const { value } = event.target;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => choice.set({ search: value.trim() }), SEARCH_DELAY_MS);
  };
  return html`<input type="search" class="table-search" data-search value=${text} onInput=${type} placeholder="Search"
    aria-label=${`Search ${label.toLowerCase()}`} autocomplete="off" spellcheck=${false} />`;
}

export function DataTable({
  label, columns, rows, source, params, topics = [], rowHref, sort, order = 'asc', prefix = '', search = true, tools,
  empty = 'There is nothing', emptyNote, onAnswer, tall = false, error: givenError, retry,
}) {
  const fallback = { sort, order };
  const choice = useChoice(prefix, columns, fallback);
  const local = useLocalRows({ rows, columns, choice, enabled: !source });
  const server = useServerRows({ source, params, topics, choice, enabled: Boolean(source) });
  const data = source ? server : local;
  const [box, [from, to], look] = useWindow(data.matched);
  const onKey = useRowKeys(box, data.matched, look);
  useEffect(() => data.see(from, to), [from, to, data.matched]);
  useEffect(() => onAnswer?.(data), [data.answer, data.matched, data.total]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
    look();
  }, [choice.search, choice.sort, choice.order, JSON.stringify(params)]);
  const error = givenError ?? data.error;
  const isFiltered = choice.search !== '';
  const hasSearch = search || isFiltered;
  const drawn = [];
  for (let i = from; i < to; i++) drawn.push(html`<${Row} key=${i} index=${i} row=${data.at(i)} columns=${columns} rowHref=${rowHref} />`);
  const waiting = data.isLoading && data.matched === 0;
  return html`<div class="table">
    ${(hasSearch || tools) && html`<div class="table-tools">
      ${hasSearch && html`<${SearchField} choice=${choice} label=${label} />`}
      ${tools}
      <span class="muted table-count" role="status">${!waiting && (isFiltered || data.matched !== data.total)
        ? `${number(data.matched)} of ${number(data.total)}` : ''}</span>
    </div>`}
    ${error && html`<${Failure} error=${error} retry=${retry ?? data.reload} />`}
    ${!error || data.matched > 0 ? html`<div class=${`table-box ${tall ? 'tall' : ''}`} ref=${box} onScroll=${look} onKeyDown=${onKey}
        tabindex="0" role="region" aria-label=${label}>
      <table aria-label=${label} aria-rowcount=${data.matched + 1}>
        <colgroup>${columns.map((column) => html`<col key=${column.key} class=${column.hide ? `hide-${column.hide}` : ''}
          style=${widths(column)} />`)}</colgroup>
        <thead><tr aria-rowindex="1">${columns.map((column) => html`<${HeadCell} key=${column.key} column=${column} choice=${choice} fallback=${fallback} />`)}</tr></thead>
        <tbody>
          ${from > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${columns.length} style=${{ height: `${from * ROW}px` }}></td></tr>`}
          ${waiting ? Array.from({ length: 4 }, (_, i) => html`<${Row} key=${`w${i}`} index=${i} columns=${columns} />`) : drawn}
          ${to < data.matched && html`<tr class="space" aria-hidden="true"><td colspan=${columns.length} style=${{ height: `${(data.matched - to) * ROW}px` }}></td></tr>`}
        </tbody>
      </table>
      ${!waiting && data.matched === 0 && html`<${Empty} title=${isFiltered ? 'Nothing matches' : empty}>
        ${isFiltered ? html`No row has “${choice.search}”. <button type="button" class="link" onClick=${() => choice.set({ search: '' })}>Show all</button>` : emptyNote}<//>`}
    </div>` : ''}
  </div>`;
}
