// Reads the number of every picture that a <video> presents, and remembers what happened to it.

import { BITS, COLUMNS, FPS, ROWS } from './clip.mjs';

const STEADY = 3;

/** Installs the reader for the page's first <video>; `read` fetches what it saw. */
export async function observe(page) {
  await page.waitForSelector('video', { state: 'attached' });
  await page.evaluate(({ BITS, COLUMNS, ROWS }) => {
    const video = document.querySelector('video');
    const SCALE = 8;
    const canvas = new OffscreenCanvas(COLUMNS * SCALE, ROWS * SCALE);
    const drawing = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
    /** The number in the picture now shown, or null when it is not whole. */
    const number = () => {
      drawing.drawImage(video, 0, 0, canvas.width, canvas.height);
      const { data } = drawing.getImageData(0, 0, canvas.width, 2 * SCALE);
      const light = (column, row) => data[4 * ((row * SCALE + SCALE / 2) * canvas.width + column * SCALE + SCALE / 2)];
      let value = 0;
      for (let bit = 0; bit < BITS; bit += 1) {
        const one = light(bit, 0) > 128;
        if (one === light(bit, 1) > 128) return null;
        value = value * 2 + (one ? 1 : 0);
      }
      return value;
    };
    const seen = { pictures: [], stalls: [], sources: 0, marked: crypto.randomUUID() };
    video.griotObserved = seen;
    let played = false;
    video.addEventListener('playing', () => { played = true; });
    video.addEventListener('waiting', () => { if (played && !video.seeking) seen.stalls.push(video.currentTime); });
    video.addEventListener('loadstart', () => { seen.sources += 1; });
    const each = (now, { mediaTime, presentedFrames }) => {
      seen.pictures.push({ n: number(), t: mediaTime, presented: presentedFrames, at: performance.timeOrigin + now });
      video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
    window.griotPicture = number;
  }, { BITS, COLUMNS, ROWS });
}

/** What the reader saw so far, and the state of the video; throws when page or <video> were replaced. */
export function read(page) {
  return page.evaluate(() => {
    const video = document.querySelector('video');
    const seen = video.griotObserved;
    if (!seen) throw new Error('the <video> or the page was replaced');
    const ranges = [];
    for (let index = 0; index < video.buffered.length; index += 1) ranges.push([video.buffered.start(index), video.buffered.end(index)]);
    const { droppedVideoFrames: dropped, totalVideoFrames: total } = video.getVideoPlaybackQuality();
    return { ...seen, ranges, dropped, total, time: video.currentTime, ready: video.readyState, paused: video.paused, duration: video.duration };
  });
}

/** The number last seen, or null. */
export function lastNumber(page) {
  return page.evaluate(() => document.querySelector('video').griotObserved.pictures.at(-1)?.n ?? null);
}

/** Seeks to `time` and reads the picture there. */
export function numberAt(page, time) {
  return page.evaluate(async (target) => {
    const video = document.querySelector('video');
    video.pause();
    const there = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no picture at ${target} s`)), 15_000);
      video.addEventListener('seeked', () => {
        // The picture of a seek is presented before or after `seeked`; one more frame of the page is after both.
        clearTimeout(late);
        requestAnimationFrame(() => requestAnimationFrame(resolve));
      }, { once: true });
    });
    video.currentTime = target;
    await there;
    return window.griotPicture();
  }, time);
}

/**
 * Judges a stretch of pictures: none goes back, none is unreadable, each stands where its number says. `jumps` are the
 * places where numbers leave the even run, `missed` the pictures that the media had and the screen did not show.
 *
 * On a busy machine the canvas may get a later picture than the one that a callback tells of: what differs for less than
 * `STEADY` pictures is that, and no jump of the media. The first picture behind a jump may last longer than others: with it
 * the media closes a gap.
 */
export function judge(pictures) {
  const readable = pictures.filter(({ n }) => n !== null);
  const offsets = readable.map(({ n, t }) => n - Math.round(t * FPS)); // constant within a session
  const backwards = [];
  const jumps = [];
  let missed = 0;
  let line = offsets[0];
  for (let index = 1; index < readable.length; index += 1) {
    const [before, now] = [readable[index - 1], readable[index]];
    if (now.n < before.n || now.t < before.t) backwards.push([before, now]);
    const moved = offsets.slice(index, index + STEADY).every((offset) => Math.abs(offset - line) > 1);
    if (moved) {
      jumps.push([before, now]);
      line = offsets[index + STEADY - 1] ?? offsets[index];
    } else {
      missed += Math.max(0, now.n - before.n - 1);
    }
  }
  return { unreadable: pictures.length - readable.length, backwards, jumps, missed };
}
