// What members send plays in Chromium through hls.js as it comes: as it is, and encoded anew.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';

import { barClip, FPS } from './support/clip.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { openStock, serveStockPage } from './support/stock.mjs';
import { until } from './support/wait.mjs';
import { lastNumber, numberAt, observe } from './support/watch.mjs';

const SECONDS = 6;
const LOOK_AT = [0.5, 1.7, 2.9, 4.1, 5.3];

// By name: the container, ffmpeg's arguments, and those of a step before.
const FILES = {
  'H.264 and AAC': ['mp4', '-c copy'],
  'no sound': ['mp4', '-c copy -an'],
  HEVC: ['mp4', '-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error -c:a copy'],
  'VP9 and Opus': ['webm', '-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus'],
  'what MediaRecorder writes': ['webm', '-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus -live 1'],
  'MPEG-4 and MP3': ['avi', '-bf 0 -c:v mpeg4 -q:v 3 -c:a libmp3lame'],
  'ProRes and PCM': ['mov', '-c:v prores_ks -profile:v 0 -c:a pcm_s16le'],
  'H.264 and AAC in QuickTime': ['mov', '-c copy'],
  'mono': ['mp4', '-c:v copy -ac 1 -c:a aac'],
  'an index at the front': ['mp4', '-c copy -movflags +faststart'],
  'VP8 and Opus': ['webm', '-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus'],
  'AV1 and Opus': ['webm', '-c:v libaom-av1 -usage realtime -cpu-used 8 -b:v 1M -c:a libopus'],
  'HEVC in Matroska': ['mkv', '-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a flac'],
  // Stored on its side: a player turns it by 90° with the clock.
  // ffmpeg 5.1 says so only of what it copies.
  'turned': ['mp4', '-c copy -metadata:s:v rotate=270', '-vf transpose=cclock -c:v libx264 -preset ultrafast -g 60 -c:a copy'],
  'a variable rate': ['mp4',
    "-vf select=lt(mod(n\\,7)\\,5)+eq(mod(n\\,3)\\,0) -fps_mode vfr -c:v libx264 -preset ultrafast -g 60 -c:a copy"],
  'interlaced': ['mp4', '-vf setfield=tff -c:v libx264 -preset ultrafast -flags +ilme+ildct -c:a copy'],
  '5.1': ['mp4', '-c:v copy -af pan=5.1|FL=FL|FR=FR|FC=FL|LFE=FL|BL=FL|BR=FR -c:a aac'],
  'an odd size': ['webm', '-vf scale=639:359 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus'],
  '4:4:4': ['mp4', '-c:v libx264 -preset ultrafast -pix_fmt yuv444p -c:a copy'],
};

// By name: the medium, sent before the first is looked at, so that the next is made while one plays.
const sent = new Map();

let griot;
let browser;
let stock;
let clip;

before(async () => {
  needAll();
  clip = await barClip(SECONDS);
  griot = await startGriot({ GRIOT_MEDIA_MATROSKA: 'on' });
  await griot.logIn();
  for (const [name, [container, encode, earlier]] of Object.entries(FILES)) {
    const path = join(tmpdir(), `griot-upload-${process.pid}-${name.replaceAll(/\W/g, '')}.${container}`);
    const prepared = earlier === undefined ? clip : `${path}.${container}`;
    if (earlier !== undefined) execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', clip, ...earlier.split(' '), prepared]);
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', prepared, ...encode.split(' '), path]);
    sent.set(name, await griot.sendMedia(await readFile(path)));
    await rm(path);
    if (prepared !== clip) await rm(prepared);
  }
  browser = await launch();
  stock = await serveStockPage();
});

after(async () => {
  await browser?.close();
  stock?.close();
  await griot?.close();
});

for (const [name, [container]] of Object.entries(FILES)) {
  test(`${name} in ${container} plays, and seeks to the picture`, async () => {
    const media = await until('the video', 120, async () => {
      const now = await griot.call('GET', `/api/posts/media/${sent.get(name).id}/`);
      return now.state !== 'processing' && now;
    });
    assert.equal(media.state, 'ready', JSON.stringify(media));
    const page = await browser.newPage({ viewport: { width: 720, height: 420 } });
    await openStock(page, stock, media.hls_url);
    await observe(page);
    await until('the first picture', 20, () => lastNumber(page).then((number) => number !== null));
    await page.evaluate(() => document.querySelector('video').pause());
    const start = await page.evaluate(() => document.querySelector('video').buffered.start(0));
    const wrong = [];
    for (const at of LOOK_AT) {
      const number = await numberAt(page, start + at);
      // AVI shows its first picture a little longer; a rate that was changed shows a neighbour.
      if (number === null || Math.abs(number - Math.floor(at * FPS)) > 2) wrong.push({ at, number });
    }
    assert.deepEqual(wrong, [], 'pictures at other places than their own');
    assert.deepEqual(await page.evaluate(() => window.griotErrors.filter((error) => error.includes('fatal'))), []);
    await page.close();
  });
}
