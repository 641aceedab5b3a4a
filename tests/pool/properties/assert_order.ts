/**
 * Who may be served before whom.
 *
 * @module
 */
import type { Lane } from "../../../shared/pool/mod.ts";
import type { Acquire, Grant } from "./records.ts";
import type { Model } from "./model.ts";

const RANKS: Record<Lane, number> = { admin: 0, high: 1, normal: 2, low: 3 };

/** Looks at each grant since the last time, and at everybody it passed. */
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

/** Finds out in which order the pool made its grants, and how much room there was before each. */
function number(model: Model, grants: Grant[]): void {
  const { verdict, news, leased } = model;
  if (model.observed) {
    verdict.hold(
      10,
      news.told.length === grants.length,
      () => `${news.told.length} were leased, ${grants.length} came`,
    );
    for (const grant of grants) {
      const told = news.told.find(({ item, leaseId }) => item === grant.item && leaseId === (grant.order ?? leaseId));
      verdict.hold(3, told !== undefined, () => `no event tells of the lease of ${grant.item}`);
      grant.order = told?.leaseId;
    }
  }
  // Promises tell in the order in which they were settled; `tryLease` knows its number.
  const known = new Set(grants.map(({ order }) => order));
  let next = model.lentBefore + 1;
  for (const grant of grants) {
    while (known.has(next)) next++;
    grant.order ??= next++;
  }
  model.lentBefore = model.stats.totalAcquired;

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

/** Whether somebody waited when something was leased to somebody else. */
function isPassed(grant: Grant, other: Acquire): boolean {
  if (other === grant.acquire || other.entered > grant.seq || other.deadline <= grant.at) return false;
  return other.grant === undefined || (other.grant.order ?? 0) > (grant.order ?? 0);
}

/**
 * Whether the order of two grants is known. To one who asked and was served in
 * the same turn its promise says so later than to those who waited before.
 */
function isOrderKnown(model: Model, grant: Grant, other: Acquire): boolean {
  // Before it stood in the line, its own call may have seen to others: in a hook, or in a sweep that a freeze put off.
  if (other.turn === model.turn && (model.nestedIn === model.turn || model.frozen)) return false;
  if (model.observed || !other.grant) return true;
  return grant.acquire.turn < model.turn && other.turn < model.turn;
}

function compare(model: Model, grant: Grant, other: Acquire): void {
  const { acquire: served, room } = grant;
  const { verdict } = model;
  // What one's own call leads to may ask, and then stands in the line before the one who called.
  const cameFirst = other.entered < served.seq;
  const said = () => `${served.name} (${served.lane}) was served before ${other.name} (${other.lane})`;
  if (other.lane === served.lane) return verdict.hold(6, !cameFirst, said);

  // What a hook does in between may have made the room only after the grant.
  const isSplit = room.separate && (other.lane === "admin") !== (served.lane === "admin");
  if (isSplit && model.nestedIn === model.turn) return;
  const eligible = (other.lane === "admin" ? room.admin : room.others) > 0;
  const isHigher = RANKS[other.lane] < RANKS[served.lane];
  if (cameFirst && isHigher) verdict.hold(7, !eligible, said);
  if (isSplit) return;

  const { agingMs } = model.setup.config;
  const ahead = other.since + RANKS[other.lane] * agingMs - (served.since + RANKS[served.lane] * agingMs);
  verdict.hold(8, ahead > 0 || (ahead === 0 && !isHigher), () => `${said()}, who was ${-ahead} ms ahead`);
}
