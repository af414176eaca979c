// SPDX-License-Identifier: Apache-2.0
//
// The pages: where each is, what it is called, and the file that draws it (its default export is a component that
// gets {params, query}). `nav`: its name in the navigation; `key`: with `g` before it goes there; `css`: a style
// sheet of its own below assets/. More specific paths need no order: a part never matches a slash.
export const routes = [
  { path: '/', title: 'Home', nav: 'Home', key: 'h', page: () => import('./pages/home.js') },
  { path: '/frameworks', title: 'Frameworks', nav: 'Frameworks', key: 'f', page: () => import('./pages/frameworks.js') },
  { path: '/frameworks/:framework', title: 'Framework', page: () => import('./pages/framework.js') },
  { path: '/agents', title: 'Agents', nav: 'Agents', key: 'a', page: () => import('./pages/agents.js') },
  { path: '/agents/:agent', title: 'Agent', page: () => import('./pages/agent.js') },
  { path: '/agents/:agent/frameworks/:framework', title: 'Framework on an agent', page: () => import('./pages/agent_framework.js') },
  { path: '/agents/:agent/frameworks/:framework/executors/:executor', title: 'Executor', page: () => import('./pages/executor.js') },
  { path: '/roles', title: 'Roles', nav: 'Roles', key: 'r', page: () => import('./pages/roles.js') },
  { path: '/tasks', title: 'Tasks', nav: 'Tasks', key: 't', css: 'pages/tasks.css', page: () => import('./pages/tasks.js') },
  { path: '/frameworks/:framework/tasks/:task', title: 'Task', css: 'pages/tasks.css', page: () => import('./pages/task.js') },
  { path: '/offers', title: 'Offers', nav: 'Offers', key: 'o', page: () => import('./pages/offers.js') },
  { path: '/maintenance', title: 'Maintenance', nav: 'Maintenance', key: 'm', page: () => import('./pages/maintenance.js') },
  { path: '/agents/:agent/browse', title: 'Files', css: 'pages/files.css', page: () => import('./pages/browse.js') },
  { path: '/agents/:agent/frameworks/:framework/executors/:executor/browse', title: 'Sandbox', css: 'pages/files.css', page: () => import('./pages/browse.js') },
  { path: '/agents/:agent/frameworks/:framework/executors/:executor/tasks/:task/browse', title: 'Sandbox', css: 'pages/files.css', page: () => import('./pages/browse.js') },
  { path: '/agents/:agent/file', title: 'File', css: 'pages/files.css', page: () => import('./pages/file.js') },
  { path: '/file', title: 'File', css: 'pages/files.css', page: () => import('./pages/file.js') },
];
