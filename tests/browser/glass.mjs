// Glass to glass: how old is the picture on the screen? Prints it for stock hls.js and for griot's own page, one after
// the other on one live. Not a test: run it on a quiet machine, `node tests/browser/glass.mjs [seconds]`.
//
// An encoded clip without B-frames is published at the speed of time, so the encoder's own time is not in it; picture n
// leaves n/30 s after the first. Chromium's canvas reads the numbers back.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { barClip, FPS } from './support/clip.mjs';
import { publish } from './support/encoder.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { openStock, serveStockPage } from './support/stock.mjs';
import { pause, until } from './support/wait.mjs';
import { judge, observe, read } from './support/watch.mjs';

const SETTLE_S = 15;
const HANDSHAKE_AND_COMMANDS = 4500; // 1 + 1536 + 1536 bytes, then connect … publish
const seconds = Number(process.argv[2] ?? 30);

/** Passes an encoder's bytes on, and notes when its media begin: with the first large message after the handshake. */
async function clockingProxy(target) {
  const ingestAt = new URL(target);
  const noted = { began: null };
  const server = createServer((encoder) => {
    const ingest = connect(Number(ingestAt.port), ingestAt.hostname);
    encoder.setNoDelay(true);
    ingest.setNoDelay(true);
    let passed = 0;
    encoder.on('data', (bytes) => {
      passed += bytes.length;
      if (noted.began === null && passed > HANDSHAKE_AND_COMMANDS) noted.began = performance.timeOrigin + performance.now();
    });
    encoder.pipe(ingest).pipe(encoder);
    for (const socket of [encoder, ingest]) socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.port = server.address().port;
  return { noted, url: url.href, close: () => server.close() };
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

async function measure(name, page, began) {
  await observe(page);
  await pause(SETTLE_S);
  const from = Date.now();
  await pause(seconds);
  const seen = await read(page);
  const pictures = seen.pictures.filter(({ at }) => at >= from);
  const ages = pictures.filter(({ n }) => n !== null).map(({ n, at }) => at - began - n * 1000 / FPS).sort((a, b) => a - b);
  const { backwards, jumps, missed, unreadable } = judge(pictures);
  console.log(JSON.stringify({ player: name, p50_s: Number((percentile(ages, 0.5) / 1000).toFixed(3)), p95_s: Number((percentile(ages, 0.95) / 1000).toFixed(3)),
    pictures: pictures.length, not_shown: missed, dropped: seen.dropped, backwards: backwards.length, jumps: jumps.length, unreadable,
    stalls: seen.stalls.length, ranges: seen.ranges.length, shown: await page.locator('.latency').textContent({ timeout: 100 }).catch(() => undefined) }));
}

needAll();
const settings = process.env.GLASS_LATENCY ? { GRIOT_LIVE_LATENCY: process.env.GLASS_LATENCY } : {};
const griot = await startGriot(settings);
const browser = await launch();
const stock = await serveStockPage();
const live = await griot.startLive('Glass to glass');
const proxy = await clockingProxy(live.rtmp_url);
const encoder = publish(await barClip(2 * (SETTLE_S + seconds) + 40, { bFrames: 0 }), proxy.url);
try {
  await until('the live to begin', 20, async () => (await griot.view(live)).status === 'live').catch((late) => {
    throw new Error(`${late.message}; ffmpeg said: ${encoder.said}`);
  });
  for (const [name, open] of [
    ['stock hls.js', (page) => openStock(page, stock, live.hls_url)],
    ['griot', (page) => page.goto(`${griot.http}/watch/${live.live_id}`)],
  ]) {
    const page = await browser.newPage({ viewport: { width: 720, height: 640 } });
    await open(page);
    await measure(name, page, proxy.noted.began);
    await page.close();
  }
} finally {
  await encoder.kill();
  proxy.close();
  await browser.close();
  stock.close();
  await griot.close();
}
