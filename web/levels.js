// Between hls.js and `Quality`: its choice in place of hls.js' own, and the measurement that comes before a rise.

import Hls from './vendor/hls.light.min.mjs';

const steadyNow = () => performance.now() / 1000;
const PATIENCE_S = 1; // bytes of one part that still come after so long: the link does not carry this level
const PROBE_WITHIN_MS = 1200; // slower, and the answer is no; the link is needed for what plays

/** hls.js' controller of levels with the choice taken out: it asks `config.quality`. What fails is still its business. */
export class Chosen extends Hls.DefaultConfig.abrController {
  #switching = false;

  constructor(hls) {
    super(hls);
    this._abandonRulesCheck = () => this.#dropWhatIsTooSlow();
  }

  get nextAutoLevel() {
    const quality = this.hls?.config.quality;
    return quality ? quality.level(this.hls.levels, steadyNow()) : -1;
  }

  set nextAutoLevel(level) {
    // hls.js sets it when something of the level in use could not be loaded: `Source` has told `Quality`.
  }

  /** Half a part over a link that has become too slow is not worth waiting for. */
  #dropWhatIsTooSlow() {
    const { hls, fragCurrent: frag, partCurrent: part } = this;
    const quality = hls?.config.quality;
    if (!quality || !frag || this.#switching) return;
    const { loading, loaded, total } = (part ?? frag).stats;
    const seconds = (performance.now() - loading.first) / 1000;
    const patience = Math.max(PATIENCE_S, (part ?? frag).duration);
    if (!loading.first || loading.end || seconds < patience || (total && loaded >= total * 0.8)) return;
    this.#switching = true;
    if (quality.heard(hls.levels, Math.max(1000, loaded), seconds, steadyNow())) {
      frag.abortRequests();
      this.fragCurrent = null;
      this.partCurrent = null;
      hls.nextLoadLevel = quality.level(hls.levels, steadyNow());
      hls.trigger(Hls.Events.FRAG_LOAD_EMERGENCY_ABORTED, { frag, part, stats: (part ?? frag).stats });
    }
    this.#switching = false;
  }
}

/** Fetches a little of a level that is not played: `{rate, roundTrip}`, or null when there is nothing to fetch. */
export async function probe(playlist) {
  const signal = AbortSignal.timeout(PROBE_WITHIN_MS);
  const asked = steadyNow();
  const answer = await fetch(playlist, { signal, cache: 'no-store' });
  const roundTrip = steadyNow() - asked;
  if (!answer.ok) return null;
  const text = await answer.text();
  const whole = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).at(-1);
  const parts = [...text.matchAll(/#EXT-X-PART:.*URI="([^"]+)".*INDEPENDENT=YES/g), ...text.matchAll(/#EXT-X-PART:.*INDEPENDENT=YES.*URI="([^"]+)"/g)];
  const name = parts.at(-1)?.[1] ?? whole;
  if (!name) return null;
  const began = steadyNow();
  const media = await fetch(new URL(name, playlist), { signal, cache: 'no-store' });
  if (!media.ok) return null;
  const { byteLength } = await media.arrayBuffer();
  const seconds = Math.max(0.001, steadyNow() - began - Math.min(roundTrip, 0.5) / 2);
  return { rate: (byteLength * 8) / seconds, roundTrip };
}
