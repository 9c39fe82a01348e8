import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';

const WEB = new URL('../../web/', import.meta.url);
const text = (name) => readFileSync(new URL(name, WEB), 'utf8');
const modules = readdirSync(WEB, { recursive: true }).filter((name) => name.endsWith('.js'));
const sources = modules.filter((name) => name !== 'messages.js').map(text).join('\n');
const catalogue = [...text('messages.js').matchAll(/^ {2}'?([\w.]+)'?: \[(.+)\],$/gm)].map(([, key, pair]) => ({ key, pair }));

test('the catalogue was read', () => {
  assert.ok(catalogue.length > 100, String(catalogue.length));
});

test('every sentence is there in French and in English, with the same names to fill in', () => {
  for (const { key, pair } of catalogue) {
    const both = [...pair.matchAll(/'((?:[^'\\]|\\.)+)'/g)].map(([, sentence]) => sentence);
    assert.equal(both.length, 2, key);
    const [french, english] = both.map((sentence) => [...sentence.matchAll(/\{\w+\}/g)].map(String).sort());
    assert.deepEqual(french, english, key);
  }
});

test('every sentence that the pages name exists', () => {
  const keys = new Set(catalogue.map(({ key }) => key));
  for (const [, key] of sources.matchAll(/\bt\('([\w.]+)'/g)) assert.ok(keys.has(key), key);
  for (const [, key] of sources.matchAll(/\bcounted\('(\w+)'/g)) assert.ok(keys.has(`${key}.one`) && keys.has(`${key}.other`), key);
});

test('no sentence is left that no page says', () => {
  const unused = catalogue.map(({ key }) => key.split('.')[0]).filter((key) => !sources.includes(`'${key}'`));
  // the states of a live are said by their own names
  assert.deepEqual(unused.filter((key) => !['ready', 'interrupted', 'ended'].includes(key)), []);
});
