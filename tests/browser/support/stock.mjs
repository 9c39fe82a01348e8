// A page with hls.js as it comes, from another origin than griot's: what somebody else's site would do.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const SCRIPT = new URL('../node_modules/hls.js/dist/hls.min.js', import.meta.url);

const PAGE = `<!doctype html><meta charset="utf-8"><title>hls.js</title><link rel="icon" href="data:,">
<video width="640" height="360" muted playsinline></video><script src="/hls.js"></script><script>
const video = document.querySelector('video');
window.griotErrors = [];
window.open = (url) => {
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, { details, fatal }) => griotErrors.push(details + (fatal ? ' (fatal)' : '')));
  hls.loadSource(url);
  hls.attachMedia(video);
  window.hls = hls;
  return video.play();
};
</script>`;

export async function serveStockPage() {
  const script = await readFile(SCRIPT);
  const server = createServer((request, response) => {
    const wantsScript = request.url === '/hls.js';
    response.setHeader('Content-Type', wantsScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(wantsScript ? script : PAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Waits for the live's first playlist, then plays it. */
export async function openStock(page, stock, hlsUrl) {
  await page.goto(stock.url);
  return page.evaluate((url) => window.open(url), hlsUrl);
}
