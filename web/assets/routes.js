// SPDX-License-Identifier: Apache-2.0
//
// The pages: where each is, what it is called, and the file that draws it (its default export is a component that
// gets {params, query}). `nav`: its name in the navigation; `key`: with `g` before it goes there; `css`: a style
// sheet of its own below assets/. More specific paths need no order: a part never matches a slash.
export const routes = [
  { path: '/', title: 'Home', nav: 'Home', key: 'h', page: () => import('./pages/home.js') },
];
