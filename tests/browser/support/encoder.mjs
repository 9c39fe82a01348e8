// The encoder's side: ffmpeg copying a clip to RTMP at the speed of time.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Publishes `clip` from `from` seconds (a key frame) on. */
export function publish(clip, url, from = 0) {
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-re', '-ss', `${from}`, '-i', clip, '-c', 'copy', '-f', 'flv', url], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  ffmpeg.stderr.on('data', (chunk) => { said = (said + chunk).slice(-4000); });
  const ended = once(ffmpeg, 'exit');
  return {
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
    get running() {
      return ffmpeg.exitCode === null && ffmpeg.signalCode === null;
    },
    get said() {
      return said;
    },
  };
}
