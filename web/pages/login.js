import { logIn, session } from '../api.js';
import { h, icon, show } from '../dom.js';
import { t } from '../messages.js';

/** Where to go afterwards: a path of this site, never another one. */
function next() {
  const wish = new URLSearchParams(location.search).get('next') ?? '/studio';
  const target = new URL(wish, location.origin);
  return target.origin === location.origin ? target.pathname + target.search : '/studio';
}

export function open(main) {
  document.title = `${t('loginTitle')} — griot`;
  if (session() !== null) {
    location.replace(next());
    return;
  }
  const email = h('input', { id: 'email', name: 'email', type: 'email', autocomplete: 'username', required: true, autofocus: true });
  const password = h('input', { id: 'password', name: 'password', type: 'password', autocomplete: 'current-password', required: true });
  const reveal = h('button', { type: 'button', class: 'inside', 'aria-label': t('showPassword'), 'aria-pressed': 'false' }, icon('eye'));
  reveal.addEventListener('click', () => {
    const shown = password.type === 'text';
    password.type = shown ? 'password' : 'text';
    reveal.setAttribute('aria-pressed', String(!shown));
    reveal.setAttribute('aria-label', t(shown ? 'showPassword' : 'hidePassword'));
    show(reveal, icon(shown ? 'eye' : 'hidden'));
  });
  const wrong = h('p', { class: 'wrong', role: 'alert' });
  const submit = h('button', { type: 'submit', class: 'button strong' }, t('loginDo'));
  const form = h('form', { class: 'panel form', method: 'post', action: '/login' },
    h('h1', {}, t('loginTitle')), h('p', { class: 'faint' }, t('loginIntro')),
    h('label', { for: 'email' }, t('email')), email,
    h('label', { for: 'password' }, t('password')), h('div', { class: 'field' }, password, reveal),
    wrong, submit);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    wrong.textContent = '';
    submit.disabled = true;
    submit.textContent = t('loginBusy');
    try {
      await logIn(email.value.trim(), password.value);
      location.replace(next());
    } catch (error) {
      wrong.textContent = error.message;
      submit.disabled = false;
      submit.textContent = t('loginDo');
      password.select();
    }
  });
  show(main, h('div', { class: 'narrow' }, form));
}
