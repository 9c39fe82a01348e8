// The ladder of a live on griot's page: what is chosen when the link changes, and what becomes of a viewer whose rung dies.

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, afterEach, before } from 'node:test';

import { barClip, FPS } from './support/clip.mjs';
import { killAll, publish } from './support/encoder.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { pause, until } from './support/wait.mjs';
import { judge, lastNumber, observe, read } from './support/watch.mjs';

const CLIP_S = 190;
const LAG = -2; // pictures: with two B-frames the first is shown two later than it is decoded, which is where the timeline begins
const rung = (name, side, video, audio) => `[[rung]]\nname = "${name}"\nshort_side = ${side}\nvideo_kbps = ${video}\naudio_kbps = ${audio}\n`;
const TABLE = rung('270p', 270, 400, 64) + rung('180p', 180, 150, 48) + rung('audio', 0, 0, 48);

let griot;
let browser;
let clip;

before(async () => {
  needAll();
  clip = await barClip(CLIP_S, { noise: true });
  const table = join(tmpdir(), `griot-ladder-${process.pid}.toml`);
  await writeFile(table, TABLE);
  griot = await startGriot({ GRIOT_LIVE_LADDER: 'on', GRIOT_LIVE_LADDER_FILE: table });
  browser = await launch();
});

afterEach(async () => {
  await killAll();
  await griot.stopAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});

after(async () => {
  await browser?.close();
  await griot?.close();
});

/** A live with an encoder, and all of its rungs. */
async function laddered(title) {
  const live = await griot.startLive(title);
  publish(clip, live.rtmp_url);
  await until('every rung to be live', 30, async () => {
    const { renditions } = await griot.view(live);
    return renditions.length === 4 && renditions.every(({ state }) => state === 'live');
  });
  return live;
}

/** griot's page of a live; `height`: what its viewer has chosen before, or null. */
async function watching(live, height = null) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, locale: 'en-GB' });
  const kept = JSON.stringify({ wish: height, saver: false });
  if (height !== null) await context.addInitScript((choice) => localStorage.setItem('griot.quality', choice), kept);
  const page = await context.newPage();
  await page.goto(`${griot.http}/watch/${live.live_id}`);
  await observe(page);
  await until('the first picture', 20, () => lastNumber(page).then((n) => n !== null));
  await until('the picture that was chosen', 40, async () => (await shown(page)) === `${height ?? 360}p`);
  return page;
}

/** The quality that the page says it shows. */
const shown = (page) => page.locator('.quality-now').textContent();

/** Chooses in the menu. */
async function choose(page, value) {
  await page.locator('.player').hover();
  await page.locator('.control.quality').click();
  await page.locator(`.menu input[value="${value}"]`).check();
  await page.keyboard.press('Escape');
}

/** The network's own emulation: `kbps`, or null for no limit. */
async function throttle(page, kbps) {
  page.devtools ??= await page.context().newCDPSession(page); // each would have a limit of its own
  const { devtools } = page;
  await devtools.send('Network.enable');
  const throughput = kbps === null ? -1 : (kbps * 1000) / 8;
  await devtools.send('Network.emulateNetworkConditions', { offline: false, latency: kbps === null ? 0 : 30, downloadThroughput: throughput, uploadThroughput: -1 });
}

/** Numbers that went back, and pictures that could not be read. */
function assertForward(pictures) {
  const verdict = judge(pictures);
  assert.deepEqual(verdict.backwards, [], 'a number went back');
  assert.equal(verdict.unreadable, 0, 'a picture could not be read');
}

/** The child processes of griot that make ladders. */
async function children() {
  const found = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (status.includes(`\nPPid:\t${griot.served.pid}\n`) && line.includes('ladder')) found.push(Number(pid));
  }
  return found;
}

test('a link that becomes weak and strong again changes the quality and nothing else', async (t) => {
  const live = await laddered('Par monts et par vaux');
  const page = await watching(live);
  await pause(6);
  await throttle(page, 420); // 180p takes some 250 with its sound and 60 of playlists, 270p more than 500
  await until('the least picture', 45, async () => (await shown(page)) === '180p');
  await pause(4); // what the fall cost
  const fallen = await read(page);
  await pause(20);
  assert.equal(await shown(page), '180p');
  const weak = await read(page);
  assert.deepEqual(weak.stalls.slice(fallen.stalls.length), [], 'stalls after the fall');
  const count = weak.pictures.length - fallen.pictures.length;
  assert.ok(count > 0.7 * 20 * FPS, `only ${count} pictures in 20 s`);
  await throttle(page, null);
  await until('the best picture again', 60, async () => (await shown(page)) === '360p');
  await pause(5);
  const seen = await read(page);
  t.diagnostic(`${fallen.stalls.length} stalls in the fall, ${seen.stalls.length - weak.stalls.length} in the rise`);
  assertForward(seen.pictures);
  assert.ok(seen.stalls.length - weak.stalls.length <= 1, `stalls in the rise: ${seen.stalls}`);
});

/** Opens the page anew with this quality chosen: what lies before is fetched in it. */
async function openWith(page, height) {
  await choose(page, height);
  await page.reload();
  await observe(page);
  await until(`${height}p`, 40, async () => (await shown(page)) === `${height}p`);
}

test('sound alone goes on where the picture was left, and the picture where the sound was', async () => {
  const live = await laddered('Sans image');
  const page = await watching(live);
  await choose(page, 'sound');
  await until('sound alone', 20, async () => (await shown(page)) === 'Sound');
  const at = await page.evaluate(() => document.querySelector('video').currentTime);
  await until('its time to run', 20, () => page.evaluate((from) => document.querySelector('video').currentTime > from + 3, at));
  await choose(page, 270);
  await until('270p', 30, async () => (await shown(page)) === '270p');
});

test('who watches a rung that dies goes on with another at once, and returns', async (t) => {
  const live = await laddered('Coupure');
  const page = await watching(live, 270);
  await pause(5);
  const [child] = await children();
  process.kill(child, 'SIGKILL');
  await until('another picture', 20, async () => (await shown(page)) === '360p');
  await until('270p again', 60, async () => (await shown(page)) === '270p');
  await pause(3);
  const { pictures, stalls } = await read(page);
  t.diagnostic(`${stalls.length} stalls`);
  assertForward(pictures);
  assert.ok(stalls.length <= 1, `stalls: ${stalls}`);
});
