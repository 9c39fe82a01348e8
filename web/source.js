// One address to one <video>: hls.js with griot's distance control, or the browser's own HLS where Media Source is
// missing. The same source carries a live through interruptions and past its end; it is never opened twice.

import Hls from './vendor/hls.light.min.mjs';
import { CONTROL_INTERVAL_MS, Distance, JUMP_S, rateFor } from './latency.js';
import { serverNow } from './clock.js';

const CONFIG = {
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
  #events = new AbortController();

  constructor(video, url, onchange) {
    this.#video = video;
    this.#url = url;
    this.#onchange = onchange;
    this.#control = setInterval(() => { this.#keepDistance(); this.#noticeEnd(); }, CONTROL_INTERVAL_MS);
    const on = (name, listener) => video.addEventListener(name, listener, { signal: this.#events.signal });
    on('playing', () => this.#flowing());
    on('waiting', () => { if (this.#played && !video.seeking) this.#stalledAt ??= steadyNow(); });
    on('seeking', () => { this.#stalledAt = null; this.over = false; });
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
    const hls = new Hls({ ...CONFIG, startPosition });
    this.#hls = hls;
    hls.on(Hls.Events.LEVEL_UPDATED, (_, { details }) => this.#learnPlaylist(details));
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { part }) => this.#arrived(part));
    hls.on(Hls.Events.MEDIA_ENDED, () => this.#finish());
    hls.on(Hls.Events.ERROR, (_, error) => { if (error.fatal) this.#mend(error); });
    hls.loadSource(this.#url);
    hls.attachMedia(this.#video);
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
    if (stalled > 0 && stalled < OWN_STALL_S && this.following) this.#distance?.stall(steadyNow());
  }

  #keepDistance() {
    const video = this.#video;
    let rate = 1;
    if (this.following && this.#distance && !video.paused && !video.seeking) {
      const end = bufferedEnd(video, video.currentTime);
      if (end !== null) {
        const now = steadyNow();
        const over = end - video.currentTime - this.#distance.wanted(now);
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
        if (hls.levels.length === 0) hls.loadSource(this.#url);
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
