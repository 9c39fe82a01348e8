// The WebM and the MP4 of a live in Chromium's own <video>: they play, and a seek shows the picture of that moment.

import assert from 'node:assert/strict';
import test, { after, afterEach, before } from 'node:test';

import { barClip, BITS, COLUMNS, FPS, ROWS } from './support/clip.mjs';
import { killAll, publish } from './support/encoder.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { until } from './support/wait.mjs';

const SECONDS = 8;

let griot;
let browser;
let clip;

before(async () => {
  needAll();
  clip = await barClip(130);
  griot = await startGriot({ GRIOT_RECORDING_WEBM: 'always', GRIOT_RECORDING_PICTURES: 'on' });
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

/** Opens a file in a page of griot's own origin, so that its pictures may be read. */
async function open(url) {
  const page = await browser.newPage();
  await page.goto(`${griot.http}/api/health/`);
  await page.evaluate((src) => {
    const video = document.createElement('video');
    Object.assign(video, { src, muted: true, preload: 'auto' });
    document.body.replaceChildren(video);
  }, new URL(url).pathname);
  await until(`${url} to load`, 20, () => page.evaluate(() => document.querySelector('video').readyState >= 2));
  return page;
}

/** Seeks, and reads the number off the picture that is shown. */
function numberAt(page, seconds) {
  return page.evaluate(async ({ at, bits, columns, rows }) => {
    const video = document.querySelector('video');
    const sought = new Promise((resolve, reject) => {
      video.addEventListener('seeked', resolve, { once: true });
      setTimeout(() => reject(new Error(`no seek to ${at}`)), 10_000);
    });
    video.currentTime = at;
    await sought;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const drawing = canvas.getContext('2d');
    drawing.drawImage(video, 0, 0);
    const cell = { w: canvas.width / columns, h: canvas.height / rows };
    let number = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      const [grey] = drawing.getImageData(Math.floor((bit + 0.5) * cell.w), Math.floor(0.5 * cell.h), 1, 1).data;
      number = number * 2 + (grey > 128 ? 1 : 0);
    }
    return number;
  }, { at: seconds, bits: BITS, columns: COLUMNS, rows: ROWS });
}

async function plays(url, duration) {
  const page = await open(url);
  const lasts = await page.evaluate(() => document.querySelector('video').duration);
  assert.ok(Math.abs(lasts - duration) < 0.05, `${url} lasts ${lasts} of ${duration} s`);
  for (const at of [5.1, 1.1, duration - 0.7]) {
    const number = await numberAt(page, at);
    assert.ok(Math.abs(number - Math.floor(at * FPS)) <= 1, `${url}: picture ${number} at ${at} s`);
  }
  await page.evaluate(() => {
    const video = document.querySelector('video');
    video.currentTime = 0;
    return video.play();
  });
  await until(`${url} to play`, 15, () => page.evaluate(() => document.querySelector('video').currentTime > 1));
  assert.equal(await page.evaluate(() => document.querySelector('video').error), null);
}

test('the WebM of a live plays and seeks beside its MP4, and the page offers both', async () => {
  const live = await griot.startLive('À garder');
  const encoder = publish(clip, live.rtmp_url, 0, ['-t', `${SECONDS}`]);
  await until('the live to end', 30, async () => (await griot.view(live)).status === 'interrupted');
  await encoder.kill();
  await griot.stopLive(live);
  const view = await until('the WebM', 60, async () => {
    const now = await griot.view(live);
    return now.recording?.webm_url && now.recording.storyboard_url ? now : null;
  });
  const { duration, mp4_url: mp4, webm_url: webm, poster_url: poster } = view.recording;
  await plays(webm, duration);
  await plays(mp4, duration);
  assert.equal((await fetch(poster)).status, 200);

  const page = await browser.newPage();
  await page.goto(`${griot.http}/watch/${live.live_id}`);
  const link = page.locator(`a[href="${new URL(webm).pathname}"]`);
  await link.waitFor();
  assert.match(await link.textContent(), /WebM/);
});
