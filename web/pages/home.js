// Lives now, and what they left behind.

import { call } from '../api.js';
import { cloth } from '../art.js';
import { h, show } from '../dom.js';
import { duration, t } from '../messages.js';
import { authorOf, badge, posterOf, problem, repeat, titleOf, viewers, when } from '../view.js';

const REFRESH_MS = 8000;

/** A picture over the cloth, which stays where there is none. */
function picture(view) {
  const url = posterOf(view);
  if (url === null) return null;
  // A running live's picture is another one in ten seconds.
  const fresh = view.status === 'ended' ? url : `${url}?at=${Math.floor(Date.now() / 10_000)}`;
  const image = h('img', { src: fresh, alt: '', loading: 'lazy', decoding: 'async' });
  image.addEventListener('error', () => image.remove());
  return image;
}

function card(view) {
  const author = authorOf(view);
  const length = view.status === 'ended' ? view.recording?.duration : null;
  return h('li', {}, h('a', { class: 'card', href: `/watch/${view.live_id ?? view.id}` },
    h('div', { class: 'card-picture' }, cloth(view.live_id ?? view.id), picture(view), badge(view.status),
      length ? h('span', { class: 'length' }, duration(length)) : null),
    h('div', { class: 'card-words' },
      h('h3', {}, titleOf(view)),
      author && h('p', {}, t('by', { name: author })),
      h('p', { class: 'faint' }, view.status === 'live' || view.status === 'interrupted' ? viewers(view) : when(view)))));
}

function skeleton() {
  return h('ul', { class: 'cards', 'aria-hidden': 'true' }, [1, 2, 3].map(() => h('li', {}, h('div', { class: 'card blank' }, h('div', { class: 'card-picture' }), h('div', { class: 'card-words' })))));
}

function section(title) {
  const body = h('div', {}, skeleton());
  const element = h('section', { class: 'shelf', 'aria-busy': 'true' }, h('h2', {}, title), body);
  let shown = null;
  return {
    element,
    fill(views, empty) {
      const text = JSON.stringify(views);
      if (text === shown) return; // focus and hover survive a refresh that brings nothing new
      shown = text;
      element.setAttribute('aria-busy', 'false');
      show(body, views.length > 0 ? h('ul', { class: 'cards' }, views.map(card)) : empty());
    },
    fail(error, again) {
      if (shown !== null) return; // old news is better than none
      element.setAttribute('aria-busy', 'false');
      show(body, problem(error, again));
    },
  };
}

export function open(main) {
  document.title = 'griot';
  const lives = section(t('homeTitle'));
  const replays = section(t('replaysTitle'));
  const load = async (shelf, status, empty) => {
    try {
      shelf.fill((await call('GET', `/api/posts/live/?status=${status}`)).results, empty);
    } catch (error) {
      shelf.fail(error, () => load(shelf, status, empty));
    }
  };
  const nobody = () => h('div', { class: 'empty' }, h('p', {}, t('homeEmpty')), h('p', { class: 'faint' }, t('homeEmptyHint')),
    h('a', { class: 'button', href: '/studio' }, t('startOne')));
  const nothing = () => h('p', { class: 'faint' }, t('replaysEmpty'));
  show(main, h('h1', { class: 'offscreen' }, 'griot'), lives.element, replays.element);
  repeat(async () => {
    if (document.hidden) return;
    await Promise.all([load(lives, 'live', nobody), load(replays, 'ended', nothing)]);
  }, () => REFRESH_MS);
}
