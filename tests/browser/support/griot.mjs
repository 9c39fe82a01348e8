// A griot of its own for each test file: free ports, a data folder that goes with it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { GRIOT } from './need.mjs';

const READY = /griot ready http=(\S+) rtmp=(\S+)/;
const START_MS = 20_000;

/** Starts griot with one member, and says how to reach it. */
export async function startGriot(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'griot-browser-'));
  // griot refuses settings that it does not know, and the tests' own variables look like settings.
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GRIOT_')));
  const env = { ...inherited, GRIOT_DATA_DIR: folder, GRIOT_HTTP_LISTEN: '127.0.0.1:0', GRIOT_RTMP_LISTEN: '127.0.0.1:0',
    GRIOT_HTTP_RATE_LIMITS: 'off', GRIOT_RECORDING_WEBM: 'never', GRIOT_RECORDING_PICTURES: 'off',
    GRIOT_LIVE_LADDER: 'off', ...settings };
  const member = { email: 'mariam@example.org', password: 'veillee-du-samedi' };
  const added = spawn(GRIOT, ['user', 'add', 'mariam', '--email', member.email, '--quartier', '11', '--password-stdin'],
    { env, stdio: ['pipe', 'ignore', 'pipe'] });
  added.stdin.end(`${member.password}\n`);
  const complaints = gather(added.stderr);
  const [code] = await once(added, 'exit');
  if (code !== 0) throw new Error(`griot user add ended with ${code}:\n${complaints.text}`);

  const served = spawn(GRIOT, ['serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = gather(served.stderr);
  const [, http, rtmp] = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`griot serve ${why}:\n${log.text}`));
    let text = '';
    const late = setTimeout(() => fail('said nothing'), START_MS);
    served.once('exit', (status) => fail(`ended with ${status}`));
    served.stdout.on('data', (chunk) => {
      text += chunk;
      const match = READY.exec(text);
      if (match === null) return;
      clearTimeout(late);
      resolve(match);
    });
  });
  return new Griot({ http, rtmp, member, folder, served, log });
}

function gather(stream) {
  const kept = { text: '' };
  stream.on('data', (chunk) => { kept.text = (kept.text + chunk).slice(-100_000); });
  return kept;
}

class Griot {
  #token = null;

  constructor(facts) {
    Object.assign(this, facts);
  }

  async call(method, path, body) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.#token !== null) headers.Authorization = `Bearer ${this.#token}`;
    const response = await fetch(this.http + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  async logIn() {
    const { tokens } = await this.call('POST', '/api/users/login/', this.member);
    this.#token = tokens.access;
  }

  /** Starts a live: the contract's answer. */
  async startLive(title, description = '') {
    if (this.#token === null) await this.logIn();
    return this.call('POST', '/api/posts/live/start/', { title, description });
  }

  /** Sends an image or a video by the contract's form. */
  async sendMedia(bytes) {
    const form = new FormData();
    form.append('file', new Blob([bytes]), 'video');
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(`${this.http}/api/posts/media/upload/`, { method: 'POST', headers, body: form });
    const answer = await response.json();
    if (!response.ok) throw new Error(`an upload: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  view(live) {
    return this.call('GET', `/api/posts/live/${live.live_id}/`);
  }

  stopLive(live) {
    return this.call('PUT', `/api/posts/live/${live.live_id}/stop/`, {});
  }

  /** After a test, failed or not: no live is left to stand in the next one's way. */
  async stopAll() {
    const { results } = await this.call('GET', '/api/posts/live/?status=live');
    if (results.length > 0 && this.#token === null) await this.logIn();
    await Promise.all(results.map((view) => this.stopLive(view)));
  }

  async close() {
    if (this.served.exitCode === null) {
      this.served.kill('SIGTERM');
      await once(this.served, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
