// What pages show of a live's public view.

import { local } from './api.js';
import { h, icon } from './dom.js';
import { counted, moment, t } from './messages.js';

/** The name under which a live's author is shown, or null. */
export function authorOf(view) {
  const author = view.author ?? view.post?.author;
  return author?.full_name?.trim() || author?.username || null;
}

/** The title, which must not break before a French colon. */
export function titleOf(view) {
  return view.title?.trim().replace(/ ([:;?!»])/g, '\u00a0$1') || t('untitled');
}

/** Where a picture of it is to be had, or null. */
export function posterOf(view) {
  const url = view.poster_url ?? view.recording?.poster_url;
  return url ? local(url) : null;
}

export function badge(status) {
  return h('span', { class: 'badge', 'data-status': status }, t(status));
}

export function viewers(view) {
  return h('span', { class: 'viewers' }, icon('eye'), counted('viewers', view.viewers ?? 0));
}

/** Begun, or streamed, when. */
export function when(view) {
  if (!view.started_at) return null;
  const date = moment(view.started_at);
  return h('time', { datetime: view.started_at }, t(view.status === 'ended' ? 'playedAt' : 'startedAt', { date }));
}

/** A button that copies `text()` and says so. */
export function copyButton(label, text, extra = '') {
  const words = h('span', {}, label);
  const element = h('button', { type: 'button', class: `button quiet ${extra}` }, icon('copy'), words);
  let back = null;
  element.addEventListener('click', async () => {
    const done = await copy(text());
    words.textContent = t(done ? 'copied' : 'copyFailed');
    clearTimeout(back);
    back = setTimeout(() => { words.textContent = label; }, 2500);
  });
  return element;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http has no clipboard API; the old way still works there.
    const field = h('textarea', { class: 'offscreen', readonly: true }, text);
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

/** Runs `step` now and again `delay()` ms after each run has ended, until the returned function is called. */
export function repeat(step, delay) {
  let timer = null;
  let over = false;
  const run = async () => {
    clearTimeout(timer);
    await step();
    clearTimeout(timer);
    if (!over) timer = setTimeout(run, delay());
  };
  run();
  return () => { over = true; clearTimeout(timer); };
}

export function problem(error, again = null) {
  return h('div', { class: 'message', role: 'alert' }, h('p', {}, error.message),
    again && h('button', { type: 'button', class: 'button', onclick: again }, t('retry')));
}
