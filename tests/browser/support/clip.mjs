// A clip in which every picture says its own number: bars that survive any lossy codec and are read back from a canvas.
//
// The picture is 16 × 9 cells. Row 0: the number's 16 bits, white is 1; row 1: the same inverted, so that anything else
// than a whole clean picture is recognised as such. Row 2: a chequered border that keeps ringing away. Below, a block
// that moves, and a white field in the first 0.1 s of each second, when the sound beeps.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const FPS = 30;
const GOP = 60;
export const COLUMNS = 16;
export const ROWS = 9;
export const BITS = 16;
const CELL = 40; // 640 × 360

/** The cells of picture `number`, one grey byte each. */
function cells(number) {
  const picture = Buffer.alloc(COLUMNS * ROWS, 96);
  for (let bit = 0; bit < BITS; bit += 1) {
    const one = (number >> (BITS - 1 - bit)) & 1;
    picture[bit] = one ? 235 : 16;
    picture[COLUMNS + bit] = one ? 16 : 235;
    picture[2 * COLUMNS + bit] = bit % 2 ? 150 : 80;
  }
  picture[4 * COLUMNS + (number % COLUMNS)] = 200;
  if (number % FPS < FPS / 10) picture.fill(235, 5 * COLUMNS);
  return picture;
}

/** A clip of `seconds` with a key frame each 2 s and AAC; made once and kept between runs. `noise` makes it cost its bit rate. */
export async function barClip(seconds, { bFrames = 2, noise = false } = {}) {
  const folder = join(tmpdir(), 'griot-browser-clips');
  const path = join(folder, `bars-v1-${seconds}s-${bFrames}b${noise ? '-noise' : ''}.mp4`);
  if (await stat(path).catch(() => null)) return path;
  await mkdir(folder, { recursive: true });
  const unfinished = join(await mkdtemp(join(folder, 'making-')), 'clip.mp4');
  const ffmpeg = spawn('ffmpeg', ['-v', 'error',
    '-f', 'rawvideo', '-pixel_format', 'gray', '-video_size', `${COLUMNS}x${ROWS}`, '-framerate', `${FPS}`, '-i', 'pipe:0',
    '-f', 'lavfi', '-i', 'aevalsrc=0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000', '-t', `${seconds}`,
    '-vf', `scale=${COLUMNS * CELL}:${ROWS * CELL}:flags=neighbor${noise ? ',noise=alls=24:allf=t' : ''},format=yuv420p`,
    '-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'main', '-b:v', '600k', '-bf', `${bFrames}`, '-b_strategy', '0',
    '-g', `${GOP}`, '-keyint_min', `${GOP}`, '-sc_threshold', '0', '-threads', '1', '-c:a', 'aac', '-b:a', '96k', ...(noise ? ['-ac', '2'] : []), unfinished],
  { stdio: ['pipe', 'inherit', 'inherit'] });
  ffmpeg.stdin.on('error', () => {}); // ffmpeg's own end tells what went wrong
  for (let number = 0; number < seconds * FPS; number += 1) {
    if (!ffmpeg.stdin.write(cells(number))) await once(ffmpeg.stdin, 'drain');
  }
  ffmpeg.stdin.end();
  const [code] = await once(ffmpeg, 'exit');
  if (code !== 0) throw new Error(`ffmpeg could not make the clip: ${code}`);
  await rename(unfinished, path); // so that a half-made clip is never found
  return path;
}

/** A copy of `clip` whose pictures and whose sound end at times of their own, in seconds. */
export async function cutClip(clip, { pictures, sound }) {
  const path = clip.replace(/\.mp4$/, `-cut-${pictures}-${sound}.mp4`);
  if (await stat(path).catch(() => null)) return path;
  const unfinished = join(await mkdtemp(join(dirname(path), 'making-')), 'clip.mp4');
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-t', `${pictures}`, '-i', clip, '-t', `${sound}`, '-i', clip,
    '-map', '0:v', '-map', '1:a', '-c', 'copy', unfinished], { stdio: 'inherit' });
  const [code] = await once(ffmpeg, 'exit');
  if (code !== 0) throw new Error(`ffmpeg could not cut the clip: ${code}`);
  await rename(unfinished, path);
  return path;
}
