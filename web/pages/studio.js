// The owner's view: what to type into the encoder, the live that runs, and its stop.

import { ApiError, call, forget, local, session } from '../api.js';
import { confirm } from '../confirm.js';
import { h, icon, show } from '../dom.js';
import { moment, t } from '../messages.js';
import { Player } from '../player.js';
import { badge, copyButton, repeat, titleOf, viewers } from '../view.js';

const KEY = '/api/users/my-profile/stream-key/';
const ASK_MS = 2500;
const FORCE_AGAIN_MS = 3000;
const FORCE_MOST = 20;

/** Calls; without a session the way leads to the login page. */
async function owned(method, path, body, options) {
  try {
    return await call(method, path, body, options);
  } catch (error) {
    if (error.status === 401) {
      forget();
      location.assign('/login?next=/studio');
    }
    throw error;
  }
}

// OBS settings

function settings(stream) {
  const server = h('input', { id: 'server', readonly: true, value: stream.rtmps_server || stream.rtmp_server });
  const key = h('input', { id: 'stream-key', type: 'password', readonly: true, autocomplete: 'off', value: stream.stream_key });
  const reveal = h('button', { type: 'button', class: 'button quiet', 'aria-pressed': 'false', 'aria-controls': 'stream-key' }, icon('eye'), h('span', {}, t('show')));
  reveal.addEventListener('click', () => {
    const shown = key.type === 'text';
    key.type = shown ? 'password' : 'text';
    reveal.setAttribute('aria-pressed', String(!shown));
    show(reveal, icon(shown ? 'eye' : 'hidden'), h('span', {}, t(shown ? 'show' : 'hide')));
  });
  const said = h('p', { class: 'said', role: 'status' });
  const rotate = h('button', { type: 'button', class: 'button quiet' }, icon('key'), t('rotate'));
  rotate.addEventListener('click', async () => {
    if (!await confirm(t('rotateQuestion'), t('rotateConsequence'), t('rotate'))) return;
    try {
      const fresh = await owned('POST', KEY);
      stream.stream_key = fresh.stream_key;
      key.value = fresh.stream_key;
      said.textContent = t('rotated');
    } catch (error) {
      said.textContent = error.message;
    }
  });
  return [
    h('p', { class: 'faint' }, t('obsWhere')),
    h('label', { for: 'server' }, t('server')),
    h('div', { class: 'line' }, server, copyButton(t('copy'), () => server.value, 'copy-server')),
    h('label', { for: 'stream-key' }, t('streamKey')),
    h('div', { class: 'line' }, key, reveal, copyButton(t('copy'), () => key.value, 'copy-key')),
    h('p', { class: 'warning' }, icon('warn'), t('keySecret')),
    h('div', { class: 'actions' }, rotate, said),
    h('h3', {}, t('hintsTitle')),
    h('ul', { class: 'hints' }, ['hintKeyframe', 'hintTune', 'hintBitrate', 'hintAudio'].map((hint) => h('li', {}, t(hint)))),
  ];
}

// Before a live

function starter(started) {
  const title = h('input', { id: 'title', name: 'title', maxlength: 200, autocomplete: 'off' });
  const description = h('textarea', { id: 'description', name: 'description', rows: 3 });
  const wrong = h('p', { class: 'wrong', role: 'alert' });
  const submit = h('button', { type: 'submit', class: 'button strong' }, icon('live'), h('span', {}, t('start')));
  const optional = () => h('span', { class: 'faint' }, ` (${t('optional')})`);
  const form = h('form', { class: 'panel form', method: 'post', action: '/studio' }, h('h2', {}, t('newLive')),
    h('label', { for: 'title' }, t('title'), optional()), title,
    h('label', { for: 'description' }, t('description'), optional()), description,
    wrong, submit, h('p', { class: 'faint' }, t('newLiveHint')));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    submit.lastChild.textContent = t('starting');
    wrong.textContent = '';
    try {
      const { live_id: id } = await owned('POST', '/api/posts/live/start/', { title: title.value.trim(), description: description.value.trim() });
      form.reset();
      started(id);
    } catch (error) {
      wrong.textContent = error.message;
      if (error.status === 409 && error.body?.live_id) started(error.body.live_id);
    }
    submit.disabled = false;
    submit.lastChild.textContent = t('start');
  });
  return form;
}

// While one runs

function sessionLine({ started_at: from, ended_at: to, protocol, encoder }) {
  const range = t('sessionRange', { from: moment(from, false), to: to ? moment(to, false) : t('sessionNow') });
  return h('li', {}, h('span', { class: to ? 'dot' : 'dot on' }), h('span', {}, encoder || protocol?.toUpperCase() || '—'), h('span', { class: 'faint' }, range));
}

/** What the server's doctor found in what the encoder sends. */
function findingLine({ severity, message, advice }) {
  return h('li', { 'data-severity': severity }, icon('warn'), h('p', {}, h('strong', {}, message), ' ', advice));
}

function running(id, over) {
  const player = new Player(id, { preview: true });
  const heading = h('h2', {});
  const state = h('div', { class: 'facts', role: 'status' });
  const list = h('ul', { class: 'sessions' });
  const doctor = h('ul', { class: 'doctor', 'aria-label': t('doctor') });
  const wrong = h('p', { class: 'wrong', role: 'alert' });
  const stop = h('button', { type: 'button', class: 'button danger' }, icon('stop'), h('span', {}, t('stop')));
  const force = h('button', { type: 'button', class: 'button quiet', hidden: true }, t('forceStop'));
  const page = `/watch/${id}`;
  const element = h('section', { class: 'panel running' }, heading, state, player.element,
    h('div', { class: 'actions' }, stop, force, h('a', { class: 'button quiet', href: page, target: '_blank', rel: 'noopener' }, t('publicPage')), copyButton(t('share'), () => location.origin + page)),
    wrong, doctor, h('h3', {}, t('sessions')), list);

  const draw = (view) => {
    heading.textContent = titleOf(view);
    const latest = view.sessions?.length > 0 ? view.sessions.map(sessionLine).reverse() : [h('li', { class: 'faint' }, t('sessionsEmpty'))];
    show(state, badge(view.status), viewers(view));
    show(list, latest);
    show(doctor, (view.doctor ?? []).map(findingLine));
    player.show(view.status, view.hls_url ? local(view.hls_url) : null);
  };
  let drawn = null;
  const end = repeat(async () => {
    try {
      const view = await owned('GET', `/api/posts/live/${id}/`);
      if (view.status === 'ended') {
        leave(h('p', {}, t('stopped')));
        return;
      }
      if (JSON.stringify(view) !== drawn) draw(view);
      drawn = JSON.stringify(view);
    } catch (error) {
      if (error.status === 404) leave(null);
    }
  }, () => ASK_MS);

  let left = false;
  const leave = (words) => {
    if (left) return;
    left = true;
    end();
    player.close();
    over(words && h('div', { class: 'notice', role: 'status' }, words, h('a', { class: 'button quiet', href: page }, t('seeReplay'))));
  };

  stop.addEventListener('click', async () => {
    if (!await confirm(t('stopQuestion'), t('stopConsequence'), t('stop'))) return;
    stop.disabled = true;
    stop.lastChild.textContent = t('stopping');
    force.hidden = false; // from now on there is always a way out
    wrong.textContent = '';
    try {
      const { video_saved: saved } = await owned('PUT', `/api/posts/live/${id}/stop/`, {});
      leave(h('p', {}, t(saved ? 'stoppedSaved' : 'stopped')));
    } catch (error) {
      wrong.textContent = t('stopFailed', { reason: error.message });
      stop.disabled = false;
      stop.lastChild.textContent = t('stop');
    }
  });
  force.addEventListener('click', () => {
    stopForcibly(id);
    leave(h('p', {}, t('forced')));
  });
  return element;
}

/** Asks for the stop until the server has heard it, whatever becomes of this page. */
async function stopForcibly(id, attempt = 1) {
  try {
    await call('PUT', `/api/posts/live/${id}/stop/`, { forced: true }, { keepalive: true });
  } catch (error) {
    const heard = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
    if (!heard && attempt < FORCE_MOST) setTimeout(() => stopForcibly(id, attempt + 1), FORCE_AGAIN_MS);
  }
}

export function open(main) {
  document.title = `${t('studioTitle')} — griot`;
  if (session() === null) {
    location.replace('/login?next=/studio');
    return;
  }
  const left = h('div', { class: 'column' });
  const obs = h('section', { class: 'panel' }, h('h2', {}, t('obsTitle')), h('div', { class: 'obs' }, h('p', { class: 'faint' }, t('loading'))));
  const form = starter((id) => go(id));
  const notice = h('div', {});
  let current = null;
  const dismissed = new Set();

  const go = (id) => {
    if (current === id) return;
    current = id;
    show(left, running(id, (words) => {
      dismissed.add(id);
      current = null;
      show(notice, words);
      show(left, notice, form);
    }));
  };

  const loadSettings = async () => {
    try {
      show(obs.lastChild, settings(await owned('GET', KEY)));
    } catch (error) {
      show(obs.lastChild, h('p', { class: 'wrong', role: 'alert' }, `${t('noKey')} ${error.message}`),
        h('button', { type: 'button', class: 'button quiet', onclick: loadSettings }, t('retry')));
    }
  };

  // A live may also begin by itself, when the encoder does.
  const seek = async () => {
    if (current !== null || document.hidden) return;
    try {
      const { results } = await owned('GET', '/api/posts/live/?status=live&page_size=100');
      const mine = results.find((view) => (view.author ?? view.post?.author)?.id === session()?.user.id && !dismissed.has(view.live_id ?? view.id));
      if (mine && current === null) go(mine.live_id ?? mine.id);
    } catch { /* the next round asks again; the settings panel tells of trouble */ }
  };

  show(left, notice, form);
  show(main, h('h1', {}, t('studioTitle')), h('div', { class: 'studio' }, left, obs));
  loadSettings();
  repeat(seek, () => ASK_MS);
}
