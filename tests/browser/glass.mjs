// Glass to glass: how old is the picture on the screen? Prints it for stock hls.js and for griot's own page, one after
// the other on one live. Not a test: run it on a quiet machine, `node tests/browser/glass.mjs [seconds]`.
//
// Numbered pictures are drawn here 30 times a second, encoded by ffmpeg (x264 ultrafast, zerolatency: that time counts
// too) and published; Chromium's canvas reads the numbers back.

import { spawn } from 'node:child_process';

import { BEEP_IN, cells, CELLS_IN, ENLARGE, FPS } from './support/clip.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { openStock, serveStockPage } from './support/stock.mjs';
import { pause, until } from './support/wait.mjs';
import { judge, observe, read } from './support/watch.mjs';

const SETTLE_S = 15;
const seconds = Number(process.argv[2] ?? 30);

function paint(url) {
  const drawnAt = [];
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-fflags', 'nobuffer', ...CELLS_IN, '-re', ...BEEP_IN, ...ENLARGE,
    '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-b:v', '1500k', '-g', `${2 * FPS}`, '-threads', '1',
    '-c:a', 'aac', '-flush_packets', '1', '-f', 'flv', url], { stdio: ['pipe', 'inherit', 'inherit'] });
  ffmpeg.stdin.on('error', () => {});
  const began = performance.now();
  const timer = setInterval(() => {
    while (drawnAt.length <= (performance.now() - began) * FPS / 1000) {
      ffmpeg.stdin.write(cells(drawnAt.length));
      drawnAt.push(performance.timeOrigin + performance.now());
    }
  }, 4);
  return { drawnAt, stop() { clearInterval(timer); ffmpeg.kill('SIGKILL'); } };
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

async function measure(name, page, drawnAt) {
  await observe(page);
  await pause(SETTLE_S);
  const from = Date.now();
  await pause(seconds);
  const seen = await read(page);
  const pictures = seen.pictures.filter(({ at }) => at >= from);
  const ages = pictures.filter(({ n }) => n !== null).map(({ n, at }) => at - drawnAt[n]).sort((a, b) => a - b);
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
const painter = paint(live.rtmp_url);
try {
  await until('the live to begin', 20, async () => (await griot.view(live)).status === 'live');
  for (const [name, open] of [
    ['stock hls.js', (page) => openStock(page, stock, live.hls_url)],
    ['griot', (page) => page.goto(`${griot.http}/watch/${live.live_id}`)],
  ]) {
    const page = await browser.newPage({ viewport: { width: 720, height: 640 } });
    await open(page);
    await measure(name, page, painter.drawnAt);
    await page.close();
  }
} finally {
  painter.stop();
  await browser.close();
  stock.close();
  await griot.close();
}
