// hls.js as it comes plays griot: every picture carries its number, and the numbers are read back from a canvas.

import assert from 'node:assert/strict';
import test, { after, afterEach, before } from 'node:test';

import { barClip, cutClip, FPS } from './support/clip.mjs';
import { killAll, publish } from './support/encoder.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { openStock, serveStockPage } from './support/stock.mjs';
import { pause, until } from './support/wait.mjs';
import { judge, lastNumber, numberAt, observe, read } from './support/watch.mjs';

const CLIP_S = 130;
const PLAIN_S = 45;
const SEEKS = 20;

let griot;
let browser;
let stock;
let clip;

before(async () => {
  needAll();
  clip = await barClip(CLIP_S);
  griot = await startGriot();
  browser = await launch();
  stock = await serveStockPage();
});

afterEach(async () => {
  await killAll();
  await griot.stopAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});

after(async () => {
  await browser?.close();
  stock?.close();
  await griot?.close();
});

/** A live with an encoder, and a page that plays it with stock hls.js. */
async function playing(title, { encode = (url) => publish(clip, url), prepare = () => {} } = {}) {
  const live = await griot.startLive(title);
  const encoder = encode(live.rtmp_url);
  await until('the live to begin', 15, async () => (await griot.view(live)).status === 'live');
  const page = await browser.newPage({ viewport: { width: 720, height: 420 } });
  const playlists = [];
  page.on('request', (request) => { if (request.url().split('?')[0] === live.hls_url) playlists.push(request.url()); });
  await prepare(page);
  await openStock(page, stock, live.hls_url);
  await observe(page);
  await until('the first picture', 15, () => lastNumber(page).then((n) => n !== null));
  return { live, encoder, page, playlists };
}

function tell(t, seen, verdict) {
  t.diagnostic(`${seen.pictures.length} pictures read, ${verdict.missed} not shown (${seen.dropped} dropped by the decoder), `
    + `${seen.stalls.length} stalls, buffered ${JSON.stringify(seen.ranges)}`);
}

/** No picture goes back, is torn, or stands elsewhere than its number says; what the screen left out is little. */
function assertEven(verdict, pictures, jumps) {
  assert.deepEqual(verdict.backwards, [], 'a number went back');
  assert.equal(verdict.unreadable, 0, 'a picture could not be read');
  assert.equal(verdict.jumps.length, jumps, `places where the numbers jump: ${JSON.stringify(verdict.jumps)}`);
  // Every number stands at its own media time (checked above), so these are in the media, too late for a busy machine.
  assert.ok(verdict.missed <= 0.05 * pictures, `${verdict.missed} of ${pictures} pictures were not shown`);
}

test('45 s play evenly, and the same address is an exactly seekable replay after the stop', async (t) => {
  const { live, encoder, page, playlists } = await playing('Tout droit');
  await pause(PLAIN_S);
  const seen = await read(page);
  const verdict = judge(seen.pictures);
  tell(t, seen, verdict);
  assertEven(verdict, seen.pictures.length, 0);
  assert.ok(seen.pictures.length > 0.8 * PLAIN_S * FPS, `only ${seen.pictures.length} pictures in ${PLAIN_S} s`);
  assert.equal(seen.ranges.length, 1, `holes in the buffer: ${JSON.stringify(seen.ranges)}`);
  assert.ok(seen.stalls.length <= 1, `stalls at ${seen.stalls}`);

  await griot.stopLive(live);
  await encoder.kill();
  const text = await until('ENDLIST', 5, async () => {
    const variants = await (await fetch(live.hls_url)).text();
    const media = new URL(variants.split('\n').find((line) => line.endsWith('.m3u8') && !line.startsWith('#')), live.hls_url);
    const playlist = await (await fetch(media)).text();
    return playlist.includes('#EXT-X-ENDLIST') && playlist;
  });
  assert.ok(!text.includes('#EXT-X-PART:'), 'a replay lists no parts');
  await until('the player to see the end', 15, () => page.evaluate(() => window.hls.latestLevelDetails?.live === false));

  await numberAt(page, 0.01);
  const start = await until('the beginning in the buffer', 20, async () => {
    const { ranges } = await read(page);
    return ranges.length > 0 && ranges[0][0] < 1 ? { at: ranges[0][0] } : null;
  });
  const first = await numberAt(page, start.at + 0.5 / FPS);
  assert.equal(first, 0, 'the replay begins with the first picture that was sent');
  const end = await page.evaluate(() => document.querySelector('video').duration);
  const wrong = [];
  for (let count = 0; count < SEEKS; count += 1) {
    const time = start.at + 0.1 + Math.random() * (end - start.at - 0.5);
    const number = await numberAt(page, time);
    const expected = Math.floor((time - start.at) * FPS);
    if (number === null || Math.abs(number - expected) > 1) wrong.push({ time, number, expected });
  }
  assert.deepEqual(wrong, [], 'seeks that landed elsewhere');
  assert.equal(playlists.length, 1, 'the player was opened once');
  assert.equal((await read(page)).sources, seen.sources, 'the <video> got another source');
  await page.close();
});

/** Plays, ends the encoder by `end`, lets `away` seconds pass, goes on publishing at the clip's second `from`. */
async function comesBack(t, { title, end, away, ...how }) {
  const { live, encoder, page, playlists } = await playing(title, how);
  await pause(10);
  const errorsBefore = await page.evaluate(() => window.griotErrors.length);
  await end(encoder);
  await until('the interruption', 10, async () => (await griot.view(live)).status === 'interrupted');
  await pause(away);
  const before = await read(page);
  const from = 60;
  const again = publish(clip, live.rtmp_url, from);
  await until('the live to be back', 15, async () => (await griot.view(live)).status === 'live');
  await until('pictures of the new session', 20, async () => (await lastNumber(page)) >= from * FPS);
  await pause(10);
  const seen = await read(page);
  const verdict = judge(seen.pictures);
  tell(t, seen, verdict);
  t.diagnostic(`hls.js errors: ${JSON.stringify((await page.evaluate(() => window.griotErrors)).slice(errorsBefore))}`);
  assertEven(verdict, seen.pictures.length, 1);
  const [[last, next]] = verdict.jumps;
  assert.ok(last.n < from * FPS && next.n >= from * FPS, `the jump is between the sessions: ${last.n} → ${next.n}`);
  // Chromium, woken from a stall, may leave out a picture or two.
  assert.ok(next.n - from * FPS <= 2, `the new session is seen from its ${next.n - from * FPS + 1}th picture`);
  // What the first picture lasts longer: at most two pictures' lag and a frame of sound, with room for rounding.
  const later = seen.pictures[seen.pictures.indexOf(next) + 5];
  const longer = later.t - next.t - (later.n - next.n) / FPS;
  assert.ok(longer < 0.12, `the new session's first picture lasts ${longer} s longer`);
  assert.equal(seen.ranges.length, 1, `holes in the buffer: ${JSON.stringify(seen.ranges)}`);
  assert.equal(seen.sources, before.sources, 'the <video> got another source');
  assert.equal(playlists.length, 1, 'the player was opened once');
  const view = await griot.view(live);
  assert.equal(view.sessions.length, 2);
  assert.equal(view.recording.gaps.length, 1, JSON.stringify(view.recording.gaps));
  assert.ok(Math.abs(view.recording.gaps[0].seconds - away) < 4, `the gap's length: ${view.recording.gaps[0].seconds}`);
  await griot.stopLive(live);
  await again.kill();
  await page.close();
}

test('an encoder that is killed and back after 15 s leaves one gap and needs no reload', (t) => (
  comesBack(t, { title: 'Tué', end: (encoder) => encoder.kill(), away: 15 })
));

test('an encoder that says goodbye and is back after 10 s leaves one gap and needs no reload', (t) => (
  comesBack(t, { title: 'Au revoir', end: (encoder) => encoder.goodbye(), away: 10 })
));

/** hls.js' worker gets what was loaded 80 ms later, as on a slow phone. */
function parseSlowly(page) {
  return page.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function late(...what) { setTimeout(() => post.apply(this, what), 80); };
  });
}

// What hls.js does when it is told, while it parses the last part but one, that the segment is whole (`Window::end_session`),
// and when what it has reaches beyond the playlist's end (`Assembly::end_session`).
test('a last part that comes right behind the one before is played, and the encoder is back without a reload', async (t) => {
  // 70 whole parts of pictures, and the sound that belongs to them as a part of its own.
  const tail = await cutClip(clip, { pictures: 13.91, sound: 14.01 });
  await comesBack(t, {
    title: 'Une queue de son',
    encode: (url) => publish(tail, url),
    prepare: parseSlowly,
    end: (encoder) => encoder.ended,
    away: 10,
  });
});
