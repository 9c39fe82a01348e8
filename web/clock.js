// The server's clock as seen from here, so that a phone whose clock is wrong still shows the right latency.
//
// `Date` headers have whole seconds: each answer says only that the server was somewhere within one second, between our
// sending and our receiving. Cutting many such ranges with each other narrows the difference down.

/** Narrows the range [low, high] (ms by which the server is ahead) by one answer. */
export function narrow(range, sentAt, receivedAt, dateMs) {
  const low = dateMs - receivedAt;
  const high = dateMs + 1000 - sentAt;
  if (range === null || low > range.high || high < range.low) return { low, high }; // a clock was set: begin anew
  return { low: Math.max(low, range.low), high: Math.min(high, range.high) };
}

/** The likeliest difference in a range: none if that is possible, since most clocks are right. */
export function difference(range) {
  if (range === null || (range.low <= 0 && range.high >= 0)) return 0;
  return (range.low + range.high) / 2;
}

let known = null;

/** Learns from an answer's `Date` header. */
export function learn(sentAt, receivedAt, header) {
  const date = Date.parse(header ?? '');
  if (!Number.isNaN(date)) known = narrow(known, sentAt, receivedAt, date);
}

/** The server's time now, ms since 1970. */
export function serverNow() {
  return Date.now() + difference(known);
}
