// SPDX-License-Identifier: Apache-2.0
//
// The file reader: the end of a file, and what is appended to it while one looks on; earlier parts when one scrolls up.
// Only a window of the file is held, so that it may have gigabytes. `at` in the address is the byte that the view begins
// with: a link to it shows the same place.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../lib.js';
import { href, setQuery } from '../router.js';
import { PIECE, downloadHref, read, sizeOf } from '../files.js';
import { Empty, Failure, PageHead, Skeleton } from '../parts/bits.js';
import { Window, lines } from '../parts/text.js';
import { bytes } from '../format.js';
import { useTrail } from './browse.js';

const LOOK_MS = 1000; // between looks at the file's end while it grows
const LOOK_MAX_MS = 5000; // and while it does not
const EDGE = 600; // pixels: so near to an edge more is loaded
const WRAP = 'meseta.wrap';
const LOOK = 0, MORE = 1, JUMP = 2; // what a wish that comes while the reader is busy is worth

/** Follows and pages through one file. The view is told of each change by `draw`. */
class Reader {
  constructor(agent, path, at, draw) {
    Object.assign(this, { agent, path, draw, window: new Window(), size: 0, error: null, isLoading: true, isBinary: false, waiting: null });
    this.follows = at === null;
    this.controller = new AbortController();
    this.timer = 0;
    this.wait = LOOK_MS;
    this.isBusy = false;
    this.wake = () => !document.hidden && this.look();
    document.addEventListener('visibilitychange', this.wake);
    this.open(at);
  }

  stop() {
    this.controller.abort();
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.wake);
  }

  /** Runs one thing at a time. The newest wish waits: a look none, and a jump gives way to another jump only. Errors are
   * shown; the next look tries again. */
  async run(work, rank) {
    if (this.controller.signal.aborted) return;
    if (this.isBusy) {
      if (rank !== LOOK && (rank === JUMP || this.waiting?.rank !== JUMP)) this.waiting = { work, rank };
      return;
    }
    this.isBusy = true;
    try {
      await work(this.controller.signal);
      this.error = null;
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (error.status === undefined) throw error;
      this.error = error;
    } finally {
      this.isBusy = false;
      this.isLoading = false;
    }
    if (this.controller.signal.aborted) return;
    this.draw();
    clearTimeout(this.timer);
    const { waiting } = this;
    this.waiting = null;
    if (waiting) {
      this.run(waiting.work, waiting.rank);
      return;
    }
    if (!document.hidden) this.timer = setTimeout(() => this.look(), this.error ? LOOK_MAX_MS : this.wait);
  }

  /** Shows the place at a byte, or the end. */
  open(at) {
    this.follows = at === null;
    return this.run(async (signal) => {
      this.size = await sizeOf(this.agent, this.path, signal);
      const start = Math.max(0, at === null ? this.size - PIECE : Math.min(at, this.size));
      const piece = await read(this.agent, this.path, start, PIECE, signal);
      this.isBinary = piece.text.includes('\0');
      this.window.reset(piece);
      this.size = Math.max(this.size, piece.end);
      if (at !== null && start > 0) this.window.prepend(await this.before(signal));
    }, JUMP);
  }

  before(signal) {
    const start = Math.max(0, this.window.start - PIECE / 2);
    return read(this.agent, this.path, start, this.window.start - start, signal);
  }

  earlier() {
    if (this.window.start === 0 || this.isBinary) return;
    this.run(async (signal) => {
      if (this.window.start > 0) this.window.prepend(await this.before(signal));
    }, MORE);
  }

  /** What follows the window: new text at the file's end, or what one scrolls down to. */
  later() {
    if (this.isBinary) return;
    this.run(async (signal) => {
      const piece = await read(this.agent, this.path, this.window.end, PIECE, signal);
      if (piece.end > piece.start) this.window.append(piece);
      this.size = Math.max(this.size, this.window.end);
    }, MORE);
  }

  /** At the window's end new text is taken; elsewhere only the size is looked at. */
  look() {
    if (this.isBinary) return;
    this.run(async (signal) => {
      const size = await sizeOf(this.agent, this.path, signal);
      const grown = size !== this.size;
      this.wait = grown ? LOOK_MS : Math.min(LOOK_MAX_MS, this.wait * 1.3);
      if (size < this.window.end) {
        // It was cut off or begun anew.
        this.size = size;
        const start = Math.max(0, size - PIECE);
        this.window.reset(await read(this.agent, this.path, start, PIECE, signal));
        return;
      }
      const isAtEnd = this.window.end >= this.size;
      this.size = size;
      if (!isAtEnd && !this.follows) return;
      if (this.follows && size - this.window.end > 8 * PIECE) {
        this.window.reset(await read(this.agent, this.path, size - PIECE, PIECE, signal));
        return;
      }
      for (let i = 0; this.window.end < size && i < 8; i++) {
        const piece = await read(this.agent, this.path, this.window.end, PIECE, signal);
        if (piece.end === piece.start) break;
        this.window.append(piece);
      }
    }, LOOK);
  }
}

function useReader(agent, path, at) {
  const [, draw] = useState(0);
  const reader = useRef(null);
  useEffect(() => {
    reader.current = new Reader(agent, path, at, () => draw((n) => n + 1));
    draw((n) => n + 1);
    return () => reader.current.stop();
  }, [agent, path]);
  return reader.current;
}

/** Finds in what is loaded, and marks it without a change of the page's elements. */
function useFinder(box, version) {
  const [text, setText] = useState('');
  const [state, setState] = useState({ ranges: [], at: -1, jump: false }); // jump: the match at `at` is to be shown
  const isNew = useRef(false);
  useEffect(() => {
    const ranges = [];
    const needle = text.toLowerCase();
    for (const node of needle ? box.current?.querySelectorAll('.line') ?? [] : []) {
      const hay = node.textContent.toLowerCase();
      for (let from = hay.indexOf(needle); from >= 0 && ranges.length < 5000; from = hay.indexOf(needle, from + needle.length)) {
        ranges.push(rangeIn(node, from, needle.length));
      }
    }
    const jump = isNew.current && ranges.length > 0;
    isNew.current = false;
    // A new search begins with the newest line.
    setState((old) => ({ ranges, at: jump ? ranges.length - 1 : Math.min(Math.max(old.at, 0), ranges.length - 1), jump }));
  }, [text, version]);
  useEffect(() => {
    if (state.jump) state.ranges[state.at].startContainer.parentElement.scrollIntoView({ block: 'center' });
    if (!CSS.highlights) return undefined;
    CSS.highlights.set('found', new Highlight(...state.ranges));
    CSS.highlights.set('found-now', new Highlight(...(state.at >= 0 ? [state.ranges[state.at]] : [])));
    return () => {
      CSS.highlights.delete('found');
      CSS.highlights.delete('found-now');
    };
  }, [state]);
  return {
    text,
    set(value) {
      isNew.current = value !== '';
      setText(value);
    },
    step(by) {
      setState((old) => (old.ranges.length ? { ...old, at: (old.at + by + old.ranges.length) % old.ranges.length, jump: true } : old));
    },
    count: state.ranges.length,
    at: state.at,
  };
}

function rangeIn(line, from, size) {
  const range = new Range();
  let left = from;
  let isBegun = false;
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!isBegun && left < node.length) {
      range.setStart(node, left);
      isBegun = true;
      left += size;
    }
    if (isBegun && left <= node.length) {
      range.setEnd(node, left);
      return range;
    }
    left -= node.length;
  }
  return range;
}

function Tools({ reader, finder, isFollowing, toEnd, toStart, wraps, setWraps, agent, path }) {
  const onKey = (event) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      finder.step(event.shiftKey ? -1 : 1);
    }
  };
  return html`<div class="reader-tools" role="toolbar" aria-label="Reader">
    <input type="search" data-search value=${finder.text} placeholder="Find in what is loaded" aria-label="Find in what is loaded" spellcheck=${false}
      onInput=${(event) => finder.set(event.target.value)} onKeyDown=${onKey} />
    <span class="muted found" role="status">${finder.text && (finder.count ? `${finder.at + 1} of ${finder.count}` : 'Nothing')}</span>
    <label class="check"><input type="checkbox" checked=${wraps} onChange=${(event) => setWraps(event.target.checked)} /> Wrap lines</label>
    <span class="reader-right">
      <span class="muted" id="file-size">${bytes(reader.size)}</span>
      <button type="button" onClick=${toStart}>Start</button>
      <button type="button" id="follow" aria-pressed=${isFollowing} class=${isFollowing ? 'on' : ''} onClick=${toEnd}>${isFollowing ? 'Following' : 'Follow the end'}</button>
      <a class="button" href=${downloadHref(agent, path)} download>Download</a>
    </span>
  </div>`;
}

function Text({ reader, agent, path, at }) {
  const box = useRef(null);
  const anchor = useRef(null); // what must stay where it is when the window changes: [byte, pixels below the top]
  const [wraps, setWraps] = useState(() => localStorage.getItem(WRAP) !== 'no');
  const [, draw] = useState(0);
  const finder = useFinder(box, reader.window.version);
  const timer = useRef(0);
  const isPlaced = useRef(false);

  const blockAt = (byte) => [...box.current.querySelectorAll('.block')].filter((node) => Number(node.dataset.start) <= byte).at(-1);
  const remember = () => {
    const top = box.current.getBoundingClientRect().top;
    const block = [...box.current.querySelectorAll('.block')].find((node) => node.getBoundingClientRect().bottom > top);
    for (const line of block?.children ?? []) {
      const rect = line.getBoundingClientRect();
      if (rect.bottom > top) {
        anchor.current = { byte: Number(line.dataset.at), y: rect.top - top };
        return;
      }
    }
  };
  useLayoutEffect(() => {
    const node = box.current;
    if (reader.follows) {
      node.scrollTop = node.scrollHeight;
      return;
    }
    const byte = isPlaced.current ? anchor.current?.byte : at;
    if (byte === undefined || byte === null || reader.isLoading) return;
    const block = blockAt(byte);
    const line = block && [...block.children].filter((one) => Number(one.dataset.at) <= byte).at(-1);
    if (!line) return;
    node.scrollTop += line.getBoundingClientRect().top - node.getBoundingClientRect().top - (isPlaced.current ? anchor.current.y : 0);
    isPlaced.current = true;
  }, [reader.window.version, wraps]);

  const onScroll = () => {
    const node = box.current;
    const below = node.scrollHeight - node.scrollTop - node.clientHeight;
    const isAtEnd = below < 4 && reader.window.end >= reader.size;
    if (isAtEnd !== reader.follows) {
      reader.follows = isAtEnd;
      draw((n) => n + 1);
    }
    if (!isAtEnd) {
      isPlaced.current = true;
      remember();
    }
    if (node.scrollTop < EDGE) reader.earlier();
    else if (below < EDGE && reader.window.end < reader.size) reader.later();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ at: reader.follows ? '' : anchor.current?.byte }), 300);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const wrap = (value) => {
    localStorage.setItem(WRAP, value ? 'yes' : 'no');
    setWraps(value);
  };
  const jump = (to) => {
    anchor.current = { byte: to ?? 0, y: 0 };
    isPlaced.current = true;
    reader.open(to);
    setQuery({ at: to === null ? '' : to });
  };
  const isFollowing = reader.follows && !reader.error;
  const { window: held } = reader;
  return html`
    <${Tools} reader=${reader} finder=${finder} isFollowing=${isFollowing} toEnd=${() => jump(null)} toStart=${() => jump(0)}
      wraps=${wraps} setWraps=${wrap} agent=${agent} path=${path} />
    ${reader.error && html`<${Failure} error=${reader.error} retry=${() => reader.look()} />`}
    <div class=${`reader ${wraps ? 'wraps' : ''}`} ref=${box} onScroll=${onScroll} tabindex="0" role="log" aria-live="off" aria-label=${path}>
      <p class="edge">${held.start > 0 ? `${bytes(held.start)} before this` : 'The file begins here'}</p>
      ${held.blocks.map((block) => html`<${Block} key=${block.start} block=${block} text=${block.text} />`)}
      <p class="edge">${held.end < reader.size ? `${bytes(reader.size - held.end)} after this` : reader.size === 0 ? 'The file is empty' : ''}</p>
    </div>`;
}

function Block({ block, text }) {
  return useMemo(() => html`<div class="block" data-start=${block.start}>${lines(block).map((line) => html`<div class="line" key=${line.at}
    data-at=${line.at}>${line.parts.map((part) => (part.style ? html`<span class=${part.style}>${part.text}</span>` : part.text))}${'\n'}</div>`)}</div>`, [text]);
}

function FilePage({ agent, path, at, trail }) {
  const reader = useReader(agent, path, at);
  const title = path.replace(/^.*\//, '') || path;
  let content;
  if (!reader || reader.isLoading) content = html`<${Skeleton} lines=${10} />`;
  else if (reader.error && reader.window.end === 0) content = html`<${Failure} error=${reader.error} retry=${() => reader.open(at)} />`;
  else if (reader.isBinary) {
    content = html`<${Empty} title="This file is not text"><a href=${downloadHref(agent, path)} download>Download it</a> (${bytes(reader.size)}).<//>`;
  } else content = html`<${Text} reader=${reader} agent=${agent} path=${path} at=${at} />`;
  return html`<${PageHead} title=${title} trail=${trail} />${content}`;
}

function AgentFile({ agent, path, at }) {
  return html`<${FilePage} agent=${agent} path=${path} at=${at} trail=${useTrail(agent, path)} />`;
}

export default function File({ params, query }) {
  if (!query.path) return html`<${Empty} title="No file is named">The address of this page must say <code>path=…</code>.<//>`;
  const at = /^\d+$/.test(query.at ?? '') ? Number(query.at) : null;
  if (params.agent) return html`<${AgentFile} key=${query.path} agent=${params.agent} path=${query.path} at=${at} />`;
  return html`<${FilePage} key=${query.path} agent=${null} path=${query.path} at=${at} trail=${[['Home', href('/')]]} />`;
}
