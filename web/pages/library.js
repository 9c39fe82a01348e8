// A member's images and videos: send some, see them, delete them.

import { call, forget, local, session } from '../api.js';
import { confirm } from '../confirm.js';
import { h, icon, show } from '../dom.js';
import { language, t } from '../messages.js';
import { send } from '../upload.js';
import { problem } from '../view.js';

const MEDIA = '/api/posts/media/';
const KINDS = 'image/jpeg,image/png,image/gif,image/webp,video/mp4,video/webm,video/quicktime,video/x-msvideo,.mp4,.mov,.webm,.avi';
/** Files sent at a time; the others wait. */
const AT_A_TIME = 2;

function megabytes(bytes) {
  const size = Math.max(0.1, bytes / 1e6).toLocaleString(language, { maximumFractionDigits: 1 });
  return t('megabytes', { size });
}

function picture(medium) {
  const variant = medium.variants.find(({ name }) => name === '300.webp') ?? medium.variants.find(({ name }) => name === '150.webp');
  const source = local(variant?.url ?? medium.thumbnail_url ?? (medium.media_type === 'image' ? medium.file : null));
  if (source === null) return h('span', { class: 'card-blank' }, icon('play'));
  return h('img', { src: source, alt: '', loading: 'lazy' });
}

function card(medium, gone) {
  const name = medium.title || t('untitledMedium');
  const remove = h('button', { type: 'button', class: 'button quiet', 'aria-label': t('deleteNamed', { name }) }, t('delete'));
  remove.addEventListener('click', async () => {
    if (!await confirm(t('deleteQuestion'), t('deleteConsequence'), t('delete'))) return;
    remove.disabled = true;
    await call('DELETE', `${MEDIA}${medium.id}/`).catch(() => null);
    gone();
  });
  const words = medium.state === 'failed' ? medium.failure?.message : medium.state === 'processing' ? t('processing') : megabytes(medium.file_size);
  return h('li', {}, h('div', { class: 'card medium' },
    h('a', { class: 'card-picture', href: local(medium.file) ?? '#', target: '_blank', rel: 'noopener', 'aria-label': name }, picture(medium)),
    h('div', { class: 'card-words' }, h('h3', {}, name), h('p', { class: 'faint' }, words), remove)));
}

/** One file on its way, as people see it. */
function row(file, ended) {
  const bar = h('progress', { max: file.size || 1, value: 0, 'aria-label': file.name });
  const said = h('p', { class: 'faint', role: 'status' }, t('waiting'));
  const giveUp = h('button', { type: 'button', class: 'button quiet' }, t('cancel'));
  const stop = new AbortController();
  giveUp.addEventListener('click', () => stop.abort());
  const element = h('li', { class: 'sending' }, h('div', { class: 'sending-words' }, h('strong', {}, file.name), said), bar, giveUp);
  const run = async () => {
    try {
      await send(file, (bytes, of) => {
        bar.value = bytes;
        said.textContent = bytes < of ? t('sending', { percent: Math.floor(bytes * 100 / of) }) : t('checking');
      }, stop.signal);
      element.dataset.state = 'done';
      said.textContent = t('sent');
    } catch (error) {
      element.dataset.state = 'failed';
      said.textContent = stop.signal.aborted ? t('cancelled') : error.message;
      said.setAttribute('role', 'alert');
    }
    giveUp.remove();
    ended();
  };
  return { element, run, stop };
}

function chooser(changed) {
  const list = h('ul', { class: 'sendings' });
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < AT_A_TIME && waiting.length > 0) {
      running += 1;
      waiting.shift().run();
    }
  };
  const take = (files) => {
    for (const file of files) {
      const one = row(file, () => { running -= 1; next(); changed(); });
      list.append(one.element);
      waiting.push(one);
    }
    next();
  };
  const input = h('input', { type: 'file', id: 'files', multiple: true, accept: KINDS, class: 'offscreen' });
  input.addEventListener('change', () => { take(input.files); input.value = ''; });
  const zone = h('label', { for: 'files', class: 'drop' }, h('strong', {}, t('dropHere')), h('span', { class: 'faint' }, t('dropHint')));
  const over = (is) => (event) => { event.preventDefault(); zone.classList.toggle('over', is); };
  for (const name of ['dragenter', 'dragover']) zone.addEventListener(name, over(true));
  zone.addEventListener('dragleave', over(false));
  zone.addEventListener('drop', (event) => { over(false)(event); take(event.dataTransfer.files); });
  // Dropped beside the zone, a file would replace the page.
  for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());
  window.addEventListener('beforeunload', (event) => { if (running > 0) event.preventDefault(); });
  return h('section', { class: 'panel form sender' }, h('h2', {}, t('sendTitle')), input, zone, list);
}

export function open(main) {
  document.title = `${t('library')} — griot`;
  if (session() === null) {
    location.assign('/login?next=/library');
    return;
  }
  const shelf = h('div', { 'aria-live': 'off' });
  const load = async () => {
    try {
      const { results } = await call('GET', `${MEDIA}?page_size=100`);
      show(shelf, results.length > 0 ? h('ul', { class: 'cards' }, results.map((medium) => card(medium, load))) : h('p', { class: 'faint' }, t('libraryEmpty')));
    } catch (error) {
      if (error.status === 401) {
        forget();
        location.assign('/login?next=/library');
        return;
      }
      show(shelf, problem(error, load));
    }
  };
  show(main, h('div', { class: 'library' }, h('h1', {}, t('library')), chooser(load), h('section', { class: 'shelf' }, h('h2', {}, t('libraryShelf')), shelf)));
  load();
}
