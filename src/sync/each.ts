/** Runs `work` for all, at most `most` at a time; the first throw stops the rest from starting. */
export async function each<T>(items: T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  let thrown: { error: unknown } | undefined;
  const lane = async () => {
    for (let item = left.shift(); item !== undefined && !thrown; item = left.shift()) {
      try {
        await work(item);
      } catch (error) {
        thrown ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane));
  if (thrown) throw thrown.error;
}
