// The frame around every page, and which page an address means. Pages are whole documents: links are plain links.

import { logOut, session } from './api.js';
import { h, mark, show } from './dom.js';
import { language, switchLanguage, t } from './messages.js';

const PAGES = [
  { path: /^\/$/, page: () => import('./pages/home.js') },
  { path: /^\/(?:watch|post)\/(\d+)\/?$/, page: () => import('./pages/watch.js') },
  { path: /^\/studio\/?$/, page: () => import('./pages/studio.js') },
  { path: /^\/library\/?$/, page: () => import('./pages/library.js') },
  { path: /^\/login\/?$/, page: () => import('./pages/login.js') },
];

function header() {
  const user = session()?.user;
  const link = (href, text) => h('a', { href, 'aria-current': location.pathname === href ? 'page' : null }, text);
  const leave = h('button', { type: 'button', class: 'plain', onclick: async () => { await logOut(); location.assign('/'); } }, t('logout'));
  return h('header', { class: 'site' },
    h('a', { class: 'skip', href: '#main' }, t('skip')),
    h('a', { class: 'brand', href: '/' }, mark(), h('span', {}, 'griot')),
    h('nav', { 'aria-label': t('nav') }, link('/', t('home')), link('/studio', t('studio')), user && link('/library', t('library')), user ? leave : link('/login', t('login'))),
    h('button', { type: 'button', class: 'plain language', lang: language === 'fr' ? 'en' : 'fr', onclick: switchLanguage },
      h('span', { class: 'long' }, t('otherLanguage')), h('span', { class: 'short', 'aria-hidden': 'true' }, t('otherLanguage').slice(0, 2))));
}

function missing() {
  document.title = `${t('notFoundTitle')} — griot`;
  return h('div', { class: 'message' }, h('h1', {}, t('notFoundTitle')), h('p', {}, t('notFoundText')),
    h('a', { class: 'button', href: '/' }, t('backHome')));
}

/** A module that is gone means that griot was updated under an open page. */
function outdated() {
  return h('div', { class: 'message' }, h('p', {}, t('updated')),
    h('button', { type: 'button', class: 'button', onclick: () => location.reload() }, t('reload')));
}

const main = h('main', { id: 'main', tabindex: -1 });
document.documentElement.lang = language;
show(document.getElementById('app'), header(), main, h('footer', {}, h('p', {}, t('tagline'))));

const route = PAGES.find(({ path }) => path.test(location.pathname));
if (route === undefined) {
  show(main, missing());
} else {
  route.page().then(
    ({ open }) => open(main, ...route.path.exec(location.pathname).slice(1)),
    () => show(main, outdated()),
  );
}
