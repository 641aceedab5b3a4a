/**
 * The position of the primary in the log, which is asked for once for all scopes that need it at the same time.
 *
 * @module
 */
import type { Topology } from "./topology.ts";
import { parseWalPosition, type WriteMark } from "./wal_position.ts";

const POSITION = "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS position";

/** Asks the primary for its position. */
export class PrimaryPosition {
  readonly #topology: Topology;
  #running: Promise<WriteMark | undefined> | undefined = undefined;
  /** The request that is sent when the one under way has ended. */
  #next: Promise<WriteMark | undefined> | undefined = undefined;

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  /**
   * Returns a position that covers all writes that have ended; `undefined` if the primary did not say. A request that is
   * under way may have been sent before they ended, so that another one follows it. Never rejects.
   */
  ask(): Promise<WriteMark | undefined> {
    if (!this.#running) return this.#start();
    return this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    });
  }

  #start(): Promise<WriteMark | undefined> {
    const running = this.#ask().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    return this.#running = running;
  }

  async #ask(): Promise<WriteMark | undefined> {
    const { primary } = this.#topology;
    if (!primary) return undefined;
    try {
      const options = { admit: primary.admitPrimary, outsideTransaction: true };
      const { rows } = await primary.guard(primary.manager.query(POSITION, [], options));
      const position = parseWalPosition(rows[0]?.["position"]);
      return position === undefined ? undefined : { position, timeline: primary.report?.timeline ?? 0 };
    } catch {
      return undefined; // The next read asks again.
    }
  }
}
