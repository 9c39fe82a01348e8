// The encoder's side: ffmpeg copying a clip to RTMP at the speed of time.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set();

/** After a test, failed or not. */
export async function killAll() {
  await Promise.all([...running].map((encoder) => encoder.kill()));
}

/** Publishes `clip` from `from` seconds (a key frame) on; `options` stand before the output, `input` before the clip. */
export function publish(clip, url, from = 0, options = [], input = []) {
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-re', '-ss', `${from}`, ...input, '-i', clip, '-c', 'copy', ...options, '-f', 'flv', url], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  ffmpeg.stderr.on('data', (chunk) => { said = (said + chunk).slice(-4000); });
  const ended = once(ffmpeg, 'exit');
  const encoder = {
    /** Gone without a word. */
    async kill() {
      ffmpeg.kill('SIGKILL');
      await ended;
    },
    /** Ends as a person would end it: FCUnpublish, deleteStream. */
    async goodbye() {
      ffmpeg.stdin.write('q');
      await ended;
    },
    /** Resolves when it has come to its clip's end, or was ended. */
    ended,
    get said() {
      return said;
    },
  };
  running.add(encoder);
  ended.then(() => running.delete(encoder));
  return encoder;
}
