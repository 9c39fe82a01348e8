// The menu of qualities: what to fetch, what is shown now, and the data saver. What is chosen is kept for the next live.

import { h, icon, show } from './dom.js';
import { t } from './messages.js';

const KEPT = 'griot.quality'; // {wish, saver}
const LINK = 'griot.link'; // {rate, at}: what the link carried lately
const LINK_GOOD_MS = 10 * 60_000;

export function keptChoice() {
  try {
    const { wish, saver } = JSON.parse(localStorage.getItem(KEPT)) ?? {};
    return { wish: Number.isFinite(wish) || wish === 'sound' ? wish : 'auto', saver: saver === true };
  } catch {
    return { wish: 'auto', saver: false };
  }
}

export function keptLink() {
  try {
    const { rate, at } = JSON.parse(localStorage.getItem(LINK)) ?? {};
    return Number.isFinite(rate) && Date.now() - at < LINK_GOOD_MS ? rate : null;
  } catch {
    return null;
  }
}

export function keepLink(rate) {
  if (rate !== null) localStorage.setItem(LINK, JSON.stringify({ rate: Math.round(rate), at: Date.now() }));
}

/** `onchoice(wish, saver)`: 'auto', a height or 'sound'. */
export class QualityMenu {
  button;
  panel;
  #choice;
  #onchoice;
  #now;
  #drawn = null;

  constructor(choice, onchoice) {
    this.#choice = choice;
    this.#onchoice = onchoice;
    this.#now = h('span', { class: 'quality-now' });
    this.button = h('button', { type: 'button', class: 'control quality', 'aria-haspopup': 'true', 'aria-expanded': 'false', 'aria-label': t('quality'), title: t('quality'), onclick: () => this.toggle() }, icon('gear'), this.#now);
    this.panel = h('div', { class: 'menu', hidden: true, role: 'group', 'aria-label': t('quality') });
    this.panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.toggle(false);
      event.stopPropagation();
    });
    document.addEventListener('pointerdown', (event) => {
      if (!this.panel.hidden && !this.panel.contains(event.target) && !this.button.contains(event.target)) this.toggle(false);
    });
  }

  get open() {
    return !this.panel.hidden;
  }

  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (open) this.panel.querySelector('input:checked')?.focus();
    else if (this.panel.contains(document.activeElement)) this.button.focus();
  }

  /** `heights`: of the pictures there are, the best first; `sound`: whether sound alone can be had; `shown`: the height on screen, 'sound' or null. */
  draw({ heights, sound, shown }) {
    const { wish, saver } = this.#choice;
    this.#now.textContent = shown === 'sound' ? t('qualitySoundShort') : shown ? t('qualityHeight', { height: shown }) : '';
    const key = JSON.stringify([heights, sound, shown, wish, saver]);
    if (this.#drawn === key) return;
    const focused = this.panel.contains(document.activeElement) ? document.activeElement.value : null;
    this.#drawn = key;
    const auto = wish === 'auto' && Number.isFinite(shown) ? t('qualityAutoNow', { height: shown }) : t('qualityAuto');
    const rows = [['auto', auto], ...heights.map((height) => [height, t('qualityHeight', { height })])];
    if (sound) rows.push(['sound', t('qualitySound')]);
    const row = ([value, words]) => h('label', {}, h('input', { type: 'radio', name: 'quality', value, checked: value === wish, onchange: () => this.#choose(value, saver) }), h('span', {}, words));
    show(this.panel, rows.map(row),
      h('label', { class: 'saver' }, h('input', { type: 'checkbox', value: 'saver', checked: saver, onchange: (event) => this.#choose(wish, event.target.checked) }),
        h('span', {}, t('dataSaver'), h('small', {}, t('dataSaverHint')))));
    if (focused !== null) this.panel.querySelector(`input[value="${focused}"]`)?.focus();
  }

  #choose(wish, saver) {
    this.#choice = { wish, saver };
    localStorage.setItem(KEPT, JSON.stringify(this.#choice));
    this.#onchoice(wish, saver);
  }
}
