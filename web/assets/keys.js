// SPDX-License-Identifier: Apache-2.0
//
// The keyboard: `/` to search, `?` for help, `g` and a letter to go to a page. Nothing is taken from a field in which
// somebody types, nor from the browser's own keys.
import { createStore } from './lib.js';
import { routes } from './routes.js';
import { go } from './router.js';

export const helpIsOpen = createStore(false);

const pages = new Map(routes.filter((route) => route.key).map((route) => [route.key, route.path]));
let waits = 0; // until when a letter after `g` counts

function isTyping(target) {
  return target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function focusSearch() {
  const field = document.querySelector('main [data-search]') ?? document.querySelector('[data-search]');
  if (!field) return false;
  field.focus();
  field.select?.();
  return true;
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === 'Escape' && isTyping(event.target) && event.target.hasAttribute('data-search')) {
    event.target.blur();
    return;
  }
  if (isTyping(event.target) || helpIsOpen.get()) return;
  const now = performance.now();
  if (now < waits && pages.has(event.key)) {
    event.preventDefault();
    waits = 0;
    go(pages.get(event.key));
    return;
  }
  waits = event.key === 'g' ? now + 1500 : 0;
  if (event.key === '/' && focusSearch()) event.preventDefault();
  if (event.key === '?') helpIsOpen.set(true);
});
