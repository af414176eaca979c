// SPDX-License-Identifier: Apache-2.0
//
// What an operator may do to an agent, through the operator API: out of service, drained, back again. Each asks first.
import { html, useEffect, useRef, useState } from '../lib.js';
import { request } from '../data.js';
import { href } from '../router.js';
import { Failure } from './bits.js';

const ACTIONS = {
  DRAIN_AGENT: {
    title: 'Drain', field: 'drain_agent', submit: 'Drain this agent',
    text: 'No more offers, and all its tasks are killed: frameworks start them elsewhere. It stays drained until it is reactivated.',
  },
  DEACTIVATE_AGENT: {
    title: 'Deactivate', field: 'deactivate_agent', submit: 'Deactivate this agent',
    text: 'No more offers; its tasks run on.',
  },
  REACTIVATE_AGENT: {
    title: 'Reactivate', field: 'reactivate_agent', submit: 'Reactivate this agent',
    text: 'It is offered to frameworks again.',
  },
};

const possible = (state) => ({
  active: ['DRAIN_AGENT', 'DEACTIVATE_AGENT'], inactive: ['DRAIN_AGENT', 'DEACTIVATE_AGENT'],
  disconnected: ['DRAIN_AGENT', 'DEACTIVATE_AGENT'], deactivated: ['REACTIVATE_AGENT', 'DRAIN_AGENT'],
  draining: ['REACTIVATE_AGENT'], drained: ['REACTIVATE_AGENT'],
}[state] ?? []);

function Dialog({ agent, type, close, done }) {
  const node = useRef(null);
  const [grace, setGrace] = useState('');
  const [error, setError] = useState(null);
  const [isSent, setSent] = useState(false);
  const action = ACTIONS[type];
  useEffect(() => node.current.showModal(), []);
  const send = async (event) => {
    event.preventDefault();
    setSent(true);
    setError(null);
    const body = { agent_id: { value: agent.id } };
    if (type === 'DRAIN_AGENT' && grace !== '') body.max_grace_period = { seconds: Math.round(Number(grace)) };
    try {
      await request('/api/v1', {
        method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify({ type, [action.field]: body }),
      });
      node.current.close();
      done();
    } catch (reason) {
      setError(reason);
      setSent(false);
    }
  };
  return html`<dialog ref=${node} aria-labelledby="action-title" onClose=${close}>
    <form class="dialog-body" onSubmit=${send}>
      <h2 id="action-title">${action.title} ${agent.host}?</h2>
      <p>${action.text}</p>
      ${type === 'DRAIN_AGENT' && html`<label class="field">Longest grace period of a task, in seconds
        <input type="number" min="0" step="1" inputmode="numeric" value=${grace} placeholder="as the tasks say" onInput=${(event) => setGrace(event.target.value)} /></label>`}
      ${error && html`<${Failure} error=${error} />`}
      <p class="buttons"><button type="submit" class="primary" disabled=${isSent}>${action.submit}</button>
        <button type="button" onClick=${() => node.current.close()}>Cancel</button></p>
    </form>
  </dialog>`;
}

export function AgentActions({ agent, done }) {
  const [type, setType] = useState(null);
  const types = possible(agent.state);
  return html`<div class="agent-actions">
    ${agent.info && html`<a class="button" href=${href(`/agents/${encodeURIComponent(agent.id)}/browse`, { path: '/slave/log' })}>Agent’s log</a>`}
    ${types.map((one) => html`<button key=${one} type="button" onClick=${() => setType(one)}>${ACTIONS[one].title}…</button>`)}
    ${type && html`<${Dialog} key=${type} agent=${agent} type=${type} close=${() => setType(null)} done=${done} />`}
  </div>`;
}
