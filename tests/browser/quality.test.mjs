import assert from 'node:assert/strict';
import test from 'node:test';

import { Link, Quality } from '../../web/quality.js';

// BANDWIDTH is a fifth above the peak: 200, 500 and 1,000 kbit/s.
const LEVELS = [{ bitrate: 240_000, height: 180 }, { bitrate: 600_000, height: 270 }, { bitrate: 1_200_000, height: 360 }];

/** Parts of 200 ms of the level in use over a link of `rate`, for `seconds`; answers the levels at each. */
function play(quality, rate, seconds, from) {
  const levels = [];
  for (let at = from; at < from + seconds; at += 0.2) {
    const level = quality.level(LEVELS, at);
    const bytes = (LEVELS[level].bitrate / 1.2) * 0.2 / 8;
    quality.heard(LEVELS, bytes, (bytes * 8) / rate, at);
    const target = quality.wantsProbe(LEVELS, at);
    if (target !== null) quality.probed(LEVELS, rate, at);
    levels.push(quality.level(LEVELS, at));
  }
  return levels;
}

test('a link of which nothing is known begins with the best, a known one with what it carries', () => {
  assert.equal(new Quality().level(LEVELS, 0), 2);
  assert.equal(new Quality(700_000).level(LEVELS, 0), 1);
  assert.equal(new Quality(50_000).level(LEVELS, 0), 0);
});

test('a link that becomes weak falls with the first parts and rises again when it is strong', () => {
  const quality = new Quality();
  assert.deepEqual(new Set(play(quality, 5_000_000, 10, 0)), new Set([2]));
  const weak = play(quality, 350_000, 30, 10);
  assert.ok(weak.slice(8).every((level) => level === 0), `${weak}`);
  const strong = play(quality, 5_000_000, 30, 40);
  assert.equal(strong.at(-1), 2);
  assert.ok(strong.indexOf(2) < 75, `it took ${strong.indexOf(2) / 5} s`);
});

test('a link between two levels stays with the one that it carries', () => {
  const quality = new Quality();
  play(quality, 620_000, 5, 0);
  const levels = play(quality, 620_000, 60, 5);
  assert.deepEqual(new Set(levels), new Set([1]));
});

test('each rise that has to be undone makes the next one wait longer', () => {
  const quality = new Quality(250_000);
  const rises = [];
  for (let at = 0; at < 300; at += 0.2) {
    const before = quality.level(LEVELS, at);
    if (quality.wantsProbe(LEVELS, at) !== null) quality.probed(LEVELS, 9_000_000, at);
    if (quality.level(LEVELS, at) > before) rises.push(at);
    // It stalls as soon as it has risen.
    if (quality.level(LEVELS, at) > 0) { quality.stalled(LEVELS, at + 0.1); quality.stalled(LEVELS, at + 0.1); }
  }
  const waits = rises.slice(1).map((at, index) => at - rises[index]);
  assert.ok(waits.every((wait, index) => index === 0 || wait > waits[index - 1] * 1.5 || wait > 110), `${waits}`);
});

test('what the viewer wishes holds, and a level that failed is left alone for a while', () => {
  const quality = new Quality();
  quality.wish = 270;
  assert.equal(quality.level(LEVELS, 0), 1);
  quality.failed(1, 0);
  assert.equal(quality.level(LEVELS, 1), 0);
  assert.equal(quality.level(LEVELS, 13), 1);
  quality.saver = true;
  assert.equal(quality.level(LEVELS, 14), 0);
});

test('stalls at the least picture ask for sound alone, long round trips for segments', () => {
  const quality = new Quality(100_000);
  quality.level(LEVELS, 0);
  assert.equal(quality.tooWeak(LEVELS, 0), true);
  const slow = new Quality(300_000);
  slow.level(LEVELS, 0);
  assert.equal(slow.tooWeak(LEVELS, 0), false);
  for (const at of [1, 9, 17]) slow.stalled(LEVELS, at);
  assert.equal(slow.tooWeak(LEVELS, 18), true);
  assert.equal(slow.wantsSegments(0.1, 18), false);
  assert.equal(slow.wantsSegments(0.6, 18), true);
});

test('slowness is believed sooner than speed', () => {
  const falling = new Link(10_000_000);
  const rising = new Link(100_000);
  falling.heard(10_000, 0.8, 1);
  rising.heard(10_000, 0.008, 1);
  assert.ok(10_000_000 - falling.rate() > rising.rate() - 100_000);
});
