// Talking to griot: tokens, their renewal, and errors that carry a sentence for people.

import { learn } from './clock.js';
import { language, t } from './messages.js';

const SESSION = 'griot.session';
const TIMEOUT_MS = 12_000;

/** An answer that is not a success; `status` is 0 when there was none. `message` can be shown. */
export class ApiError extends Error {
  constructor(status, body) {
    super(sentence(status, body));
    this.status = status;
    this.body = body;
  }
}

function sentence(status, body) {
  if (status === 0) return t('errorNetwork');
  const given = body?.error ?? body?.detail ?? Object.values(body ?? {}).flat().find((value) => typeof value === 'string');
  return typeof given === 'string' ? given : t('errorServer');
}

/** Who is logged in: `{user, access, refresh}` or null. */
export function session() {
  try {
    return JSON.parse(localStorage.getItem(SESSION));
  } catch {
    return null;
  }
}

function keep(value) {
  if (value === null) localStorage.removeItem(SESSION);
  else localStorage.setItem(SESSION, JSON.stringify(value));
}

async function send(method, path, body, access, keepalive) {
  const headers = { Accept: 'application/json', 'Accept-Language': language };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (access) headers.Authorization = `Bearer ${access}`;
  const sentAt = Date.now();
  let response;
  try {
    response = await fetch(path, { method, headers, keepalive, cache: 'no-store',
      body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError(0, null);
  }
  learn(sentAt, Date.now(), response.headers.get('Date'));
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

// A refresh token serves once: of several requests, and of several tabs where the browser can tell, one renews.
let renewal = null;

function renew(stale) {
  const once = async () => {
    const current = session();
    if (current === null) return null;
    if (current.access !== stale) return current.access; // another tab was quicker
    try {
      const tokens = await send('POST', '/api/token/refresh/', { refresh: current.refresh });
      keep({ ...current, access: tokens.access, refresh: tokens.refresh ?? current.refresh });
      return tokens.access;
    } catch (error) {
      if (error.status === 0 || error.status >= 500) throw error;
      keep(null);
      return null;
    }
  };
  renewal ??= (navigator.locks ? navigator.locks.request('griot.renew', once) : once()).finally(() => { renewal = null; });
  return renewal;
}

/** Calls the API and returns its JSON; throws `ApiError`. An expired token is renewed and the call made once more. */
export async function call(method, path, body, { keepalive = false } = {}) {
  const access = session()?.access;
  try {
    return await send(method, path, body, access, keepalive);
  } catch (error) {
    if (error.status !== 401 || !access) throw error;
    return send(method, path, body, await renew(access), keepalive);
  }
}

export async function logIn(email, password) {
  const { user, tokens } = await send('POST', '/api/users/login/', { email, password });
  keep({ user, access: tokens.access, refresh: tokens.refresh });
}

/** Forgets the session here. */
export function forget() {
  keep(null);
}

export async function logOut() {
  const refresh = session()?.refresh;
  await call('POST', '/api/users/logout/', { refresh }).catch(() => null); // gone here in any case
  forget();
}

/** An address of griot as seen from this page: behind a proxy or under another name, the path is what counts. */
export function local(address) {
  if (!address) return null;
  const url = new URL(address, location.href);
  return url.pathname + url.search;
}
