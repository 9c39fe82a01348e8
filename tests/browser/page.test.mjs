// griot's own page, as its viewers and its owner see it. With GRIOT_SCREENSHOTS=folder it also leaves pictures to look at.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { after, afterEach, before } from 'node:test';

import { barClip, FPS } from './support/clip.mjs';
import { killAll, publish } from './support/encoder.mjs';
import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { pause, until } from './support/wait.mjs';
import { judge, lastNumber, numberAt, observe, read } from './support/watch.mjs';

const CLIP_S = 130;
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
const NARROWEST = { width: 320, height: 640 };
const SHOTS = process.env.GRIOT_SCREENSHOTS;

const AXE = new URL('./node_modules/axe-core/axe.min.js', import.meta.url);

let griot;
let browser;
let clip;

before(async () => {
  needAll();
  if (SHOTS) await mkdir(SHOTS, { recursive: true });
  clip = await barClip(CLIP_S);
  griot = await startGriot();
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

/** A page of its own browser session; what it complains about is kept in `complaints`. */
async function visit(path, { viewport = DESKTOP, locale = 'fr-FR', colorScheme = 'dark' } = {}) {
  const context = await browser.newContext({ viewport, locale, colorScheme });
  const page = await context.newPage();
  page.complaints = [];
  page.loads = 0;
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('console', (message) => {
    // A refused password and a live that has no playlist yet are answers, not faults.
    if (message.type() === 'error' && !/status of 40[14]/.test(message.text())) page.complaints.push(message.text());
  });
  page.on('framenavigated', (frame) => { if (frame === page.mainFrame()) page.loads += 1; });
  await page.goto(griot.http + path);
  return page;
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

function badgeSays(page, status) {
  return until(`the badge to say ${status}`, 20, () => page.locator('.player .badge').getAttribute('data-status').then((said) => said === status));
}

async function logIn(page) {
  await page.fill('#email', griot.member.email);
  await page.fill('#password', griot.member.password);
  await page.click('button[type=submit]');
  await page.waitForURL('**/studio');
  await page.waitForSelector('#stream-key');
}

test('a viewer sees a live begin, break off, come back and become a replay, without a reload', async (t) => {
  const live = await griot.startLive('Veillée à Almamya : contes du soir', 'Contes et kora, en direct du quartier.\nVenez nombreux.');
  const [french, english] = await Promise.all([
    visit(`/watch/${live.live_id}`),
    visit(`/watch/${live.live_id}`, { viewport: PHONE, locale: 'en-GB', colorScheme: 'light' }),
  ]);
  const playlists = [];
  french.on('request', (request) => { if (request.url().split('?')[0].endsWith(new URL(live.hls_url).pathname)) playlists.push(request.url()); });

  await badgeSays(french, 'ready');
  assert.equal(await french.locator('.player .badge').textContent(), 'Pas encore commencé');
  assert.equal(await english.locator('.player .badge').textContent(), 'Not begun yet');
  assert.equal(playlists.length, 0, 'no playlist is asked for before the live has begun');
  await Promise.all([shot(french, 'desktop-fr-ready'), shot(english, 'phone-en-ready')]);

  const encoder = publish(clip, live.rtmp_url);
  await Promise.all([french, english].map((page) => badgeSays(page, 'live')));
  await observe(french);
  await until('pictures', 15, () => lastNumber(french).then((n) => n !== null));
  await until('the latency', 10, () => french.locator('.latency').isVisible());
  await pause(12);
  const latency = await french.locator('.latency').textContent();
  assert.match(latency, /^\d+,\d\s?s$/);
  assert.match(await english.locator('.latency').textContent(), /^\d+\.\d\s?s$/);
  t.diagnostic(`latency shown after 12 s: ${latency}`);
  assert.match(await french.locator('.facts').textContent(), /\d+ spectateurs?/);
  await french.mouse.move(300, 300);
  await french.mouse.move(320, 310);
  await pause(0.5);
  await Promise.all([shot(french, 'desktop-fr-live'), shot(english, 'phone-en-live')]);
  const home = await visit('/', { viewport: PHONE });
  await home.waitForSelector('a.card');
  assert.equal(await home.locator('a.card').first().getAttribute('href'), `/watch/${live.live_id}`);
  await shot(home, 'phone-fr-home');
  await home.context().close();

  await encoder.kill();
  await Promise.all([french, english].map((page) => badgeSays(page, 'interrupted')));
  await until('the words over the picture', 20, () => french.locator('.cover-title').isVisible());
  assert.equal(await french.locator('.cover-title').textContent(), 'Le direct reprend bientôt');
  await until('the English words', 10, () => english.locator('.cover-title').isVisible());
  assert.equal(await english.locator('.cover-title').textContent(), 'The live will be back soon');
  await Promise.all([shot(french, 'desktop-fr-interrupted'), shot(english, 'phone-en-interrupted')]);

  const again = publish(clip, live.rtmp_url, 60);
  await badgeSays(french, 'live');
  await until('pictures of the new session', 20, async () => (await lastNumber(french)) >= 60 * FPS);
  assert.equal(await french.locator('.cover-title').isVisible(), false);
  await pause(8);
  const seen = await read(french);
  const verdict = judge(seen.pictures);
  t.diagnostic(`${seen.pictures.length} pictures, ${verdict.missed} not shown, stalls at ${seen.stalls}, buffered ${JSON.stringify(seen.ranges)}, latency ${await french.locator('.latency').textContent()}`);
  assert.deepEqual(verdict.backwards, [], 'a number went back');
  assert.equal(verdict.jumps.length, 1, JSON.stringify(verdict.jumps));
  assert.equal(seen.ranges.length, 1, JSON.stringify(seen.ranges));

  await griot.stopLive(live);
  await again.kill();
  await Promise.all([french, english].map((page) => badgeSays(page, 'ended')));
  await until('the download', 10, () => french.locator('a[download]').isVisible());
  const mp4 = await french.request.get(new URL(await french.locator('a[download]').getAttribute('href'), griot.http).href, { headers: { Range: 'bytes=0-7' } });
  assert.equal(mp4.status(), 206);
  assert.equal((await mp4.body()).toString('latin1', 4), 'ftyp');

  await until('the end of the replay', 20, () => french.locator('.cover-title').isVisible()).catch(async (late) => {
    throw new Error(`${late.message}: ${JSON.stringify({ ...await read(french), pictures: undefined })}`);
  });
  assert.equal(await french.locator('.cover-title').textContent(), 'Le direct est terminé');
  await shot(english, 'phone-en-ended');
  await french.locator('.cover .button').click();
  await until('the replay from its beginning', 10, async () => (await lastNumber(french)) < 10 * FPS);
  const start = await french.evaluate(() => Number(document.querySelector('.seek').min));
  const number = await numberAt(french, start + 5);
  assert.ok(Math.abs(number - 5 * FPS) <= 3, `5 s into the replay stands picture ${number}`);
  await french.mouse.move(300, 310);
  await french.mouse.move(320, 300);
  await pause(0.5);
  await shot(french, 'desktop-fr-replay');

  const still = await read(french);
  assert.equal(still.marked, seen.marked, 'the <video> is still the same one');
  assert.equal(still.sources, seen.sources, 'and so is its source');
  assert.equal(french.loads, 1, 'the page was loaded once');
  assert.equal(playlists.length, 1, 'the player was opened once');
  for (const page of [french, english]) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
  const ended = await visit('/', {});
  await until('the replay in the list', 10, () => ended.locator('a.card .badge[data-status=ended]').first().isVisible());
  await shot(ended, 'desktop-fr-home');
  await ended.context().close();
});

test('who looks back in a live comes back to it by one button', async () => {
  const live = await griot.startLive('Retour');
  const encoder = publish(clip, live.rtmp_url);
  const page = await visit(`/watch/${live.live_id}`, { locale: 'en-US' });
  await badgeSays(page, 'live');
  await observe(page);
  await until('ten seconds of live', 30, async () => (await lastNumber(page)) > 10 * FPS);
  await page.evaluate(() => {
    const seek = document.querySelector('.seek');
    seek.value = Number(seek.min) + 2;
    seek.dispatchEvent(new Event('input'));
    seek.dispatchEvent(new Event('change'));
  });
  await until('the past', 10, async () => (await lastNumber(page)) < 6 * FPS);
  await until('the way back', 5, async () => (await page.locator('.edge').textContent()) === 'Back to live');
  assert.equal(await page.locator('.latency').isVisible(), false, 'no latency is shown to who looks back');
  await pause(2);
  assert.equal(await page.evaluate(() => document.querySelector('video').playbackRate), 1, 'the past plays at its own speed');
  await page.mouse.move(400, 300);
  await page.mouse.move(420, 310);
  await page.locator('.edge').click();
  await until('the live edge', 10, async () => (await lastNumber(page)) > 12 * FPS);
  await until('the button to rest', 5, async () => (await page.locator('.edge').textContent()) === 'Live');
  await griot.stopLive(live);
  await encoder.kill();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('who pauses and seeks to just before the place where he joined gets that picture', async () => {
  const live = await griot.startLive('Juste avant');
  const encoder = publish(clip, live.rtmp_url);
  await until('the live to begin', 15, async () => (await griot.view(live)).status === 'live');
  await pause(9);
  // GOPs of two seconds in segments of four: he joins where the second one begins, or is sent back into the first.
  const page = await visit(`/watch/${live.live_id}`);
  await observe(page);
  await until('a picture', 20, async () => (await lastNumber(page)) !== null);
  await pause(5);
  const { pictures, ranges } = await read(page);
  const offsets = pictures.map(({ n, t }) => n - Math.round(t * FPS)).sort((one, other) => one - other);
  const offset = offsets[Math.floor(offsets.length / 2)]; // the canvas is a picture late now and then
  for (const before of [0.3, 1.2]) {
    const time = ranges[0][0] - before;
    const expected = Math.floor(time * FPS + 0.01) + offset;
    const number = await numberAt(page, time);
    assert.ok(Math.abs(number - expected) <= 1, `${number} and not ${expected} at ${time} s, joined at ${ranges[0][0]}`);
  }
  await griot.stopLive(live);
  await encoder.kill();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('the owner logs in, starts a live, sees it, and stops it', async () => {
  const page = await visit('/studio', { viewport: { width: 1280, height: 960 } });
  await page.waitForURL('**/login?next=/studio');
  await shot(page, 'desktop-fr-login');
  await page.fill('#email', griot.member.email);
  await page.fill('#password', 'something else');
  await page.click('button[type=submit]');
  await until('the refusal', 10, async () => (await page.locator('.wrong').textContent()).length > 0);
  await logIn(page);

  const key = page.locator('#stream-key');
  assert.equal(await key.getAttribute('type'), 'password', 'the key is hidden at first');
  assert.match(await key.inputValue(), /^live_\d+_[0-9a-f]{32}$/);
  assert.equal(await page.locator('#server').inputValue(), griot.rtmp);
  await page.click('[aria-controls=stream-key]');
  assert.equal(await key.getAttribute('type'), 'text');
  await page.click('[aria-controls=stream-key]');
  await shot(page, 'desktop-fr-studio');

  await page.fill('#title', 'Depuis le studio');
  await page.click('main form button[type=submit]');
  await page.waitForSelector('.running');
  const encoder = publish(clip, `${griot.rtmp}/${await key.inputValue()}`);
  await until('the state', 20, () => page.locator('.running .badge[data-status=live]').first().isVisible());
  await until('the preview', 15, () => page.evaluate(() => document.querySelector('video').readyState >= 3));
  await until('the encoder in the list', 10, async () => (await page.locator('.sessions .dot.on').count()) === 1);
  assert.equal(await page.evaluate(() => document.querySelector('video').muted), true, 'the owner does not hear himself');
  // The clip's sound has one channel, which the doctor notes.
  await until('the finding', 15, async () => (await page.locator('.doctor li').count()) === 1);
  assert.match(await page.locator('.doctor li[data-severity=note]').textContent(), /nombre de canaux : 1\..*stéréo/);
  await pause(3);
  await shot(page, 'desktop-fr-studio-live');
  const phone = await visit('/login', { viewport: PHONE, locale: 'en-US', colorScheme: 'light' });
  await shot(phone, 'phone-en-login');
  await logIn(phone);
  await phone.waitForSelector('.running');
  await pause(3);
  await shot(phone, 'phone-en-studio-live');

  await page.click('.running .danger');
  await page.click('dialog .quiet');
  assert.equal(await page.locator('.running').count(), 1, 'the answer was no');
  await page.click('.running .danger');
  await page.click('dialog .danger');
  await until('the live to be over', 15, async () => (await page.locator('.running').count()) === 0);
  assert.match(await page.locator('.notice').textContent(), /Direct arrêté/);
  await until('the other window to notice', 10, async () => (await phone.locator('.running').count()) === 0);
  await encoder.kill();

  const before = await key.inputValue();
  await page.locator('.obs .actions .button').click();
  await page.click('dialog .danger');
  await until('a new key', 10, async () => (await key.inputValue()) !== before);
  for (const one of [page, phone]) {
    assert.deepEqual(one.complaints, []);
    await one.context().close();
  }
});

test('a forced stop frees the page at once, even when the server does not answer', async () => {
  const page = await visit('/login', { locale: 'en-US' });
  await logIn(page);
  await page.click('main form button[type=submit]');
  await page.waitForSelector('.running');
  let asked = 0;
  await page.route('**/stop/', (route) => {
    asked += 1;
    return asked === 1 ? route.fulfill({ status: 500, body: '{"error": "nope"}' }) : route.continue();
  });
  await page.click('.running .danger');
  await page.click('dialog .danger');
  await until('the failure', 10, async () => /nope/.test(await page.locator('.running .wrong').textContent()));
  await page.getByText('Force stop').click();
  await until('a free page', 2, async () => (await page.locator('.running').count()) === 0);
  await until('the live to be over', 10, async () => {
    const { results } = await griot.call('GET', '/api/posts/live/?status=live');
    return results.length === 0;
  });
  await page.context().close();
});

test('no page scrolls sideways on the narrowest phone, offends axe, or breaks the content policy', async () => {
  const axe = await readFile(AXE, 'utf8');
  const live = await griot.startLive('Unmotextrêmementlongquinesecoupepastoutseulmaisquidoittenir');
  for (const locale of ['fr-FR', 'en-US']) {
    for (const path of ['/', `/watch/${live.live_id}`, `/post/${live.live_id}`, '/watch/9007199254740991', '/login', '/studio']) {
      const page = await visit(path, { viewport: NARROWEST, locale, colorScheme: locale === 'fr-FR' ? 'dark' : 'light' });
      if (path === '/studio') await logIn(page);
      await pause(1);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= NARROWEST.width, `${path} in ${locale} is ${width} px wide`);
      assert.equal(await page.locator('h1').count(), 1, `${path} has one heading`);
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      assert.deepEqual(page.complaints, [], path);
      await page.evaluate(`${axe};0`);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)]), [], `${path} in ${locale}`);
      await page.context().close();
    }
  }
  await griot.stopLive(live);
});

test('the language switch stays chosen', async () => {
  const page = await visit('/', { locale: 'de-DE' });
  await page.waitForSelector('nav');
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'fr', 'French unless the browser asks for English');
  await page.click('.language');
  await until('English', 10, () => page.evaluate(() => document.documentElement.lang === 'en'));
  await page.goto(`${griot.http}/login`);
  assert.equal(await page.locator('h1').textContent(), 'Log in');
  await page.context().close();
});

test('an asset that is missing is not the page', async () => {
  const answer = await fetch(`${griot.http}/assets/0000000000000000/main.js`);
  assert.equal(answer.status, 404);
  const html = await (await fetch(`${griot.http}/`, { headers: { Accept: 'text/html' } })).text();
  const script = /\/assets\/[0-9a-f]+\/main\.js/.exec(html)[0];
  assert.match((await fetch(griot.http + script)).headers.get('Cache-Control'), /immutable/);
});
