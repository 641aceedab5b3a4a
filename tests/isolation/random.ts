/**
 * Chance that can be had again.
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
 * Numbers that look random and follow from `parts` alone. What two of them
 * give has nothing to do with each other, nor with the order they are asked in.
 */
export class Random {
  #state: number;

  constructor(...parts: readonly (string | number)[]) {
    this.#state = hash(parts.join("\u0000"));
  }

  /** At least 0 and less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, at least 0 and less than `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Whether something happens that has that `probability`. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of `weights`' names, each as often as its weight says. */
  pick<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) if ((left -= weight) < 0) return name;
    throw new RangeError("There is nothing to pick: the weights are all 0");
  }
}

/** The seed of a run that asks for none: everybody sees the same one. */
const SEED = 20_260_105;

/** What `ISOLATION_SEED` says: a number, or `random` for another one each time. */
export function seedOfRun(): number {
  const wished = Deno.env.get("ISOLATION_SEED");
  return wished === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(wished ?? SEED);
}
