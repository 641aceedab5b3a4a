/**
 * Asserts the order in which acquires are served.
 *
 * @module
 */
import type { Lane } from "../../../shared/pool/mod.ts";
import { assertShares } from "./assert_shares.ts";
import type { Acquire, Grant } from "./records.ts";
import type { Model } from "./model.ts";

const RANKS: Record<Lane, number> = { admin: 0, high: 1, normal: 2, low: 3 };

/** Compares each grant since the last check with the acquires that were waiting. */
export function assertOrder(model: Model): void {
  const { grants, settled } = model.news;
  number(model, grants);
  const others = [...model.waiting, ...settled.filter(({ state }) => state === "granted")];
  for (const grant of grants) {
    const passed = others.filter((other) => isPassed(grant, other));
    const known = passed.filter((other) => isOrderKnown(model, grant, other));
    const lead = leadOf(model, grant, passed);
    // The lane is chosen by its oldest waiter: where that is not known, other lanes cannot be compared.
    const isLeadKnown = lead === grant.acquire || known.includes(lead);
    for (const other of known) {
      if (other.lane === grant.acquire.lane) compareWithin(model, grant, other);
      else if (isLeadKnown) compareLanes(model, grant, lead, other);
    }
  }
  assertShares(model, grants, (grant) => others.filter((other) => isPassed(grant, other)));
}

/** Returns the waiter that the lane of a grant was chosen by: the oldest one, where flows share the lane. */
function leadOf(model: Model, { acquire }: Grant, passed: readonly Acquire[]): Acquire {
  if (!model.setup.config.fairShare) return acquire;
  const lane = passed.filter(({ lane }) => lane === acquire.lane);
  return lane.reduce((oldest, one) => one.seq < oldest.seq ? one : oldest, acquire);
}

/** Determines the order of the grants, and the room before each of them. */
function number(model: Model, grants: Grant[]): void {
  const { verdict, news, leased } = model;
  if (model.observed) {
    verdict.hold(
      10,
      news.acquired.length === grants.length,
      () => `${news.acquired.length} were leased, ${grants.length} came`,
    );
    for (const grant of grants) {
      const acquired = news.acquired.find(({ item, leaseId }) =>
        item === grant.item && leaseId === (grant.order ?? leaseId)
      );
      verdict.hold(3, acquired !== undefined, () => `no event for the lease of ${grant.item}`);
      grant.order = acquired?.leaseId;
    }
  }
  // Promises are notified in the order in which they settled; `tryLease` returns its number.
  const known = new Set(grants.map(({ order }) => order));
  let next = model.leasedBefore + 1;
  for (const grant of grants) {
    while (known.has(next)) next++;
    grant.order ??= next++;
  }
  model.leasedBefore = model.stats.totalAcquired;

  grants.sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  const admins = grants.filter(({ acquire }) => acquire.lane === "admin").length;
  let [admin, others] = [leased.admin - admins, leased.others - (grants.length - admins)];
  for (const grant of grants) {
    const room = grant.room = model.roomBeside(admin, others);
    const { lane } = grant.acquire;
    const free = lane === "admin" ? room.admin : room.others;
    verdict.hold(21, free > 0, () => `leased to ${lane}, which has no room (${free})`);
    if (lane === "admin") admin++;
    else others++;
  }
}

/** Returns whether `other` was waiting when `grant` was served. */
function isPassed(grant: Grant, other: Acquire): boolean {
  if (other === grant.acquire || other.entered > grant.seq || other.deadline <= grant.at) return false;
  return other.grant === undefined || (other.grant.order ?? 0) > (grant.order ?? 0);
}

/**
 * Returns whether the order of two grants is known. The promise of an acquire that
 * is served in its own turn is notified later than those of earlier waiters.
 */
function isOrderKnown(model: Model, grant: Grant, other: Acquire): boolean {
  // Before it joined the queue, its own call may have served others: in a hook, or in a sweep that a freeze delayed.
  if (other.turn === model.turn && (model.nestedIn === model.turn || model.frozen)) return false;
  if (model.observed || !other.grant) return true;
  return grant.acquire.turn < model.turn && other.turn < model.turn;
}

/** Compares a grant with a waiter of its lane. */
function compareWithin(model: Model, { acquire: served }: Grant, other: Acquire): void {
  const { verdict, setup: { config } } = model;
  // A hook that a call runs may acquire, and is then queued before the caller.
  const cameFirst = other.entered < served.seq;
  const said = () => `${served.name} was served before ${other.name}, both ${served.lane} ${served.flow}`;
  if (!config.fairShare || other.flow === served.flow) verdict.hold(6, !cameFirst, said);
  // Another flow may be served first, but only from the queue.
  else if (served.how === "tryLease") verdict.hold(7, !cameFirst, said);
}

/** Compares a grant, whose lane was chosen by `served`, with a waiter of another lane. */
function compareLanes(model: Model, { room }: Grant, served: Acquire, other: Acquire): void {
  const { verdict } = model;
  // A hook that a call runs may acquire, and is then queued before the caller.
  const cameFirst = other.entered < served.seq;
  const said = () => `${served.name} (${served.lane}) was served before ${other.name} (${other.lane})`;
  // A hook may have freed the room after the grant.
  const isSplit = room.separate && (other.lane === "admin") !== (served.lane === "admin");
  if (isSplit && model.nestedIn === model.turn) return;
  const eligible = (other.lane === "admin" ? room.admin : room.others) > 0;
  const isHigher = RANKS[other.lane] < RANKS[served.lane];
  if (cameFirst && isHigher) verdict.hold(7, !eligible, said);
  if (isSplit) return;

  const { agingMs } = model.setup.config;
  const ahead = other.since + RANKS[other.lane] * agingMs - (served.since + RANKS[served.lane] * agingMs);
  verdict.hold(8, ahead > 0 || (ahead === 0 && !isHigher), () => `${said()}, which was ${-ahead} ms ahead`);
}
