/**
 * The number of leases that each waiting flow has been passed over for.
 *
 * @module
 */
import type { Lane } from "../../../shared/pool/mod.ts";
import { type FlowName, WEIGHTS } from "./records.ts";

/** The leases granted while a flow has been waiting for its turn. */
export class Turns {
  readonly #passes = new Map<string, Map<FlowName, number>>();

  /** Counts a lease that `served` got while `waiting` held as much per weight, and returns how many it has got so. */
  pass(lane: Lane, waiting: FlowName, served: FlowName): number {
    const key = `${lane} ${waiting}`;
    const passes = this.#passes.get(key) ?? new Map<FlowName, number>();
    this.#passes.set(key, passes);
    const count = (passes.get(served) ?? 0) + 1;
    passes.set(served, count);
    return count;
  }

  /** Begins to count again for a flow that was served, or that has no waiter left. */
  restart(lane: Lane, flow: FlowName): void {
    this.#passes.delete(`${lane} ${flow}`);
  }

  /** Begins to count again for all flows that do not wait. */
  keep(isWaiting: (lane: string, flow: string) => boolean): void {
    for (const key of this.#passes.keys()) {
      const [lane = "", flow = ""] = key.split(" ");
      if (!isWaiting(lane, flow)) this.#passes.delete(key);
    }
  }

  /** Begins to count again for all flows. */
  clear(): void {
    this.#passes.clear();
  }

  /** Returns the bound of {@linkcode pass}. */
  static most(waiting: FlowName, served: FlowName): number {
    return Math.ceil(WEIGHTS[served] / WEIGHTS[waiting]);
  }
}
