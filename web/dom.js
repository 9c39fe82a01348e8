// Small helpers to build elements. Nothing here takes HTML text: what people wrote can only become text nodes.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element: `h('a', {href: '/', onclick: f}, 'text', child)`. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

// 24 × 24, drawn with strokes unless the name is in FILLED.
const PATHS = {
  play: 'M7 4.5v15l12.5-7.5z',
  pause: 'M7 5h3.5v14H7zM13.5 5H17v14h-3.5z',
  again: 'M5 12a7 7 0 1 0 2.2-5.1M7 3v4h4',
  sound: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11',
  muted: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  small: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  gear: 'M5 7h8.5M17.5 7H19M5 12h2M11 12h8M5 17h7.5M16.5 17H19M15.5 5a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM9 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM14.5 15a2 2 0 1 1 0 4 2 2 0 0 1 0-4z',
  download: 'M12 4v11M7.5 10.5 12 15l4.5-4.5M5 19.5h14',
  eye: 'M2.5 12S6 5.8 12 5.8 21.5 12 21.5 12 18 18.2 12 18.2 2.5 12 2.5 12zM12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z',
  hidden: 'M4 4l16 16M9.6 6.2A9 9 0 0 1 12 5.8c6 0 9.5 6.2 9.5 6.2a16 16 0 0 1-2.6 3.2M6 7.6A15.6 15.6 0 0 0 2.5 12S6 18.2 12 18.2c1.5 0 2.8-.4 4-1',
  copy: 'M9 9h10.5v10.5H9zM15 5.5V4.5H4.5V15h1',
  done: 'M5 12.5l4.5 4.5L19 7.5',
  warn: 'M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2v.1',
  stop: 'M6.5 6.5h11v11h-11z',
  key: 'M8 16.5a4 4 0 1 1 3.7-5.5H21v3h-2.5v2.5h-3V14h-3.8A4 4 0 0 1 8 16.5zM8 12.5v.1',
  live: 'M12 10.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6zM8 8a5.7 5.7 0 0 0 0 8M16 8a5.7 5.7 0 0 1 0 8M5 5a9.9 9.9 0 0 0 0 14M19 5a9.9 9.9 0 0 1 0 14',
};
const FILLED = new Set(['play', 'pause', 'stop']);

/** An icon, hidden from screen readers: its button carries the label. */
export function icon(name) {
  const path = s('path', { d: PATHS[name] });
  return s('svg', { viewBox: '0 0 24 24', class: FILLED.has(name) ? 'icon filled' : 'icon', 'aria-hidden': 'true' }, path);
}

/** The house's mark: a kora, the griot's harp. */
export function mark() {
  return s('svg', { viewBox: '0 0 32 32', class: 'mark', 'aria-hidden': 'true' },
    s('path', { class: 'mark-strings', d: 'M16 3v12M16 5 8.5 15M16 5l7.5 10M16 9l-4 6M16 9l4 6' }),
    s('path', { class: 'mark-body', d: 'M4.5 16h23a11.5 11.5 0 0 1-23 0z' }));
}

/** Replaces all that `parent` holds. */
export function show(parent, ...children) {
  parent.replaceChildren(...children.flat().filter(Boolean));
}
