// Which quality to fetch: pure, so that it can be tested without a browser. hls.js' own choice takes the waiting for a part
// that is not made yet for slowness of the link, and wants more buffer than a player near to live has.
//
// Rates are bits a second, times seconds of any steady clock. Levels are sorted as hls.js has them, the least first.

const HOLDS = 1.1; // a link this much faster than a level holds it
const RISES = 1.6; // the next level up wants this much of the link
const FAST_S = 2; // half-life of what the link is believed to do
const SLOW_SHARE = 0.4; // of what is believed, each answer that was slower makes up so much at least
const INSTANT_BPS = 20e6; // what arrives at once tells no more than that
const STALL_REST_S = 8; // no rise so soon after a stall
const REST_MOST_S = 120;
const PROBE_EVERY_S = 5;
const FAILED_WITHIN_S = 15; // a rise that has to be undone so soon has failed
const DEAD_S = 12; // a level that failed is left alone for so long
const WEAK_STALLS = 3;
const WEAK_WITHIN_S = 45;
const LONG_ROUND_TRIP_S = 0.4; // beyond, each part would come a part late

/** The peak rate of a level: BANDWIDTH is a fifth above it. */
export function rateOf(level) {
  return level.bitrate / 1.2;
}

/** What a link carries, from how long the bytes of answers took after their first. */
export class Link {
  #rate = null;
  #at = 0;

  constructor(remembered = null) {
    this.#rate = remembered;
  }

  /** `bytes` came within `seconds`, ending at `at`. Small answers come in one piece and tell nothing of fast links. */
  heard(bytes, seconds, at) {
    if (bytes < 1000) return;
    const rate = Math.min(INSTANT_BPS, (bytes * 8) / Math.max(seconds, 0.001));
    const weight = 1 - 0.5 ** (Math.max(0.2, Math.min(1, at - this.#at)) / FAST_S);
    // The mean of logarithms: from 20 Mbit/s to 300 kbit/s is as far as back. Slow ones are believed sooner.
    const share = this.#rate === null ? 1 : rate < this.#rate ? Math.max(SLOW_SHARE, weight) : weight;
    this.#rate = this.#rate === null ? rate : this.#rate ** (1 - share) * rate ** share;
    this.#at = at;
  }

  /** A measurement made for its own sake. */
  measured(rate, at) {
    this.#rate = Math.min(INSTANT_BPS, rate);
    this.#at = at;
  }

  rate() {
    return this.#rate;
  }
}

/** Chooses levels. `wish`: 'auto', or the height of a picture; `saver`: the least that can be had. */
export class Quality {
  wish = 'auto';
  saver = false;
  link;
  #level = -1;
  #dead = new Map(); // level → until when
  #stalls = [];
  #restUntil = 0;
  #rest = STALL_REST_S;
  #rose = null; // {at, from}
  #probed = -Infinity;

  constructor(remembered = null) {
    this.link = new Link(remembered);
  }

  /** The level to fetch now; the first call decides where to begin. */
  level(levels, now) {
    if (levels.length === 0) return -1;
    if (this.#level < 0 || this.#level >= levels.length) this.#level = this.#begin(levels, now);
    if (this.#isDead(this.#level, now)) this.#level = this.#nearest(levels, this.#level, now);
    const wished = this.#wished(levels, now);
    if (wished !== null) this.#level = wished;
    return this.#level;
  }

  #isDead(level, now) {
    return (this.#dead.get(level) ?? 0) > now;
  }

  #alive(levels, now) {
    const all = levels.map((_, index) => index);
    const alive = all.filter((index) => !this.#isDead(index, now));
    return alive.length > 0 ? alive : all;
  }

  #wished(levels, now) {
    const alive = this.#alive(levels, now);
    if (this.saver) return alive[0];
    if (this.wish === 'auto') return null;
    const fitting = alive.filter((index) => levels[index].height === this.wish);
    return fitting.at(-1) ?? alive.filter((index) => levels[index].height < this.wish).at(-1) ?? alive[0];
  }

  #begin(levels, now) {
    const rate = this.link.rate();
    const alive = this.#alive(levels, now);
    if (rate === null) return alive.at(-1); // most links carry it, and who has a weak one falls with the first parts
    return alive.filter((index) => rateOf(levels[index]) * HOLDS <= rate).at(-1) ?? alive[0];
  }

  #nearest(levels, level, now) {
    const alive = this.#alive(levels, now);
    return alive.filter((index) => index < level).at(-1) ?? alive[0];
  }

  /** Something of this level could not be had: others are tried for a while. */
  failed(level, now) {
    this.#dead.set(level, now + DEAD_S);
  }

  /** Playback ran dry although the source went on. */
  stalled(levels, now) {
    this.#stalls = this.#stalls.filter((at) => now - at < WEAK_WITHIN_S);
    this.#stalls.push(now);
    this.#fall(levels, now, this.#level - 1);
  }

  #fall(levels, now, highest) {
    if (this.#rose !== null && now - this.#rose.at < FAILED_WITHIN_S) this.#rest = Math.min(REST_MOST_S, this.#rest * 2);
    this.#rose = null;
    this.#restUntil = now + this.#rest;
    if (this.wish !== 'auto' || this.saver) return;
    const alive = this.#alive(levels, now);
    this.#level = alive.filter((index) => index <= highest).at(-1) ?? alive[0];
  }

  /** Bytes of the level in use came. Answers whether the level fell: it is then to be fetched at once. */
  heard(levels, bytes, seconds, now) {
    this.link.heard(bytes, seconds, now);
    const current = levels[this.#level];
    if (!current || this.wish !== 'auto' || this.saver) return false;
    if (this.#rose !== null && now - this.#rose.at > FAILED_WITHIN_S) {
      this.#rose = null;
      this.#rest = STALL_REST_S;
    }
    const rate = this.link.rate();
    if (rate >= rateOf(current) * 0.95 || this.#level === 0) return false;
    const before = this.#level;
    const holding = levels.map((level, index) => (rateOf(level) * HOLDS <= rate ? index : -1)).filter((index) => index >= 0);
    this.#fall(levels, now, Math.min(before - 1, holding.at(-1) ?? 0));
    return this.#level !== before;
  }

  /** The level that might be risen to, if it is time to find out whether the link carries it; else null. */
  wantsProbe(levels, now) {
    if (this.wish !== 'auto' || this.saver || now < this.#restUntil || now - this.#probed < PROBE_EVERY_S) return null;
    const above = this.#alive(levels, now).filter((index) => index > this.#level);
    if (above.length === 0) return null;
    // What plays tells enough of a link that it nearly fills; measuring would take what it needs.
    const rate = this.link.rate();
    if (rate !== null && rate < rateOf(levels[above[0]]) * HOLDS) return null;
    this.#probed = now;
    return above[0];
  }

  /** The link was found to do `rate`: rises as high as that carries. Answers whether it rose. */
  probed(levels, rate, now) {
    this.link.measured(rate, now);
    const above = this.#alive(levels, now).filter((index) => index > this.#level && rateOf(levels[index]) * RISES <= rate);
    if (above.length === 0) {
      this.#restUntil = now + this.#rest;
      return false;
    }
    this.#rose = { at: now, from: this.#level };
    this.#level = above.at(-1);
    return true;
  }

  /** The measurement took too long, or broke. */
  probeFailed(now) {
    this.#restUntil = now + this.#rest;
    this.#rest = Math.min(REST_MOST_S, this.#rest * 2);
  }

  /** Whether it has fallen below the best that there is. */
  isLow(levels) {
    return this.wish === 'auto' && !this.saver && this.#level >= 0 && this.#level < levels.length - 1;
  }

  /** Whether not even the least picture plays: then sound alone is better. */
  tooWeak(levels, now) {
    if (levels.length === 0 || this.#level !== this.#alive(levels, now)[0]) return false;
    const stalls = this.#stalls.filter((at) => now - at < WEAK_WITHIN_S).length;
    const rate = this.link.rate();
    return stalls >= WEAK_STALLS || (rate !== null && rate < rateOf(levels[0]) * 0.7);
  }

  /** Whether parts do not pay: each costs a round trip, and a link that stalls again and again wants more buffer. */
  wantsSegments(roundTrip, now) {
    const stalls = this.#stalls.filter((at) => now - at < WEAK_WITHIN_S).length;
    return (roundTrip !== null && roundTrip > LONG_ROUND_TRIP_S) || stalls > WEAK_STALLS;
  }
}
