// How near to live the player keeps itself: pure, so that it can be tested without a browser.
//
// Times are in seconds. "Arrival" is the moment at which new media was appended to the buffer, "end" the media time up
// to which it then reached.

export const CONTROL_INTERVAL_MS = 100;

// Above this much too much buffer, jumping is kinder than minutes of fast speech.
export const JUMP_S = 4;

const MARGIN_S = 0.2; // kept below the lowest point of the saw tooth that arriving parts make
const JITTER_IN_MARGIN_S = 0.1; // as much lateness the margin bears by itself
const WINDOW_S = 20; // over which the most punctual arrival is the measure of lateness
const INTERRUPTION_S = 1.5; // later than this, the source paused; that says nothing about the network
const JITTER_HALF_LIFE_S = 30;
const STALL_STEP_S = 0.2;
const STALL_MOST_S = 1.5;
const STALL_HALF_LIFE_S = 60;
const MOST_S = 4;

/** The playback rate for a buffer that is `over` seconds larger (negative: smaller) than wanted. */
export function rateFor(over) {
  if (over > 0.5) return 1.25;
  if (over > 0.1) return 1.05;
  if (over < -0.05) return 0.95;
  return 1;
}

/** The least buffer that plays without stalls on a network without jitter: 0.3 s at parts of 200 ms, 0.25 s at 100 ms. */
export function leastBuffer(partTarget) {
  return MARGIN_S + partTarget / 2;
}

/** How much buffer to keep, learnt from arrivals and stalls: grows at once, shrinks slowly. */
export class Distance {
  #partTarget;
  #arrivals = []; // {at, offset}, offsets rising: the head is the smallest of the window
  #jitter = 0;
  #stalls = 0;
  #at = 0;

  constructor(partTarget) {
    this.#partTarget = partTarget;
  }

  /** Media up to `end` became playable at `at` (any steady clock). */
  arrival(at, end) {
    const offset = at - end;
    this.#age(at);
    while (this.#arrivals.length > 0 && this.#arrivals[0].at < at - WINDOW_S) this.#arrivals.shift();
    const lateness = this.#arrivals.length > 0 ? offset - this.#arrivals[0].offset : 0;
    if (lateness > INTERRUPTION_S) {
      this.#arrivals = [];
    } else if (lateness > this.#jitter) {
      // Halfway: one stray arrival counts half, a network that is late again and again counts whole.
      this.#jitter += (lateness - this.#jitter) / 2;
    }
    while (this.#arrivals.length > 0 && this.#arrivals.at(-1).offset >= offset) this.#arrivals.pop();
    this.#arrivals.push({ at, offset });
  }

  /** Playback ran dry although the source went on. */
  stall(at) {
    this.#age(at);
    this.#stalls = Math.min(STALL_MOST_S, this.#stalls + STALL_STEP_S);
  }

  /** The timeline was left (a seek, a new source): what arrives next is not comparable, what was learnt stays. */
  restart() {
    this.#arrivals = [];
  }

  /** How much buffer to keep at `at`. */
  wanted(at) {
    this.#age(at);
    const forJitter = this.#partTarget / 2 + JITTER_IN_MARGIN_S + this.#jitter;
    return Math.min(MOST_S, Math.max(leastBuffer(this.#partTarget), forJitter) + this.#stalls);
  }

  #age(at) {
    const elapsed = Math.max(0, at - this.#at);
    if (this.#at > 0) {
      this.#jitter *= 0.5 ** (elapsed / JITTER_HALF_LIFE_S);
      this.#stalls *= 0.5 ** (elapsed / STALL_HALF_LIFE_S);
    }
    this.#at = at;
  }
}
