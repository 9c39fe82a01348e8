// A band of cloth for each live, woven from its number: lives have no picture of their own yet.

import { s } from './dom.js';

const WIDTH = 160;
const HEIGHT = 90;

// Each motif fills a cell of 20 × `height`.
const MOTIFS = [
  { height: 14, draw: (y) => `M0 ${y + 12}l10-10 10 10` },
  { height: 14, draw: (y) => `M0 ${y + 7}l10-5 10 5-10 5zM10 ${y + 6}v2` },
  { height: 10, draw: (y) => `M3 ${y + 2}v6M8 ${y + 2}v6M13 ${y + 2}v6M18 ${y + 2}v6` },
  { height: 16, draw: (y) => `M4 ${y + 3}l12 10M16 ${y + 3}l-12 10M10 ${y + 8}v.1` },
  { height: 8, draw: (y) => `M5 ${y + 4}v.1M15 ${y + 4}v.1` },
  { height: 18, draw: (y) => `M2 ${y + 15}V${y + 3}h12v8H6V${y + 7}h4M18 ${y + 3}v12` },
];

/** Mulberry32: the same cloth for the same number, on every page. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The cloth of live `id`. */
export function cloth(id) {
  const next = random([...String(id)].reduce((hash, char) => Math.imul(hash, 31) + char.charCodeAt(0), 7));
  const drawing = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'xMidYMid slice',
    class: `cloth dye-${Math.floor(next() * 4)}`, 'aria-hidden': 'true' });
  let last = -1;
  for (let y = 0, band = 0; y < HEIGHT; band += 1) {
    let pick = Math.floor(next() * MOTIFS.length);
    if (pick === last) pick = (pick + 1) % MOTIFS.length;
    last = pick;
    const { height, draw } = MOTIFS[pick];
    const tone = Math.floor(next() * 3);
    drawing.append(s('rect', { x: 0, y, width: WIDTH, height: height + 0.5, class: `band tone-${tone}` }));
    for (let x = 0; x < WIDTH; x += 20) {
      drawing.append(s('path', { d: draw(y), transform: `translate(${x} 0)`, class: `motif tone-${(tone + 1 + band) % 3}` }));
    }
    y += height;
  }
  return drawing;
}
