// Sends a file by tus 1.0 (tus.io): in pieces, from where the server stands, until it has everything.

import { ApiError, call, session } from './api.js';
import { language } from './messages.js';

const UPLOADS = '/api/uploads/';
const TUS = '1.0.0';
const PIECE_BYTES = 8 << 20;
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const ASK_MS = 800;

const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** One request; `told` hears how many bytes of the body are on their way. fetch cannot tell. */
function request(method, path, headers, body, told, signal) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const broken = () => reject(new ApiError(0, null));
    xhr.open(method, path);
    for (const [name, value] of Object.entries({ 'Tus-Resumable': TUS, 'Accept-Language': language, ...headers })) xhr.setRequestHeader(name, value);
    xhr.setRequestHeader('Authorization', `Bearer ${session()?.access ?? ''}`);
    if (told) xhr.upload.onprogress = (event) => told(event.loaded);
    xhr.onerror = broken;
    xhr.ontimeout = broken;
    xhr.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) { resolve(xhr); return; }
      let answer = null;
      try { answer = JSON.parse(xhr.responseText); } catch { /* an answer of a proxy */ }
      reject(new ApiError(xhr.status, answer));
    };
    signal.addEventListener('abort', () => xhr.abort(), { once: true });
    xhr.send(body ?? null);
  });
}

/** Whether it may go better another time: the network, a server that restarts, another request that still has its turn. */
function passes(error) {
  return error instanceof ApiError && (error.status === 0 || error.status === 409 || error.status === 423 || error.status === 408 || (error.status >= 500 && error.status !== 507));
}

async function renewed() {
  // The API's own caller renews an expired token.
  await call('GET', '/api/users/my-profile/');
}

/** `work`, again after a pause as long as it may go better; one that brings the upload on begins the pauses anew. */
async function insist(work, signal, progress = () => 0) {
  let tries = 0;
  let before = progress();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      if (progress() > before) { before = progress(); tries = 0; }
      if (error.status === 401 && tries === 0) await renewed();
      else if (!passes(error) || tries >= WAITS_MS.length) throw error;
      else await wait(WAITS_MS[tries]);
      tries += 1;
    }
  }
}

/**
 * Sends `file` and waits for its verdict; resolves to the upload's last state, rejects with an error whose message
 * can be shown. `told(bytes, of)` while it is sent, `told(of, of)` when all is there.
 */
export async function send(file, told, signal) {
  const created = await insist(() => request('POST', UPLOADS, {
    'Upload-Length': file.size,
    'Upload-Metadata': `filename ${base64(file.name)},title ${base64(file.name.replace(/\.[^.]*$/, ''))}`,
  }, null, null, signal), signal);
  const path = new URL(created.getResponseHeader('Location'), location.href).pathname;
  let offset = 0;
  let broken = false;
  while (offset < file.size) {
    await insist(async () => {
      if (broken) offset = Number((await request('HEAD', path, {}, null, null, signal)).getResponseHeader('Upload-Offset'));
      broken = true;
      told(offset, file.size);
      if (offset >= file.size) return;
      const piece = file.slice(offset, offset + PIECE_BYTES);
      const from = offset;
      const answer = await request('PATCH', path, { 'Upload-Offset': offset, 'Content-Type': 'application/offset+octet-stream' },
        piece, (bytes) => told(Math.min(from + bytes, file.size), file.size), signal);
      offset = Number(answer.getResponseHeader('Upload-Offset'));
      broken = false;
    }, signal, () => offset);
  }
  told(file.size, file.size);
  for (;;) {
    const upload = await insist(() => call('GET', path), signal);
    if (upload.state === 'ready') return upload;
    if (upload.state === 'failed') throw new ApiError(400, { error: upload.error?.message });
    if (signal.aborted) throw new DOMException('aborted', 'AbortError');
    await wait(ASK_MS);
  }
}

