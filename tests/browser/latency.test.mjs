import assert from 'node:assert/strict';
import test from 'node:test';

import { difference, narrow } from '../../web/clock.js';
import { Distance, leastBuffer, rateFor } from '../../web/latency.js';

const near = (value, expected) => assert.ok(Math.abs(value - expected) < 1e-6, `${value} is not ${expected}`);

/** Parts of `part` seconds arriving for `seconds`, each `late(index)` seconds after its end. */
function feed(distance, { part = 0.2, from = 100, seconds = 10, late = () => 0.05, hole = 0 }) {
  const count = Math.round(seconds / part);
  for (let index = 1; index <= count; index += 1) {
    const end = from + index * part;
    distance.arrival(end + hole + late(index), end);
  }
  return from + seconds + hole;
}

test('the rate follows how much the buffer exceeds what is wanted', () => {
  assert.deepEqual([2, 0.51, 0.5, 0.11, 0.1, 0, -0.05, -0.06, -1].map(rateFor), [1.25, 1.25, 1.05, 1.05, 1, 1, 1, 0.95, 0.95]);
});

test('the least buffer is 0.3 s at parts of 200 ms and 0.25 s at 100 ms', () => {
  near(leastBuffer(0.2), 0.3);
  near(leastBuffer(0.1), 0.25);
});

test('punctual arrivals keep the least buffer, however late all of them are', () => {
  for (const delay of [0, 0.4]) {
    const distance = new Distance(0.2);
    const end = feed(distance, { late: () => delay });
    near(distance.wanted(end), 0.3);
  }
});

test('jitter within the margin changes nothing', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, { late: (index) => (index % 3) * 0.04 });
  near(distance.wanted(end), 0.3);
});

test('arrivals that are late again and again raise the buffer by about as much', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, { late: (index) => (index % 5 === 0 ? 0.5 : 0.05) });
  // lateness 0.45, and 0.2 s of half part and margin
  assert.ok(distance.wanted(end) > 0.6 && distance.wanted(end) < 0.66, String(distance.wanted(end)));
});

test('one stray arrival counts half', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, { late: (index) => (index === 49 ? 0.85 : 0.05) });
  assert.ok(distance.wanted(end) > 0.55 && distance.wanted(end) < 0.61, String(distance.wanted(end)));
});

test('the buffer shrinks slowly once the network is good again', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, { late: (index) => (index % 5 === 0 ? 0.8 : 0) });
  const high = distance.wanted(end);
  const later = feed(distance, { from: end, seconds: 5, late: () => 0 });
  assert.ok(distance.wanted(later) < high && distance.wanted(later) > 0.8 * high, String(distance.wanted(later)));
  const muchLater = feed(distance, { from: later, seconds: 120, late: () => 0 });
  near(distance.wanted(muchLater), 0.3);
});

test('an interruption of the source is not taken for jitter, nor what follows it', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, {});
  const after = feed(distance, { from: end, hole: 15 });
  near(distance.wanted(after), 0.3);
});

test('a delay that stays is no jitter after a while', () => {
  const distance = new Distance(0.2);
  const end = feed(distance, { late: () => 0 });
  const after = feed(distance, { from: end, seconds: 240, late: () => 0.6 });
  near(distance.wanted(after), 0.3);
});

test('each stall adds distance, up to a limit, and is forgotten in the end', () => {
  const distance = new Distance(0.2);
  distance.stall(10);
  near(distance.wanted(10), 0.5);
  for (let count = 0; count < 50; count += 1) distance.stall(10);
  near(distance.wanted(10), 1.8);
  near(Math.round(distance.wanted(10 + 60) * 1000) / 1000, 1.05);
  assert.ok(distance.wanted(10 + 1200) < 0.301);
});

test('after a restart the timeline begins anew', () => {
  const distance = new Distance(0.2);
  feed(distance, { from: 1000 });
  distance.restart();
  for (let at = 2000; at < 2010; at += 0.2) distance.arrival(at, at - 1999); // another timeline, punctual
  near(distance.wanted(2010), 0.3);
});

test('the server’s clock is narrowed down by whole seconds', () => {
  // The server is 5,300 ms ahead; answers take 20 ms.
  let range = null;
  for (let sent = 0; sent < 3000; sent += 170) {
    const server = sent + 10 + 5300;
    range = narrow(range, sent, sent + 20, Math.floor(server / 1000) * 1000);
  }
  assert.ok(range.low <= 5300 && 5300 <= range.high, JSON.stringify(range));
  assert.ok(Math.abs(difference(range) - 5300) < 110, String(difference(range)));
});

test('a clock that may be right is taken to be right', () => {
  assert.equal(difference(null), 0);
  assert.equal(difference(narrow(null, 10_400, 10_450, 10_000)), 0);
});

test('a clock that was set is learnt anew', () => {
  let range = narrow(null, 10_400, 10_450, 10_000);
  range = narrow(range, 20_400, 20_450, 60_000);
  assert.deepEqual(range, { low: 39_550, high: 40_600 });
});
