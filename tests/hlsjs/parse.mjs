// Reads every NNNNN.m3u8 of a folder with hls.js' own parser and compares with NNNNN.json, what griot's strict
// reader found. Usage: node parse.mjs FOLDER. Fails on the first playlist that hls.js refuses, warns about or
// reads differently.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// hls.js is made for browsers and workers: both have `self`.
globalThis.self = globalThis;
const { M3U8Parser } = await import('hls.js');

const folder = process.argv[2];
const base = 'http://localhost/live/abc/source/index.m3u8';
const relative = (url) => url && new URL(url, base).pathname.replace('/live/abc/source/', '');

// Its parser warns where a line means nothing to it.
const warnings = [];
for (const name of ['warn', 'error', 'log']) console[name] = (...what) => warnings.push(what.join(' '));

function found(text) {
  assert.ok(M3U8Parser.isMediaPlaylist(text), 'taken for a multivariant playlist');
  const details = M3U8Parser.parseLevelPlaylist(text, base, 0, 'main', 0, null);
  assert.equal(details.playlistParsingError, null);
  const segments = details.fragments.filter((fragment) => fragment !== null);
  return {
    startSN: details.startSN,
    skippedSegments: details.skippedSegments,
    segments: segments.length,
    uris: segments.map((segment) => segment.relurl),
    gaps: segments.map((segment) => Boolean(segment.gap)),
    maps: segments.map((segment) => segment.initSegment?.relurl ?? null),
    discontinuities: segments.length === 0 ? 0 : segments.at(-1).cc - details.startCC,
    seconds: segments.reduce((sum, segment) => sum + segment.duration, 0),
    targetduration: details.targetduration,
    partTarget: details.partTarget,
    parts: (details.partList ?? []).map((part) => [part.relurl, part.independent]),
    hint: details.preloadHint?.URI ?? null,
    reports: details.renditionReports?.length ?? 0,
    live: details.live,
    type: details.type,
    canBlockReload: details.canBlockReload,
    canSkipUntil: details.canSkipUntil,
  };
}

const names = readdirSync(folder).filter((name) => name.endsWith('.m3u8')).sort();
for (const name of names) {
  const text = readFileSync(join(folder, name), 'utf8');
  const expected = JSON.parse(readFileSync(join(folder, name.replace('.m3u8', '.json')), 'utf8'));
  try {
    const read = found(text);
    assert.ok(Math.abs(read.seconds - expected.seconds) < 1e-6, `${read.seconds} s, not ${expected.seconds} s`);
    assert.deepEqual({ ...read, seconds: 0 }, { ...expected, seconds: 0 });
    assert.deepEqual(warnings, []);
  } catch (fault) {
    process.stderr.write(`${name}: ${fault.message}\n${text}`);
    process.exit(1);
  }
}
process.stdout.write(`${names.length} playlists accepted\n`);
