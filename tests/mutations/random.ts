/**
 * A random order from a seed.
 *
 * @module
 */

/** Returns a number from 0 to 2^32 - 1 that depends on every character and on the seed (FNV-1a, mixed by murmur3). */
function hash(seed: number, text: string): number {
  let mixed = 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1);
  for (let index = 0; index < text.length; index++) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  mixed = Math.imul(mixed ^ mixed >>> 16, 0x85ebca6b);
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35);
  return (mixed ^ mixed >>> 16) >>> 0;
}

/**
 * Returns values in a random order, the same for the same seed. The order of two values depends on their keys only, not
 * on which other values there are. Values with the same key are not put beside each other.
 */
export function inOrderOf<T>(seed: number, values: readonly T[], keyOf: (value: T) => string): T[] {
  const seen = new Map<string, number>();
  const ranked = values.map((value) => {
    const key = keyOf(value);
    const before = seen.get(key) ?? 0;
    seen.set(key, before + 1);
    return { value, rank: hash(seed, `${before} ${key}`) };
  });
  return ranked.sort((a, b) => a.rank - b.rank).map(({ value }) => value);
}
