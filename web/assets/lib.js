// SPDX-License-Identifier: Apache-2.0
//
// What every part of the page is made with: Preact, its hooks, and `html` for templates. Text in templates is put
// into the page as text, never as markup: names come from users.
import { h, render, Fragment } from './vendor/preact.js';
import { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from './vendor/hooks.js';
import htm from './vendor/htm.js';

export { h, render, Fragment, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback };
export const html = htm.bind(h);

/** A value that several parts look at: get(), set(value), and subscribe(run), which returns what ends it. */
export function createStore(value) {
  const readers = new Set();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const run of [...readers]) run(value);
    },
    subscribe(run) {
      readers.add(run);
      return () => readers.delete(run);
    },
  };
}

/** What `pick` takes of a store, as state of a component: it is drawn anew when that changes. */
export function useStore(store, pick = (value) => value) {
  const [, draw] = useState(0);
  const picked = pick(store.get());
  useEffect(() => {
    let last = picked;
    const look = (value) => {
      const next = pick(value);
      if (next === last) return;
      last = next;
      draw((n) => n + 1);
    };
    look(store.get());
    return store.subscribe(look);
  }, [store]);
  return picked;
}
