import assert from 'node:assert/strict';
import test from 'node:test';

import { FPS } from './support/clip.mjs';
import { judge } from './support/watch.mjs';

const run = (first, count, at = 0) => Array.from({ length: count }, (_, index) => ({ n: first + index, t: at + index / FPS }));

test('an even run has nothing to say against it', () => {
  assert.deepEqual(judge(run(100, 50, 3)), { unreadable: 0, backwards: [], jumps: [], missed: 0 });
});

test('a hole in the numbers that the times have too was not shown', () => {
  const { missed, jumps } = judge(run(0, 50).filter(({ n }) => n !== 20 && n !== 21));
  assert.deepEqual([missed, jumps], [2, []]);
});

test('numbers that leave their times jump, however the media closed the gap', () => {
  const pictures = [...run(0, 50), ...run(60, 50, 50 / FPS)];
  assert.deepEqual(judge(pictures).jumps, [[pictures[49], pictures[50]]]);
});

test('a first picture that lasts longer is part of its jump', () => {
  const pictures = [...run(0, 50), ...run(60, 1, 50 / FPS), ...run(61, 50, 54 / FPS)];
  assert.deepEqual(judge(pictures).jumps, [[pictures[49], pictures[50]]]);
});

test('two frames cut out of the media are a jump', () => {
  assert.equal(judge([...run(0, 50), ...run(52, 50, 50 / FPS)]).jumps.length, 1);
});

test('a canvas that is late is no jump', () => {
  const pictures = run(0, 50);
  pictures[20].n = 22;
  pictures[21].n = 22;
  assert.deepEqual(judge(pictures).jumps, []);
  assert.deepEqual(judge(pictures).backwards, []);
});

test('a number or a time that goes back is found', () => {
  const [number, time] = [run(0, 50), run(0, 50)];
  number[30].n = 10;
  time[30].t = 0.1;
  assert.equal(judge(number).backwards.length, 1);
  assert.equal(judge(time).backwards.length, 1);
});

test('a torn picture is counted', () => {
  const pictures = run(0, 10);
  pictures[5].n = null;
  assert.equal(judge(pictures).unreadable, 1);
});
