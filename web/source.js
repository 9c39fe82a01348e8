// One address to one <video>: hls.js with griot's distance control, or the browser's own HLS where Media Source is
// missing. The same source carries a live through interruptions and past its end; it is never opened twice.

import Hls from './vendor/hls.light.min.mjs';
import { Chosen, probe } from './levels.js';
import { CONTROL_INTERVAL_MS, Distance, JUMP_S, rateFor } from './latency.js';
import { Quality } from './quality.js';
import { serverNow } from './clock.js';

const CONFIG = {
  abrController: Chosen, // reads `quality` of the same configuration
  lowLatencyMode: true,
  enableWorker: false, // fragmented MP4 needs no remuxing; a worker would be one more hop
  liveSyncOnStallIncrease: 0, // the distance is ours to keep
  backBufferLength: 90,
  maxBufferLength: 30,
};
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const NEAR_LIVE_S = 2;
// Just after a start, one jump that nobody notices is better than ten seconds of fast speech.
const SETTLING_S = 3;
const SETTLING_JUMP_S = 1;
const DRY_END_S = 1;
const WEAK_BUFFER_S = 1; // kept besides on a weak link: what finding out whether it carries more costs
const PROBE_BUFFER_S = 0.8;
const OWN_STALL_S = 3; // longer ones are the source's silence, not jitter

const steadyNow = () => performance.now() / 1000;

/** The end of the buffered range around `time`, or null. */
function bufferedEnd(video, time) {
  const { buffered } = video;
  for (let index = 0; index < buffered.length; index += 1) {
    if (buffered.start(index) <= time + 0.1 && time <= buffered.end(index)) return buffered.end(index);
  }
  return null;
}

/**
 * Plays `url` in `video`. `onchange` is called when what `timeline()` or `trouble` say has changed in kind.
 *
 * `following` tells whether the viewer wants the live edge; only then the control is at work.
 */
export class Source {
  following = true;
  /** 'none', 'network', or 'unsupported'. */
  trouble = 'none';
  /** Played to its end: hls.js notices where a browser, for want of the last milliseconds, waits for ever. */
  over = false;
  #video;
  #url;
  #onchange;
  #hls = null;
  #distance = null;
  #partTarget = null;
  #attempts = 0;
  #retry = null;
  #control;
  #played = false;
  #settlingUntil = 0;
  #stalledAt = null;
  #recovered = -Infinity;
  #address; // what is open: `#url`, or a variant of it
  #alone = false;
  #segments = false;
  #roundTrip = null;
  #probing = false;
  quality;
  #events = new AbortController();

  /** `choice`: `{wish, saver}` as the viewer left it, see `Quality`; `link`: bits a second that it carried lately, or null. */
  constructor(video, url, onchange, { choice = {}, link = null } = {}) {
    this.#video = video;
    this.#url = url;
    this.#address = url;
    this.quality = Object.assign(new Quality(link), choice);
    this.#onchange = onchange;
    this.#control = setInterval(() => { this.#keepDistance(); this.#noticeEnd(); this.#lookAtLink(); }, CONTROL_INTERVAL_MS);
    const on = (name, listener) => video.addEventListener(name, listener, { signal: this.#events.signal });
    on('playing', () => this.#flowing());
    on('waiting', () => { if (this.#played && !video.seeking) this.#stalledAt ??= steadyNow(); });
    on('seeking', () => { this.#stalledAt = null; this.over = false; this.#makeWhole(); });
    on('ended', () => this.#finish());
    if (Hls.isSupported()) {
      this.#open(-1);
    } else if (video.canPlayType('application/vnd.apple.mpegurl')) {
      on('error', () => this.#later(() => this.#openNative()));
      on('loadedmetadata', () => this.#well());
      this.#openNative();
    } else {
      this.trouble = 'unsupported';
    }
  }

  close() {
    clearInterval(this.#control);
    clearTimeout(this.#retry);
    this.#events.abort();
    this.#hls?.destroy();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  /** `{start, end, live}` in media seconds, or null while nothing is known. */
  timeline() {
    const details = this.#hls?.latestLevelDetails;
    if (details && details.fragments.length > 0) {
      const start = details.fragmentStart;
      return { start, end: details.live ? details.edge : start + details.totalduration, live: details.live };
    }
    const { seekable, duration } = this.#video;
    if (this.#hls || seekable.length === 0) return null;
    return { start: seekable.start(0), end: seekable.end(seekable.length - 1), live: duration === Infinity };
  }

  /** Seconds between the moment the shown picture was received by griot and now, or null. */
  latency() {
    const date = this.#hls ? this.#playingDate() : this.#nativeDate();
    return date && this.timeline()?.live ? Math.max(0, (serverNow() - date.getTime()) / 1000) : null;
  }

  /** How much buffer the control keeps, s, or null while it has nothing to do. */
  wanted() {
    return this.#distance?.wanted(steadyNow()) ?? null;
  }

  /** What there is to choose from, the least first: `[{height, bitrate, codecs}]`. */
  levels() {
    return this.#hls?.levels ?? [];
  }

  /** The level that is shown, or -1; of sound alone there is one without a height. */
  get level() {
    return this.#hls?.currentLevel ?? -1;
  }

  /** Whether sound alone plays. */
  get alone() {
    return this.#alone;
  }

  /** `wish`: 'auto', a height, or 'sound'. */
  choose(wish, saver) {
    this.quality.wish = wish === 'sound' ? 'auto' : wish;
    this.quality.saver = saver;
    this.#switchTo({ alone: wish === 'sound', segments: this.#segments });
    if (this.#hls && !this.#alone && this.levels().length > 0) {
      this.#fetchNow();
      // Near to live little is buffered, and hls.js does not fetch parts again that it flushed. A replay has half a minute.
      if (this.timeline()?.live === false) {
        this.#hls.nextLevel = this.quality.level(this.levels(), steadyNow());
        this.#hls.loadLevel = -1; // the next one is `Quality`'s again
      }
    }
    this.#onchange();
  }

  #switchTo({ alone, segments }) {
    if (!this.#hls || (alone === this.#alone && segments === this.#segments)) return;
    this.#alone = alone;
    this.#segments = segments;
    const name = alone ? this.#url.replace(/index\.m3u8$/, 'audio.m3u8') : this.#url;
    this.#address = segments ? `${name}?ll=0` : name;
    const position = this.following ? -1 : this.#video.currentTime;
    const plays = !this.#video.paused;
    this.#hls.destroy(); // which pauses
    this.#distance = null;
    this.#partTarget = null;
    this.#open(position);
    if (plays) this.#video.addEventListener('loadedmetadata', () => { this.#video.play().catch(() => this.#onchange()); }, { once: true, signal: this.#events.signal });
  }

  /**
   * Of the segment in which a live was joined only the later parts are buffered. hls.js takes what lies before them for a
   * hole to be stepped over, and does not fetch it: who seeks there while paused would wait for ever.
   */
  #makeWhole() {
    const { buffered, currentTime: time } = this.#video;
    const segment = this.#hls?.latestLevelDetails?.fragments.find(({ start, end }) => start <= time && time < end);
    const ranges = Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)]);
    if (!segment || ranges.some(([start, end]) => start <= time && time < end)) return;
    const rest = { startOffset: segment.start, endOffset: segment.end, type: null };
    this.#hls.trigger(Hls.Events.BUFFER_FLUSHING, rest);
  }

  /** Goes to media time `time`; near the live edge that means the live edge. */
  seek(time) {
    const line = this.timeline();
    if (line?.live && time > line.end - NEAR_LIVE_S) {
      this.goLive();
      return;
    }
    this.following = false;
    this.#video.currentTime = line ? Math.min(Math.max(time, line.start), line.end) : time;
    this.#onchange();
  }

  goLive() {
    const line = this.timeline();
    if (!line?.live) return;
    this.following = true;
    this.#distance?.restart();
    const details = this.#hls?.latestLevelDetails;
    const back = details ? (this.#partTarget && details.partHoldBack) || details.holdBack || 3 * details.targetduration : 1;
    const ready = bufferedEnd(this.#video, this.#video.currentTime);
    const nearest = ready !== null && this.#distance ? ready - this.#distance.wanted(steadyNow()) : -Infinity;
    const target = Math.max(line.end - back, nearest, line.start);
    this.#settlingUntil = steadyNow() + SETTLING_S;
    if (target > this.#video.currentTime + 0.1) this.#video.currentTime = target;
    this.#onchange();
  }

  /** The viewer paused or went on: who has fallen well behind by that is no longer following. */
  resumed() {
    const line = this.timeline();
    if (line?.live && this.following && line.end - this.#video.currentTime > JUMP_S + (this.wanted() ?? 0)) {
      this.following = false;
      this.#onchange();
    }
  }

  #open(startPosition) {
    const hls = new Hls({ ...CONFIG, startPosition, quality: this.quality });
    this.#hls = hls;
    hls.on(Hls.Events.LEVEL_UPDATED, (_, { details }) => this.#learnPlaylist(details));
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag, part, stats }) => { this.#weigh(frag, stats); this.#arrived(part); });
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.#onchange());
    hls.on(Hls.Events.MANIFEST_PARSED, (_, { stats }) => this.#learnRoundTrip(stats));
    hls.on(Hls.Events.MEDIA_ENDED, () => this.#finish());
    hls.on(Hls.Events.ERROR, (_, error) => { this.#blame(error); if (error.fatal) this.#mend(error); });
    hls.loadSource(this.#address);
    hls.attachMedia(this.#video);
  }

  /** How long the bytes of an answer took tells what the link carries. */
  #weigh(frag, stats) {
    if (frag.type !== 'main' || !stats || this.#alone) return;
    const seconds = (stats.loading.end - stats.loading.first) / 1000;
    if (this.quality.heard(this.levels(), stats.loaded, seconds, steadyNow())) this.#fetchNow();
  }

  /** The level of what is fetched next has changed, for which nothing is to be waited. */
  #fetchNow() {
    const next = this.quality.level(this.levels(), steadyNow());
    if (next >= 0) this.#hls.nextLoadLevel = next;
  }

  /** What hls.js could not load tells that its level is dead; hls.js itself would ask `Chosen`, and so for the same again. */
  #blame({ frag, context, details }) {
    const failed = frag?.level ?? context?.level;
    const lacks = /^(level|frag)(Load|Parsing)(Error|TimeOut)$|^fragGap$/.test(details ?? ''); // a rung's gap, another may have
    if (!lacks || failed === undefined || this.levels().length < 2) return;
    this.quality.failed(failed, steadyNow());
    this.#fetchNow();
  }

  #learnRoundTrip(stats) {
    // The first playlist of a live may have been held for its first part: that is no round trip.
    const took = (stats.loading.first - stats.loading.start) / 1000;
    this.#roundTrip = took > 2 ? null : took;
  }

  /** From time to time: whether more could be had, or less is needed. */
  #lookAtLink() {
    const hls = this.#hls;
    const now = steadyNow();
    if (!hls || this.#video.paused || hls.levels.length === 0) return;
    const { quality } = this;
    if (!this.#alone && quality.saver && quality.tooWeak(hls.levels, now)) this.#switchTo({ alone: true, segments: this.#segments });
    if (!this.#segments && quality.wantsSegments(this.#roundTrip, now) && this.timeline()?.live) this.#switchTo({ alone: this.#alone, segments: true });
    const end = bufferedEnd(this.#video, this.#video.currentTime) ?? 0;
    const dry = this.following && end - this.#video.currentTime < PROBE_BUFFER_S;
    const target = this.#probing || this.#alone || dry ? null : quality.wantsProbe(hls.levels, now);
    if (target === null) return;
    this.#probing = true;
    probe(hls.levels[target].uri).then((found) => {
      if (found === null || this.#hls !== hls) return;
      this.#roundTrip = found.roundTrip;
      if (quality.probed(hls.levels, found.rate, steadyNow())) this.#onchange();
    }).catch(() => quality.probeFailed(steadyNow())).finally(() => { this.#probing = false; });
  }

  /** Less than the best is shown since the link carries no more: being near to live is not worth a stall then. */
  #isWeak() {
    return !this.#alone && this.quality.isLow(this.levels());
  }

  #openNative() {
    this.#video.src = this.#url;
  }

  /** hls.js has `playingDate`, but extends the date of a segment that it has loaded whole over the hole after it. */
  #playingDate() {
    const details = this.#hls.latestLevelDetails;
    const time = this.#video.currentTime;
    const known = details ? [details.fragmentHint, ...details.fragments.slice(-8).reverse()] : [];
    const playing = known.find((segment) => segment && segment.start <= time + 0.01 && segment.programDateTime !== null);
    return playing ? new Date(playing.programDateTime + (time - playing.start) * 1000) : this.#hls.playingDate;
  }

  #nativeDate() {
    const start = this.#video.getStartDate?.();
    return start && !Number.isNaN(start.getTime()) ? new Date(start.getTime() + this.#video.currentTime * 1000) : null;
  }

  #learnPlaylist(details) {
    const partTarget = details.live && details.partList?.length > 0 ? details.partTarget : null;
    if (partTarget && partTarget !== this.#partTarget) this.#distance = new Distance(partTarget);
    if (!partTarget) this.#distance = null;
    this.#partTarget = partTarget;
    if (!details.live) this.following = false;
    this.#onchange();
  }

  #arrived(part) {
    this.#well();
    const end = part && this.following ? bufferedEnd(this.#video, this.#video.currentTime) : null;
    if (end !== null) this.#distance?.arrival(steadyNow(), end);
  }

  #flowing() {
    const stalled = this.#stalledAt === null ? 0 : steadyNow() - this.#stalledAt;
    this.#stalledAt = null;
    if (!this.#played) this.#settlingUntil = steadyNow() + SETTLING_S;
    this.#played = true;
    if (stalled > 0 && stalled < OWN_STALL_S && this.following) {
      this.#distance?.stall(steadyNow());
      this.quality.stalled(this.levels(), steadyNow());
    }
  }

  #keepDistance() {
    const video = this.#video;
    let rate = 1;
    if (this.following && this.#distance && !video.paused && !video.seeking) {
      const end = bufferedEnd(video, video.currentTime);
      if (end !== null) {
        const now = steadyNow();
        const over = end - video.currentTime - this.#distance.wanted(now) - (this.#isWeak() ? WEAK_BUFFER_S : 0);
        if (over > (now < this.#settlingUntil ? SETTLING_JUMP_S : JUMP_S)) {
          this.#settlingUntil = 0;
          video.currentTime += over;
        } else {
          rate = rateFor(over);
        }
      }
    }
    if (video.playbackRate !== rate) video.playbackRate = rate;
  }

  /**
   * hls.js ends the stream only once the middle of the last part is buffered in every track. A live that was stopped
   * between two parts has pictures there and no sound yet: without this it would wait for ever, a blink before its end.
   */
  #noticeEnd() {
    const line = this.timeline();
    const dry = this.#stalledAt !== null && steadyNow() - this.#stalledAt > DRY_END_S;
    if (line && !line.live && dry && line.end - this.#video.currentTime < DRY_END_S) {
      this.#video.pause();
      this.#finish();
    }
  }

  #finish() {
    if (this.timeline()?.live) return;
    this.over = true;
    this.#onchange();
  }

  #well() {
    this.#attempts = 0;
    this.#say('none');
  }

  #say(trouble) {
    if (this.trouble === trouble) return;
    this.trouble = trouble;
    this.#onchange();
  }

  /** hls.js has given up on something: its media errors can be mended in place, everything else is tried again later. */
  #mend(error) {
    const hls = this.#hls;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && steadyNow() - this.#recovered > 5) {
      this.#recovered = steadyNow();
      hls.recoverMediaError();
      return;
    }
    if (error.type === Hls.ErrorTypes.NETWORK_ERROR) {
      this.#later(() => {
        if (hls.levels.length === 0) hls.loadSource(this.#address);
        else hls.startLoad();
      });
      return;
    }
    const position = this.following || this.#video.currentTime === 0 ? -1 : this.#video.currentTime;
    hls.destroy();
    this.#hls = null;
    this.#later(() => this.#open(position));
  }

  #later(again) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(again, BACKOFF_MS[Math.min(this.#attempts, BACKOFF_MS.length - 1)]);
    this.#attempts += 1;
    if (this.#attempts > 1) this.#say('network'); // the first time nobody needs to know
  }
}
