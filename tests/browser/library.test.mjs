// The page on which members send images and videos. With GRIOT_SCREENSHOTS=folder it also leaves pictures to look at.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';

import { startGriot } from './support/griot.mjs';
import { launch, needAll } from './support/need.mjs';
import { until } from './support/wait.mjs';

const SHOTS = process.env.GRIOT_SCREENSHOTS;
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
const NARROWEST = { width: 320, height: 640 };
const AXE = new URL('./node_modules/axe-core/axe.min.js', import.meta.url);

let griot;
let browser;
let folder;

before(async () => {
  needAll();
  if (SHOTS) await mkdir(SHOTS, { recursive: true });
  folder = await mkdtemp(join(tmpdir(), 'griot-library-'));
  griot = await startGriot();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await griot?.close();
  await rm(folder, { recursive: true, force: true });
});

async function library(viewport, locale, colorScheme = 'dark') {
  const context = await browser.newContext({ viewport, locale, colorScheme });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('console', (message) => {
    // A refused file is an answer, not a fault.
    if (message.type() === 'error' && !/status of 400/.test(message.text())) page.complaints.push(message.text());
  });
  await page.goto(`${griot.http}/library`);
  await page.waitForURL('**/login?next=/library');
  await page.fill('#email', griot.member.email);
  await page.fill('#password', griot.member.password);
  await page.click('button[type=submit]');
  await page.waitForURL('**/library');
  await page.waitForSelector('.drop');
  return page;
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

/** Width, whatever goes out to the side, and what axe finds. */
async function sound(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} pixels wider than the screen`);
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
}

test('files are sent, shown, refused in words and deleted', async () => {
  const photo = join(folder, 'une photo avec un nom qui ne finit vraiment pas de s’allonger.jpg');
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=s=1200x800', '-frames:v', '1', photo]);
  const text = join(folder, 'faux.png');
  await writeFile(text, 'ceci est un texte qui se dit une image');

  const page = await library(DESKTOP, 'fr-FR');
  await page.locator('text=Vous n’avez encore rien envoyé').waitFor();
  await page.setInputFiles('#files', [photo, text]);
  await page.waitForSelector('.sending[data-state="done"]');
  await page.waitForSelector('.sending[data-state="failed"]');
  const refused = await page.locator('.sending[data-state="failed"] p').textContent();
  assert.match(refused, /ni une image .* ni une vidéo/);
  const card = page.locator('.card.medium');
  await card.waitFor();
  assert.equal(await card.count(), 1);
  await until('the picture', 10, () => card.locator('img').evaluate((image) => image.complete && image.naturalWidth === 300));
  await shot(page, 'library-desktop-fr');
  await sound(page);

  const phone = await library(PHONE, 'en-GB', 'light');
  await phone.locator('.card.medium').waitFor();
  await phone.setInputFiles('#files', text);
  const said = phone.locator('.sending[data-state="failed"] p');
  await said.waitFor();
  assert.match(await said.textContent(), /neither an image .* nor a video/);
  await shot(phone, 'library-phone-en');
  await sound(phone);
  await phone.setViewportSize(NARROWEST);
  await sound(phone);

  await page.locator('.card.medium button').click();
  await page.locator('dialog button', { hasText: 'Supprimer' }).click();
  await page.locator('text=Vous n’avez encore rien envoyé').waitFor();
  assert.deepEqual([...page.complaints, ...phone.complaints], []);
});

test('a file goes on where a broken connection left it, and its bar never runs ahead', async () => {
  const large = join(folder, 'grand.png');
  // Noise is not packed, so that it takes several pieces.
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'nullsrc=s=2200x1600,geq=random(1)*255:128:128', '-frames:v', '1', '-compression_level', '0', large]);
  const page = await library(DESKTOP, 'fr-FR');
  let patches = 0;
  await page.route('**/api/uploads/*/', async (route) => {
    if (route.request().method() === 'PATCH') {
      patches += 1;
      if (patches === 2) { await route.abort('connectionreset'); return; }
    }
    await route.continue();
  });
  await page.evaluate(() => {
    globalThis.values = [];
    new MutationObserver(() => {
      const bar = document.querySelector('.sending progress');
      if (bar) globalThis.values.push([bar.value, bar.max]);
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await page.setInputFiles('#files', large);
  await page.waitForSelector('.sending[data-state="done"]', { timeout: 60_000 });
  assert.ok(patches >= 3, `${patches} pieces`);
  const values = await page.evaluate(() => globalThis.values);
  assert.ok(values.length > 0 && values.every(([value, max]) => value <= max), JSON.stringify(values));
  assert.deepEqual(values.at(-1)[0], values.at(-1)[1]);
});
