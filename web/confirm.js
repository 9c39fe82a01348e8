// A question before something that cannot be undone.

import { h } from './dom.js';
import { t } from './messages.js';

/** Asks; true when the answer is `yes`. Escape and "cancel" are no. */
export function confirm(question, consequence, yes) {
  return new Promise((resolve) => {
    const answer = (value) => h('button', { type: 'submit', value, class: value === 'yes' ? 'button danger' : 'button quiet' }, value === 'yes' ? yes : t('cancel'));
    const dialog = h('dialog', { 'aria-labelledby': 'question' },
      h('form', { method: 'dialog' }, h('h2', { id: 'question' }, question), h('p', {}, consequence),
        h('div', { class: 'actions end' }, answer('no'), answer('yes'))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
