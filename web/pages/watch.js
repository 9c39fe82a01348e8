// One live, from before its beginning to its replay, on one player.

import { call, local, session } from '../api.js';
import { h, icon, show } from '../dom.js';
import { counted, t } from '../messages.js';
import { Player } from '../player.js';
import { authorOf, copyButton, posterOf, problem, repeat, titleOf, viewers, when } from '../view.js';

const ASK_MS = { ready: 1500, live: 3000, interrupted: 2000, ended: 15_000 };
const FINISHING_MS = 1500;
const MAKING_MS = 3000;

const ANNOUNCE = { live: 'announceLive', interrupted: 'announceInterrupted', ended: 'announceEnded' };

function announcement(before, now) {
  if (before === null || before === now || !ANNOUNCE[now]) return null;
  return t(before === 'interrupted' && now === 'live' ? 'announceBack' : ANNOUNCE[now]);
}

function recordingLine(view) {
  if (view.status !== 'ended' || !view.recording) return [];
  const { state, mp4_url: mp4 } = view.recording;
  if (mp4) return [h('a', { class: 'button', href: local(mp4), download: true }, icon('download'), t('download'))];
  if (state === 'failed') return [h('span', { class: 'faint' }, t('failed'))];
  return [h('span', { class: 'faint', role: 'status' }, t('finishing'))];
}

// The WebM beside the MP4: a link, how far it is, or, where its owner must ask for it, a button.
function webmLine(view, ask) {
  if (view.status !== 'ended' || !view.recording?.webm) return [];
  const { webm, webm_url: url } = view.recording;
  if (url) return [h('a', { class: 'button quiet', href: local(url), download: true }, icon('download'), t('webm'))];
  if (webm.state === 'queued') return [h('span', { class: 'faint', role: 'status' }, t('webmQueued'))];
  if (webm.state === 'running') return [h('span', { class: 'faint', role: 'status' }, t('webmRunning', { percent: webm.percent ?? 0 }))];
  const failed = webm.state === 'failed' && h('span', { class: 'faint' }, t('webmFailed'));
  return [failed, webm.on_demand && h('button', { class: 'button quiet', type: 'button', onclick: ask }, t('webmMake'))];
}

export function open(main, id) {
  const player = new Player(id);
  const heading = h('h1', {});
  const author = h('p', { class: 'author' });
  const facts = h('div', { class: 'facts' });
  const actions = h('div', { class: 'actions' });
  const text = h('p', { class: 'description' });
  const aloud = h('p', { class: 'offscreen', 'aria-live': 'polite' });
  const link = copyButton(t('share'), () => `${location.origin}/watch/${id}`);
  const page = h('div', { class: 'watch' }, player.element, h('div', { class: 'watch-words' }, heading, author, facts, actions, text), aloud);
  let view = null;

  const draw = () => {
    document.title = `${titleOf(view)} — griot`;
    heading.textContent = titleOf(view);
    author.textContent = authorOf(view) ? t('by', { name: authorOf(view) }) : '';
    text.textContent = view.description ?? '';
    show(facts, view.status === 'live' || view.status === 'interrupted' ? viewers(view) : null, when(view),
      view.recording?.gaps?.length > 0 && h('span', {}, counted('gaps', view.recording.gaps.length)));
    const mine = session() !== null && (view.author ?? view.post?.author)?.id === session().user.id;
    show(actions, ...recordingLine(view), ...webmLine(view, makeWebm), link, mine && view.status !== 'ended' && h('a', { class: 'button quiet', href: '/studio' }, t('manage')));
  };

  const makeWebm = async (event) => {
    event.target.disabled = true;
    try {
      await call('POST', `/api/posts/live/${id}/webm/`, {});
      await ask();
    } catch (error) {
      aloud.textContent = error.message;
      event.target.disabled = false;
    }
  };

  const ask = async () => {
    let fresh;
    try {
      fresh = await call('GET', `/api/posts/live/${id}/`);
    } catch (error) {
      if (view === null) showFailure(error);
      return;
    }
    if (view === null) show(main, page); // never again: moving a <video> stops it
    const news = announcement(view?.status ?? null, fresh.status);
    if (news) aloud.textContent = news;
    const changed = JSON.stringify(view) !== JSON.stringify(fresh);
    view = fresh;
    if (changed) draw();
    // A live that ended without a recording has nothing behind its address.
    const playable = fresh.status !== 'ended' || fresh.started_at !== null;
    player.show(fresh.status, playable && fresh.hls_url ? local(fresh.hls_url) : null,
      { renditions: fresh.renditions ?? [], poster: posterOf(fresh) });
  };

  const showFailure = (error) => {
    if (error.status !== 404) {
      show(main, problem(error, ask));
      return;
    }
    document.title = `${t('liveMissing')} — griot`;
    show(main, h('div', { class: 'message' }, h('h1', {}, t('liveMissing')), h('p', {}, t('liveMissingHint')), h('a', { class: 'button', href: '/' }, t('backHome'))));
  };

  show(main, h('p', { class: 'message faint' }, t('loading')));
  repeat(ask, () => {
    if (view === null) return 3000;
    const finishing = view.status === 'ended' && ['recording', 'finishing'].includes(view.recording?.state);
    const making = ['queued', 'running'].includes(view.recording?.webm?.state);
    if (making) return MAKING_MS;
    return finishing ? FINISHING_MS : ASK_MS[view.status] ?? 3000;
  });
}
