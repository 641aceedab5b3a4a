/**
 * Asserts how the flows of a lane share its leases and the queue.
 *
 * @module
 */
import { QueueFullError } from "../../../shared/pool/mod.ts";
import { type Acquire, type FlowName, type Grant, WEIGHTS } from "./records.ts";
import type { Model } from "./model.ts";
import { Turns } from "./turns.ts";

/** Compares each grant, in order, with the flows that were waiting beside its own. */
export function assertShares(
  model: Model,
  grants: readonly Grant[],
  passedBy: (grant: Grant) => readonly Acquire[],
): void {
  const { verdict, turns, setup: { config } } = model;
  if (!config.fairShare) return;
  // Otherwise leases may have ended between two grants, and acquires may have joined.
  const isKnown = model.observed && model.nestedIn !== model.turn && !model.frozen && !model.shutdown;
  if (!isKnown) return turns.clear();
  for (const [index, { acquire: served }] of grants.entries()) {
    const { lane } = served;
    const later = grants.slice(index);
    const held = (flow: FlowName) => heldBy(model, lane, flow, later);
    const passed = passedBy(grants[index] as Grant).filter((other) =>
      other.lane === lane && other.flow !== served.flow
    );
    for (const flow of new Set(passed.map(({ flow }) => flow))) {
      const [ofServed, ofWaiting] = [held(served.flow) * WEIGHTS[flow], held(flow) * WEIGHTS[served.flow]];
      const said = () => `${served.name} of flow "${served.flow}" was served in ${lane} before flow "${flow}"`;
      verdict.hold(28, ofServed <= ofWaiting, () => `${said()}, which holds less`);
      if (ofServed !== ofWaiting) continue;
      const count = turns.pass(lane, flow, served.flow);
      verdict.hold(28, count <= Turns.most(flow, served.flow), () => `${said()}, for the ${count}. time in a row`);
    }
    turns.restart(lane, served.flow);
  }
  const waiting = [...model.waiting];
  turns.keep((lane, flow) => waiting.some((one) => one.lane === lane && one.flow === flow));
}

/** Returns how many leases of a lane a flow held before the grants of `later`. */
function heldBy(model: Model, lane: string, flow: FlowName, later: readonly Grant[]): number {
  const isOf = ({ acquire }: Grant) => acquire.lane === lane && acquire.flow === flow;
  return [...model.held].filter(isOf).length - later.filter(isOf).length;
}

const LANES = ["admin", "high", "normal", "low"] as const;

/**
 * Asserts that an acquire was rejected by a full queue because no flow of its lane or a lower one had more waiters per
 * weight, and that it was the latest of its flow; if it had been waiting, that a smaller flow came.
 */
export function assertSurplus(model: Model, refused: Acquire): void {
  const { verdict, news: { settled, grants } } = model;
  if (model.nestedIn === model.turn || model.frozen || model.shutdown) return;
  // What else left the queue in this turn may have left it before or after.
  if (settled.length !== 1 || grants.length > 0 || !(refused.error instanceof QueueFullError)) return;
  const waiting = [...model.waiting, refused];
  const countOf = (one: Pick<Acquire, "lane" | "flow">) =>
    waiting.filter(({ lane, flow }) => lane === one.lane && flow === one.flow).length / WEIGHTS[one.flow];
  const newcomer = waiting.reduce((latest, one) => one.seq > latest.seq ? one : latest);
  const below = LANES.slice(LANES.indexOf(newcomer.lane));
  const said = () => `${refused.name} of flow "${refused.flow}" made room for ${newcomer.name} of "${newcomer.flow}"`;
  verdict.hold(29, (below as readonly string[]).includes(refused.lane), () => `${said()}, which is in a lower lane`);
  for (const one of waiting) {
    if (!(below as readonly string[]).includes(one.lane)) continue;
    verdict.hold(29, countOf(one) <= countOf(refused), () => `${said()}, and flow "${one.flow}" has more waiters`);
    const isLatest = one.lane !== refused.lane || one.flow !== refused.flow || one.seq <= refused.seq;
    verdict.hold(29, isLatest, () => `${said()}, and ${one.name} of the same flow is later`);
  }
  if (refused === newcomer) return;
  verdict.hold(29, countOf(newcomer) < countOf(refused), () => `${said()}, which has as many waiters`);
}
