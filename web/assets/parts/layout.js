// SPDX-License-Identifier: Apache-2.0
//
// The frame around every page: navigation, search, how it is with the master, theme, help.
import { html, useEffect, useRef, useState, useStore } from '../lib.js';
import { routes } from '../routes.js';
import { go, href, place } from '../router.js';
import { link, overview } from '../live.js';
import { helpIsOpen } from '../keys.js';

const KEYS = [
  ['/', 'Search on this page, or all tasks'],
  ['Esc', 'Leave the search'],
  ['↓ ↑ or j k', 'To the next and the previous row of a table'],
  ['Enter', 'Open the row'],
  ['Home End', 'To the first and the last row'],
  ['?', 'This help'],
];

function ThemeButton() {
  const [choice, setChoice] = useState(window.mesetaTheme.get());
  const next = { auto: 'light', light: 'dark', dark: 'auto' };
  const names = { auto: 'as the system has it', light: 'light', dark: 'dark' };
  const icons = { auto: '◐', light: '☀', dark: '☾' };
  const change = () => {
    window.mesetaTheme.set(next[choice]);
    setChoice(next[choice]);
  };
  return html`<button type="button" class="ghost icon" id="theme" onClick=${change} title=${`Theme: ${names[choice]}`}
    aria-label=${`Theme: ${names[choice]}. Change to ${names[next[choice]]}`}><span aria-hidden="true">${icons[choice]}</span></button>`;
}

function HelpDialog() {
  const isOpen = useStore(helpIsOpen);
  const dialog = useRef(null);
  useEffect(() => {
    if (isOpen && !dialog.current.open) dialog.current.showModal();
    if (!isOpen && dialog.current.open) dialog.current.close();
  }, [isOpen]);
  const pages = routes.filter((route) => route.key).map((route) => [`g ${route.key}`, route.nav]);
  return html`<dialog ref=${dialog} id="help" aria-labelledby="help-title" onClose=${() => helpIsOpen.set(false)}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <div class="dialog-body">
      <h2 id="help-title">Keyboard</h2>
      <dl class="keys">
        ${[...KEYS, ...pages].map(([keys, what]) => html`<div key=${keys}>
          <dt>${keys.split(' ').map((key) => (key === 'or' ? ' or ' : html`<kbd>${key}</kbd>`))}</dt><dd>${what}</dd></div>`)}
      </dl>
      <p class="muted">The address of this page holds what it shows: copy it to share it.
        The libraries of this page and <a href="/assets/vendor/licences.txt">their licences</a>.</p>
      <button type="button" onClick=${() => dialog.current.close()}>Close</button>
    </div>
  </dialog>`;
}

function Status() {
  const { kind, text } = useStore(link);
  const short = { live: 'Live', connecting: 'Connecting', lost: 'Reconnecting', moving: 'Moving' };
  return html`<p id="live" class=${`status ${kind}`} role="status" title=${text}><i aria-hidden="true"></i>${short[kind]}</p>`;
}

function Notice() {
  const { kind, text } = useStore(link);
  if (kind === 'live' || kind === 'connecting') return null;
  return html`<div class="notice" role="alert" id="notice">${text}${kind === 'lost' && '. What you see is from before.'}</div>`;
}

function Search() {
  const submit = (event) => {
    event.preventDefault();
    const field = event.target.elements.search;
    go('/tasks', { search: field.value.trim() });
    field.value = '';
    field.blur();
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <input type="search" name="search" data-search placeholder="Search tasks" aria-label="Search all tasks"
      autocomplete="off" spellcheck=${false} />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

export function Layout({ children }) {
  const { path } = useStore(place);
  const cluster = useStore(overview, (state) => state?.cluster);
  const isAt = (route) => (route.path === '/' ? path === '/' : path === route.path || path.startsWith(`${route.path}/`));
  const main = useRef(null);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${href('/')}><img src="/assets/icon.svg" alt="" width="26" height="26" /><span>Meseta</span>
        ${cluster && html`<span class="cluster" id="cluster">${cluster}</span>`}</a>
      <nav aria-label="Pages" class="pages">
        ${routes.filter((route) => route.nav).map((route) => html`<a key=${route.path} href=${href(route.path)}
          aria-current=${isAt(route) ? 'page' : undefined}>${route.nav}</a>`)}
      </nav>
      <${Search} />
      <${Status} />
      <${ThemeButton} />
      <button type="button" class="ghost icon" id="help-button" title="Keyboard help (?)" aria-label="Keyboard help"
        onClick=${() => helpIsOpen.set(true)}><span aria-hidden="true">?</span></button>
    </header>
    <${Notice} />
    <main id="content" tabindex="-1" ref=${main}>${children}</main>
    <${HelpDialog} />`;
}
