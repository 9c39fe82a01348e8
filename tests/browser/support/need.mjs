// What these tests stand on. Missing is a failure that says what to do, never a skip.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../../target', import.meta.url));

/** The binary under test. */
export const GRIOT = process.env.GRIOT_BIN ?? join(TARGET, 'debug', 'griot');

/** Throws, with advice, unless everything is there. */
export function needAll() {
  const missing = [];
  try {
    accessSync(CHROMIUM, constants.X_OK);
  } catch {
    missing.push(`no Chromium at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM`);
  }
  for (const tool of ['ffmpeg', 'ffprobe']) {
    try {
      execFileSync(tool, ['-version'], { stdio: 'ignore' });
    } catch {
      missing.push(`no ${tool}: apt-get install ffmpeg`);
    }
  }
  for (const module of ['axe-core', 'hls.js', 'playwright-core']) {
    if (!existsSync(new URL(`../node_modules/${module}/package.json`, import.meta.url))) {
      missing.push(`no ${module}: npm ci --prefix tests/browser`);
    }
  }
  try {
    accessSync(GRIOT, constants.X_OK);
  } catch {
    missing.push(`no griot at ${GRIOT}: cargo build, or set GRIOT_BIN`);
  }
  if (missing.length > 0) throw new Error(`the browser tests cannot run:\n  ${missing.join('\n  ')}`);
}

/** A headless Chromium that may play sound without being asked to. */
export async function launch() {
  const { chromium } = await import('playwright-core');
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
  });
}
