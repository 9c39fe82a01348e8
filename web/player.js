// The player: a video, what is said over it, and its controls. It shows a live in every state on one <video>; states
// come from outside (`show`), pictures from a `Source`.

import { cloth } from './art.js';
import { h, icon } from './dom.js';
import { QualityMenu, keepLink, keptChoice, keptLink } from './menu.js';
import { duration, oneDecimal, t } from './messages.js';
import { Source } from './source.js';

const SOUND = 'griot.sound'; // {volume, muted}: what the viewer chose
const IDLE_MS = 3000;
const REFRESH_MS = 250;
const STEP_S = 10;
const DRY_MS = 600; // a picture that stands still for longer gets a sign

function soundChoice() {
  try {
    return { volume: 1, muted: false, ...JSON.parse(localStorage.getItem(SOUND)) };
  } catch {
    return { volume: 1, muted: false };
  }
}

function button(name, label, onclick, extra = '') {
  const element = h('button', { type: 'button', class: `control ${extra}`, onclick });
  setButton(element, name, label);
  return element;
}

function setButton(element, name, label) {
  if (element.dataset.icon === name && element.getAttribute('aria-label') === label) return;
  element.dataset.icon = name;
  element.setAttribute('aria-label', label);
  element.title = label;
  element.replaceChildren(icon(name));
}

/** `preview`: silent and without prompts, for the owner, who would hear himself. */
export class Player {
  element;
  #video;
  #source = null;
  #url = null;
  #status = null;
  #preview;
  #parts;
  #dragging = false;
  #menu;
  #renditions = [];
  #dry = null;
  #idle = null;
  #timer;

  constructor(id, { preview = false } = {}) {
    this.#preview = preview;
    this.#video = h('video', { playsinline: true, preload: 'auto', tabindex: -1 });
    this.#build(id);
    this.#listen();
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS);
    this.#applySound();
    this.#refresh();
  }

  close() {
    clearInterval(this.#timer);
    if (this.#source) keepLink(this.#source.quality.link.rate());
    this.#source?.close();
  }

  /** What the live's public view says now. `url` opens the source, once; `poster` is shown until there is a picture. */
  show(status, url, { renditions = [], poster = null } = {}) {
    this.#status = status;
    this.#renditions = renditions;
    if (poster && !this.#video.poster) this.#video.poster = poster;
    if (this.#source === null && url !== null && status !== 'ready') {
      this.#url = url;
      const { wish, saver } = keptChoice();
      this.#source = new Source(this.#video, url, () => this.#refresh(), { choice: { wish: wish === 'sound' ? 'auto' : wish, saver }, link: keptLink() });
      this.#start();
    }
    this.#refresh();
  }

  /** Seconds behind the live, or null when that means nothing. */
  get latency() {
    return this.#source?.following && !this.#video.paused ? this.#source.latency() : null;
  }

  get #ended() {
    return this.#source?.over ?? false;
  }

  #build(id) {
    const part = {};
    part.badge = h('span', { class: 'badge' });
    part.latency = h('span', { class: 'latency', hidden: true });
    part.prompt = h('button', { type: 'button', class: 'prompt', hidden: true, onclick: () => this.#setMuted(false) }, icon('muted'), t('unmute'));
    part.big = h('button', { type: 'button', class: 'big', hidden: true, onclick: () => this.#toggle() });
    part.title = h('p', { class: 'cover-title' });
    part.hint = h('p', { class: 'cover-hint' });
    part.coverAction = h('button', { type: 'button', class: 'button', hidden: true, onclick: () => this.#fromStart() }, icon('again'), t('watchFromStart'));
    part.cloth = cloth(id);
    part.words = h('div', { class: 'cover-words' }, part.title, part.hint, part.coverAction);
    part.cover = h('div', { class: 'cover' }, part.cloth, part.words);
    part.spinner = h('div', { class: 'spinner', hidden: true });
    part.seek = h('input', { type: 'range', class: 'seek', min: 0, max: 1, step: 'any', value: 0, 'aria-label': t('position') });
    part.play = button('play', t('play'), () => this.#toggle());
    part.mute = button('sound', t('mute'), () => this.#setMuted(!this.#video.muted));
    part.volume = h('input', { type: 'range', class: 'volume', min: 0, max: 1, step: 0.05, value: 1, 'aria-label': t('volume') });
    part.time = h('span', { class: 'time' });
    part.edge = h('button', { type: 'button', class: 'edge', hidden: true, onclick: () => { this.#source?.goLive(); this.#play(); } },
      h('span', { class: 'dot' }), h('span', { class: 'edge-text' }));
    this.#menu = new QualityMenu({ ...keptChoice() }, (wish, saver) => this.#source?.choose(wish, saver));
    part.full = button('full', t('fullScreen'), () => this.#toggleFull());
    part.bar = h('div', { class: 'bar' }, part.seek,
      h('div', { class: 'row' }, part.play, part.mute, part.volume, part.time, h('span', { class: 'gap' }), part.edge, this.#menu.button, part.full));
    this.#parts = part;
    this.element = h('section', { class: 'player', 'aria-label': t('player'), tabindex: -1 },
      this.#video, part.cover, part.spinner, part.big, h('div', { class: 'top' }, part.badge, part.latency), part.prompt, part.bar, this.#menu.panel);
  }

  #listen() {
    const video = this.#video;
    const part = this.#parts;
    for (const name of ['play', 'pause', 'playing', 'volumechange', 'seeked', 'durationchange']) {
      video.addEventListener(name, () => this.#refresh());
    }
    video.addEventListener('play', () => this.#source?.resumed());
    video.addEventListener('waiting', () => { this.#dry ??= setTimeout(() => { part.spinner.hidden = false; this.#refresh(); }, DRY_MS); });
    for (const name of ['playing', 'pause', 'ended', 'timeupdate']) {
      video.addEventListener(name, () => {
        if (name === 'timeupdate' && video.readyState < 3) return;
        clearTimeout(this.#dry);
        this.#dry = null;
        part.spinner.hidden = true;
      });
    }
    // A finger's first tap only brings the controls back.
    let wasIdle = false;
    video.addEventListener('pointerdown', (event) => {
      wasIdle = event.pointerType === 'touch' && this.element.classList.contains('idle');
    });
    video.addEventListener('click', () => { if (!wasIdle) this.#toggle(); });
    part.seek.addEventListener('input', () => { this.#dragging = true; this.#refresh(); });
    part.seek.addEventListener('change', () => {
      this.#dragging = false;
      this.#seek(Number(part.seek.value));
    });
    part.volume.addEventListener('input', () => {
      video.volume = Number(part.volume.value);
      this.#setMuted(video.volume === 0);
    });
    document.addEventListener('fullscreenchange', () => this.#refresh());
    for (const name of ['pointermove', 'pointerdown', 'focusin', 'keydown']) {
      this.element.addEventListener(name, () => this.#awake());
    }
    this.element.addEventListener('keydown', (event) => this.#key(event));
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const inControl = event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement;
    const step = (seconds) => this.#seek(this.#video.currentTime + seconds);
    const actions = { k: () => this.#toggle(), m: () => this.#setMuted(!this.#video.muted), f: () => this.#toggleFull() };
    if (!inControl) {
      Object.assign(actions, { ' ': () => this.#toggle(), ArrowLeft: () => step(-STEP_S), ArrowRight: () => step(STEP_S) });
    } else if (event.target === this.#parts.seek) {
      Object.assign(actions, { ArrowLeft: () => step(-STEP_S), ArrowRight: () => step(STEP_S) });
    }
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  #awake() {
    this.element.classList.remove('idle');
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const busy = this.#video.paused || this.#dragging || this.#menu.open || this.element.querySelector('.bar :focus-visible');
      this.element.classList.toggle('idle', !busy);
    }, IDLE_MS);
  }

  // Sound: what the viewer chose is kept; silence that the browser imposed is not his choice, and only it is prompted.

  #applySound() {
    const choice = soundChoice();
    this.#video.volume = choice.volume;
    this.#video.muted = this.#preview || choice.muted;
  }

  #setMuted(muted) {
    this.#video.muted = muted;
    if (!muted && this.#video.volume === 0) this.#video.volume = 0.5;
    this.#parts.prompt.hidden = true;
    if (!this.#preview) localStorage.setItem(SOUND, JSON.stringify({ volume: this.#video.volume, muted }));
    this.#refresh();
  }

  async #start() {
    this.#awake();
    try {
      await this.#video.play();
    } catch (refusal) {
      if (refusal.name !== 'NotAllowedError' || this.#video.muted) return;
      this.#video.muted = true;
      this.#parts.prompt.hidden = false;
      await this.#video.play().catch(() => { this.#parts.prompt.hidden = true; });
    }
  }

  #play() {
    this.#video.play().catch(() => this.#refresh());
  }

  #toggle() {
    if (this.#source === null) return;
    if (this.#ended) this.#fromStart();
    else if (this.#video.paused) this.#play();
    else this.#video.pause();
  }

  /** Who seeks away from the end wants to see something. */
  #seek(time) {
    const wasOver = this.#ended;
    this.#source?.seek(time);
    if (wasOver) this.#play();
    this.#refresh();
  }

  #fromStart() {
    this.#seek(this.#source?.timeline()?.start ?? 0);
    this.#play();
  }

  #toggleFull() {
    if (document.fullscreenElement) {
      document.exitFullscreen();
    } else if (this.element.requestFullscreen) {
      this.element.requestFullscreen().then(() => screen.orientation?.lock?.('landscape')).catch(() => {});
    } else {
      this.#video.webkitEnterFullscreen?.(); // iPhone: only the video itself
    }
  }

  // Drawing

  #refresh() {
    const part = this.#parts;
    const video = this.#video;
    const line = this.#source?.timeline() ?? null;
    const replay = line !== null ? !line.live : this.#status === 'ended';

    const status = replay && this.#status !== null && line !== null ? 'ended' : this.#status;
    part.badge.hidden = status === null || this.#preview; // the studio says it beside the title
    if (status !== null && part.badge.dataset.status !== status) {
      part.badge.dataset.status = status;
      part.badge.textContent = t(status);
    }
    this.#refreshLatency();
    if (!video.muted) part.prompt.hidden = true;
    this.#refreshCover(status, line);

    const playable = line !== null;
    part.bar.hidden = !playable;
    setButton(part.play, this.#ended ? 'again' : video.paused ? 'play' : 'pause', t(this.#ended ? 'again' : video.paused ? 'play' : 'pause'));
    setButton(part.mute, video.muted ? 'muted' : 'sound', t(video.muted ? 'unmute' : 'mute'));
    setButton(part.full, document.fullscreenElement ? 'small' : 'full', t(document.fullscreenElement ? 'leaveFullScreen' : 'fullScreen'));
    part.volume.value = video.muted ? 0 : video.volume;
    part.volume.style.setProperty('--done', part.volume.value);
    const stuck = playable && video.paused && !this.#ended;
    part.big.hidden = !stuck;
    if (stuck) setButton(part.big, 'play', t('play'));
    if (playable) this.#refreshTime(line, replay);
    this.#refreshQuality();
  }

  #refreshQuality() {
    const source = this.#source;
    const levels = source?.levels() ?? [];
    const heights = source?.alone ? this.#renditions.map((one) => one.height) : levels.map((level) => level.height);
    const known = [...new Set(heights.filter(Boolean))].sort((one, other) => other - one);
    const sound = this.#renditions.some((one) => !one.height && one.audio_codec && one.state !== 'planned');
    const level = levels[source?.level ?? -1];
    const shown = source?.alone ? 'sound' : level?.height || null;
    this.#menu.button.hidden = known.length + (sound ? 1 : 0) < 2;
    if (this.#menu.button.hidden) this.#menu.toggle(false);
    this.#menu.draw({ heights: known, sound, shown });
    this.element.classList.toggle('sound-alone', source?.alone ?? false);
  }

  #refreshLatency() {
    const latency = this.latency;
    const shown = latency !== null && this.#status === 'live' && this.#video.readyState >= 3;
    this.#parts.latency.hidden = !shown;
    if (!shown) return;
    const seconds = oneDecimal(latency);
    this.#parts.latency.textContent = t('seconds', { seconds });
    this.#parts.latency.title = t('latencyLabel', { seconds });
  }

  #refreshTime(line, replay) {
    const part = this.#parts;
    const at = this.#dragging ? Number(part.seek.value) : this.#video.currentTime;
    const following = !replay && this.#source.following;
    part.seek.min = line.start;
    part.seek.max = line.end;
    if (!this.#dragging) part.seek.value = following ? line.end : at;
    const length = Math.max(0.001, line.end - line.start);
    part.seek.style.setProperty('--done', Math.min(1, Math.max(0, (Number(part.seek.value) - line.start) / length)));
    const words = replay
      ? t('positionOf', { at: duration(at - line.start), total: duration(length) })
      : following ? t('atLive') : t('behind', { time: duration(line.end - at) });
    if (part.seek.getAttribute('aria-valuetext') !== words) part.seek.setAttribute('aria-valuetext', words);
    part.time.textContent = replay
      ? `${duration(at - line.start)} / ${duration(length)}`
      : following && !this.#dragging ? duration(at - line.start) : `−${duration(line.end - at)}`;
    part.edge.hidden = replay;
    part.edge.classList.toggle('on', following);
    part.edge.disabled = following;
    part.edge.lastChild.textContent = following ? t('atLive') : t('backToLive');
  }

  #refreshCover(status, line) {
    const part = this.#parts;
    const dry = line === null || !part.spinner.hidden || this.#video.readyState < 3;
    let words = null;
    if (this.#source?.trouble === 'unsupported') words = ['coverUnsupported', null];
    else if (status === 'ready') words = this.#preview ? ['waitingEncoder', 'waitingEncoderHint'] : ['coverReady', 'coverReadyHint'];
    else if (this.#ended) words = ['coverEnded', null];
    else if (status === 'interrupted' && dry && !this.#video.seeking) words = ['coverInterrupted', 'coverInterruptedHint'];
    else if (status === 'ended' && this.#source === null) words = ['coverNothing', null];
    else if (this.#source?.trouble === 'network' && dry) words = ['coverTrouble', 'coverTroubleHint'];
    const bare = line === null || this.#video.readyState === 0;
    part.cover.hidden = words === null && !bare;
    part.cloth.toggleAttribute('hidden', !bare);
    part.cover.classList.toggle('bare', bare);
    part.words.hidden = words === null;
    part.coverAction.hidden = !this.#ended;
    if (words === null) {
      if (bare && this.#source !== null) part.spinner.hidden = false;
      return;
    }
    part.spinner.hidden = true;
    const [title, hint] = words;
    if (part.title.dataset.key === title) return;
    part.title.dataset.key = title;
    part.title.textContent = t(title);
    part.hint.textContent = hint ? t(hint) : '';
    part.hint.hidden = !hint;
  }
}
