/** Waits for a condition, with a deadline: what tests do instead of sleeping. */

/**
 * The first answer of `probe` that is neither false nor undefined. An error of `probe` ends the wait; a condition that does not
 * come in time (milliseconds) is an Error that names it.
 */
export async function until<T>(condition: string, deadline: number, probe: () => Promise<T | false | undefined>): Promise<T> {
  const end = Date.now() + deadline;
  for (let pause = 10; ; pause = Math.min(pause * 2, 250)) {
    const answer = await probe();
    if (answer !== false && answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited ${deadline} ms and it did not happen: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
