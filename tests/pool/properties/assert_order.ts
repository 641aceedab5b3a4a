/**
 * Asserts the order in which acquires are served.
 *
 * @module
 */
import type { Lane } from "../../../shared/pool/mod.ts";
import type { Acquire, Grant } from "./records.ts";
import type { Model } from "./model.ts";

const RANKS: Record<Lane, number> = { admin: 0, high: 1, normal: 2, low: 3 };

/** Compares each grant since the last check with the acquires that were waiting. */
export function assertOrder(model: Model): void {
  const { grants, settled } = model.news;
  number(model, grants);
  const others = [...model.waiting, ...settled.filter(({ state }) => state === "granted")];
  for (const grant of grants) {
    for (const other of others) {
      if (isPassed(grant, other) && isOrderKnown(model, grant, other)) compare(model, grant, other);
    }
  }
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

function compare(model: Model, grant: Grant, other: Acquire): void {
  const { acquire: served, room } = grant;
  const { verdict } = model;
  // A hook that a call runs may acquire, and is then queued before the caller.
  const cameFirst = other.entered < served.seq;
  const said = () => `${served.name} (${served.lane}) was served before ${other.name} (${other.lane})`;
  if (other.lane === served.lane) return verdict.hold(6, !cameFirst, said);

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
