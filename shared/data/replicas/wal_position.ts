/**
 * Positions in the write-ahead log (PostgreSQL, "pg_lsn Type").
 *
 * @module
 */

const POSITION = /^([\dA-F]{1,8})\/([\dA-F]{1,8})$/i;

/** Returns a position such as `16/B374D848` as a number that can be compared; `undefined` if it is not one. */
export function parseWalPosition(text: unknown): bigint | undefined {
  if (typeof text !== "string") return undefined;
  const [, high, low] = POSITION.exec(text) ?? [];
  if (high === undefined || low === undefined) return undefined;
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The position of a write: what a standby must have replayed to show it. */
export interface WriteMark {
  readonly position: bigint;
  /** The timeline of the primary that it was written to. */
  readonly timeline: number;
}

/**
 * The latest write of one caller.
 *
 * Some positions arrive right behind their writes, and others have to be asked for. While the position of a write that has
 * ended is not known, the caller reads on the primary.
 */
export class WrittenPosition {
  #mark: WriteMark | undefined = undefined;
  /** The number of writes whose position did not arrive. */
  #unknown = 0;
  /** The number of them that a later position covers. */
  #covered = 0;
  #isLeased = false;
  /** True while a position is asked for that covers them. */
  isAsking = false;
  #pending: Promise<void> | undefined = undefined;

  /** The latest write whose position is known; `undefined` if the caller has written nothing. */
  get mark(): WriteMark | undefined {
    return this.#mark;
  }

  /** True if the caller has written, and the position is not known. */
  get isUnknown(): boolean {
    return this.#unknown > this.#covered;
  }

  /** The number of writes whose position did not arrive; see {@linkcode reach}. */
  get unknown(): number {
    return this.#unknown;
  }

  /** Settles when the positions that are on their way have arrived; `undefined` if there are none. */
  get pending(): Promise<void> | undefined {
    return this.#pending;
  }

  /**
   * Notes a write that has ended, whatever its outcome: one that failed may have been committed.
   *
   * @param timeline The timeline of the primary that it was sent to.
   */
  note(position: Promise<string | undefined>, timeline: number): void {
    const settled = position.then((text) => {
      const parsed = parseWalPosition(text);
      // A later write may be on another server, and says nothing about this one.
      if (parsed === undefined) this.#unknown++;
      else this.#raise({ position: parsed, timeline });
    });
    const pending = Promise.all([this.#pending, settled]).then(() => {
      if (this.#pending === pending) this.#pending = undefined;
    });
    this.#pending = pending;
  }

  /** Notes a write that has ended, whose position was not asked for. */
  noteUnknown(): void {
    this.#unknown++;
  }

  /** True if the caller has leased a connection: what is written on it is not known. */
  get isLeased(): boolean {
    return this.#isLeased;
  }

  /** Notes that the caller leases a connection. */
  lease(): void {
    this.#isLeased = true;
  }

  /**
   * Notes a position of the primary, which covers all writes that had ended when it was asked for.
   *
   * @param unknown The value of {@linkcode WrittenPosition.unknown} at that time: others may have ended since.
   */
  reach(mark: WriteMark, unknown: number): void {
    this.#raise(mark);
    this.#covered = Math.max(this.#covered, unknown);
  }

  #raise(mark: WriteMark): void {
    const before = this.#mark;
    const isLater = !before || mark.timeline > before.timeline ||
      (mark.timeline === before.timeline && mark.position > before.position);
    if (isLater) this.#mark = mark;
  }
}
