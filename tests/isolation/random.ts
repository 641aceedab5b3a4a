/**
 * Reproducible random numbers.
 *
 * @module
 */

/** 32 bits that depend on every character of `text` (FNV-1a, then mixed as MurmurHash3 ends). */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * Generates pseudorandom numbers that depend on `parts` only. Generators with
 * different parts are independent of each other, and of the order of their use.
 */
export class Random {
  #state: number;

  constructor(...parts: readonly (string | number)[]) {
    this.#state = hash(parts.join("\u0000"));
  }

  /** Returns a number from 0 to less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from 0 to less than `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Returns `true` with that `probability`. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Picks one of the names with a probability in proportion to its weight. */
  pick<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) if ((left -= weight) < 0) return name;
    throw new RangeError("Cannot pick a name: all weights are 0");
  }
}

/** The default seed, so that runs are the same everywhere. */
const SEED = 20_260_105;

/** Returns the seed in `ISOLATION_SEED`: a number, or `random` for another one each time. */
export function seedOfRun(): number {
  const value = Deno.env.get("ISOLATION_SEED");
  return value === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(value ?? SEED);
}
