/** Asks `question` until its answer is truthy and returns that; fails after `seconds`, naming `what` and the last answer. */
export async function until(what, seconds, question) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < deadline) {
    last = await question();
    if (last) return last;
    await pause(0.1);
  }
  throw new Error(`waited ${seconds} s for: ${what}; last answer: ${JSON.stringify(last)}`);
}

/** Lets `seconds` of the live go by. */
export function pause(seconds) {
  return new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
}
