/**
 * Asserts the invariants of a pool at rest: all work that needs no time to pass
 * has settled.
 *
 * @module
 */
import {
  AcquireAbortedError,
  AcquireTimeoutError,
  CreateFailedError,
  PoolClosedError,
  QueueFullError,
} from "../../../shared/pool/mod.ts";
import { settle } from "../../support/fake_clock.ts";
import { assertOrder } from "./assert_order.ts";
import { assertSurplus } from "./assert_shares.ts";
import { assertProbes } from "./probes.ts";
import type { Acquire, Item } from "./records.ts";
import type { Model } from "./model.ts";

/** Waits until all work that needs no time has settled, and throws the first broken invariant. */
export async function assertInvariants(model: Model): Promise<void> {
  const { lines } = model.transcript;
  // Work may cause more work for longer than a fixed number of turns.
  for (let length = -1; length !== lines.length;) {
    length = lines.length;
    await settle();
  }
  assertSettled(model);
  assertOrder(model);
  assertFailures(model);
  assertSize(model);
  assertWaiters(model);
  assertProbes(model);
  assertClose(model);
  for (const list of Object.values(model.news)) list.length = 0;
  model.turn++;
  model.attempts = 0;
  model.verdict.pass();
}

/** Advances the clock, and asserts the invariants at each instant at which a timer runs. */
export async function advance(model: Model, ms: number): Promise<void> {
  const { clock } = model;
  const end = clock.now() + ms;
  model.transcript.did(`clock.advance(${ms})`);
  for (let next = clock.nextDue; next <= end; next = clock.nextDue) {
    await clock.advance(Math.max(next - clock.now(), 0));
    model.frozen = false;
    await assertInvariants(model);
  }
  await clock.advance(end - clock.now());
  model.frozen = false;
  await assertInvariants(model);
}

/** Advances the clock without running a timer. */
export async function freeze(model: Model, ms: number): Promise<void> {
  model.transcript.did(`clock.freeze(${ms})`);
  model.clock.freeze(ms);
  model.frozen = true;
  model.wokeAt = model.now;
  await assertInvariants(model);
}

function assertSettled(model: Model): void {
  const { verdict, news } = model;
  for (const entry of news.settled) {
    verdict.hold(23, entry.listeners === 0, () => `${entry.name} still listens to its signal`);
    const { grant, error } = entry;
    if (entry.how === "tryLease") continue;
    if (grant) {
      const late = grant.at - entry.deadline;
      verdict.hold(4, late <= 0 && grant.at >= entry.since, () => `${entry.name} has a lease ${late} ms too late`);
    } else if (error instanceof AcquireTimeoutError) {
      verdict.hold(
        4,
        model.now >= entry.deadline,
        () => `${entry.name} timed out ${entry.deadline - model.now} ms early`,
      );
    } else if (error instanceof AcquireAbortedError) {
      const right = entry.abort?.signal.aborted === true && error.cause === entry.abort.signal.reason;
      verdict.hold(9, right, () => `${entry.name} was aborted for ${error.cause}`);
    } else if (error instanceof PoolClosedError) {
      verdict.hold(22, model.shutdown !== undefined, () => `${entry.name} is rejected by a shutdown`);
    } else if (error instanceof QueueFullError) {
      assertRefusal(model, entry);
    } else {
      verdict.hold(12, error instanceof CreateFailedError, () => `${entry.name} was refused for ${error}`);
    }
  }
}

/** Asserts that an acquire rejected by a full queue found it full, apart from the waiters that are about to be served. */
function assertRefusal(model: Model, refused: Acquire): void {
  const { name, queue } = refused;
  if (model.setup.config.fairShare) {
    assertSurplus(model, refused);
    // One that had been waiting is rejected for another one.
    if (refused.turn < model.turn) return;
  }
  if (!queue) return;
  const { waiting, pending } = queue;
  const full = waiting - pending >= model.setup.config.maxWaiters;
  model.verdict.hold(
    9,
    full,
    () => `${name} is refused with ${waiting} in the queue, ${pending} being created for them`,
  );
}

function assertFailures(model: Model): void {
  const { verdict, news, factory, shutdown } = model;
  const births = model.items.filter((item) => item.slotless === false).length;
  const most = model.items.length + model.failures;
  verdict.hold(20, model.draws >= births, () => `${model.draws} draws for ${births} births`);
  if (!shutdown) verdict.hold(20, model.draws <= most, () => `${model.draws} draws for ${most} births and pauses`);

  const refused = news.settled.filter(({ error }) => error instanceof CreateFailedError);
  const hopeless = model.live.every((item) => item.bornAt === model.now);
  for (const { name, lane, error } of refused) {
    const cause = error instanceof Error ? error.cause : undefined;
    verdict.hold(12, factory.errors.get(cause) === "permanent", () => `${name} was refused for ${cause}`);
    const isNew = news.permanent.some((failure) => failure.error === cause);
    verdict.hold(12, isNew, () => `${name} was refused late, for ${cause}`);
    const room = lane === "admin" ? model.room.admin : model.room.others;
    const fair = hopeless || room > 0 || news.grants.length > 0;
    verdict.hold(12, fair, () => `${name}, who only waits for what is leased, was refused for ${cause}`);
  }
  if (shutdown) return;
  if (news.failed.length > 0) assertCapacity(model);
  for (const { error, seq, pending } of news.permanent) {
    const rejected = refused.filter((entry) => entry.error instanceof Error && entry.error.cause === error);
    const overlooked = [...model.waiting].find((entry) =>
      entry.entered < seq && entry.deadline > model.now &&
      (entry.lane === "admin" ? model.room.admin : model.room.others) > 0
    );
    if (overlooked || rejected.length > 0) {
      verdict.hold(12, rejected.length > 0, () => `${overlooked?.name} waits on after ${error}`);
    }
    const spared = model.held.size > 0 && news.grants.length === 0;
    if (spared) verdict.hold(12, rejected.length <= 1, () => `${rejected.length} were refused though some are leased`);
    if (pending > 0) {
      // Pending resources may serve that many waiters; the others are rejected if there is no other resource.
      const others = model.waiting.size + news.settled.length - rejected.length;
      const fair = rejected.length <= 1 || others >= pending;
      verdict.hold(12, fair, () => `${rejected.length} were refused and ${others} not, with ${pending} on their way`);
    }
  }
}

/** Asserts after a failed creation that the taken slots are those of live, creating and closing resources. */
function assertCapacity(model: Model): void {
  if (model.frozen) return;
  const closing = model.underWay("destroy");
  if (closing.some(({ item }) => item?.slotless === "unknown")) return;
  const creating = model.underWay("create").length;
  const taken = model.live.length + creating + closing.filter(({ item }) => item?.slotless === false).length;
  const total = model.stats.totalConnections;
  model.verdict.hold(11, total === taken, () => `${total} slots are taken, ${taken} are in use`);
}

function assertSize(model: Model): void {
  const { verdict, stats } = model;
  const { totalConnections: total, activeConnections: active, idleConnections: idle } = stats;
  endRevoked(model);
  const held = model.held.size;
  verdict.hold(10, active === held, () => `${active} are leased, ${held} are held`);
  const destroyed = model.items.filter((item) => item.destroyed).length;
  if (model.closed) {
    verdict.hold(2, total === 0, () => `${total} are left after the close`);
    return;
  }
  const standing = total - stats.closingConnections;
  if (standing <= model.limits.minConnections) model.surplusSince = model.now;
  if (model.frozen) {
    // The pool expires resources when it is used, whether a timer has run or not.
    if (model.askedIn === model.turn && !model.shutdown && model.nestedIn < model.turn) {
      assertIdle(model, model.surplusSince);
    }
    return;
  }
  verdict.hold(14, stats.totalDestroyed === destroyed, () => `${stats.totalDestroyed} of ${destroyed} destroyed`);

  const live = model.live.length;
  const ending = model.underWay("destroy");
  const closing = ending.filter(({ item }) => item?.slotless === false).length;
  const exact = ending.every(({ item }) => item?.slotless !== "unknown");
  if (exact) {
    // A resource that arrived after its slot was freed is counted once it is destroyed.
    const created = model.items.length - (ending.length - closing);
    verdict.hold(
      14,
      stats.totalCreated === created,
      () => `totalCreated is ${stats.totalCreated}, ${created} were created`,
    );
    const kept = stats.totalCreated - stats.totalDestroyed - stats.totalAbandoned;
    verdict.hold(14, kept === live + closing, () => `${kept} kept, ${live} live and ${closing} closing`);
    verdict.hold(2, stats.closingConnections === closing, () => `${stats.closingConnections} of ${closing} closing`);
  }

  const hooks = model.underWay("validate").length + model.underWay("reset").length;
  const parts = idle + active + stats.creatingConnections + hooks + stats.closingConnections;
  verdict.hold(2, total === parts, () => `the total is ${total}, its parts are ${parts}`);
  verdict.hold(2, idle === live - held - hooks, () => `${idle} idle of ${live} live, ${held} held, ${hooks} in hooks`);
  const creating = model.underWay("create").length;
  if (!model.shutdown) {
    verdict.hold(
      2,
      stats.creatingConnections === creating,
      () => `${stats.creatingConnections} of ${creating} creating`,
    );
  }
  assertFloor(model, live + creating, idle);
}

/** Asserts the minimum and the maximum of resources, and the expiry of surplus ones. */
function assertFloor(model: Model, size: number, idle: number): void {
  const { verdict, stats, now, setup: { config } } = model;
  const { minConnections, maxConnections } = model.limits;
  if (model.shutdown) return;
  if (idle > 0 && model.resizes > 0) {
    verdict.hold(21, size <= maxConnections, () => `${idle} are idle with ${size} of ${maxConnections} there`);
  }
  if (now >= model.pauses.refillBy && stats.totalConnections < maxConnections) {
    verdict.hold(19, size >= minConnections, () => `${size} are there, the floor is ${minConnections}`);
  }
  // After a freeze there is time for one more sweep.
  assertIdle(model, Math.max(model.surplusSince, model.wokeAt - config.idleTimeoutMs));
}

/** Asserts that no resource has been unused for too long, or expired, `since`. */
function assertIdle(model: Model, since: number): void {
  const { verdict, now, setup: { config } } = model;
  const patience = config.idleTimeoutMs + Math.min(config.idleTimeoutMs, config.leakThresholdMs);
  for (const item of idleOnes(model)) {
    const unused = now - Math.max(item.usedAt, item.checkedAt, since);
    verdict.hold(19, unused <= patience, () => `${item} is surplus and unused for ${unused} ms`);
    const late = now - Math.max(item.expiresAt, item.usedAt, item.checkedAt, since);
    verdict.hold(18, late <= patience, () => `${item} is kept ${late} ms after its end`);
  }
}

function endRevoked(model: Model): void {
  for (const grant of model.held) {
    if (!model.shutdown || (grant.lease?.active ?? !model.closed)) continue;
    model.held.delete(grant);
    model.count(grant.acquire.lane, -1);
    grant.item.holder = undefined;
    model.ended.push(grant);
    model.transcript.saw(`${grant.item} is revoked`);
  }
}

function assertWaiters(model: Model): void {
  const { verdict, stats, room, limits } = model;
  const waiting = [...model.waiting];
  const counted = stats.waitingForConnection;
  verdict.hold(4, counted === waiting.length, () => `${counted} are said to wait, ${waiting.length} do`);
  if (stats.waitingFlows !== undefined) {
    const flows = new Set(waiting.map(({ lane, flow }) => `${lane} ${flow}`)).size;
    verdict.hold(28, stats.waitingFlows === flows, () => `${stats.waitingFlows} flows are said to wait, ${flows} do`);
  }
  for (const { name, abort } of waiting) {
    verdict.hold(9, abort?.signal.aborted !== true, () => `${name} was aborted and still waits`);
  }
  if (model.frozen) return;
  for (const entry of waiting) {
    // Deadlines are rounded up to whole ms: a hook may acquire between two of them.
    const left = Math.ceil(entry.deadline) - model.now;
    verdict.hold(4, left > 0, () => `${entry.name} waits ${-left} ms after its deadline`);
  }
  const admins = waiting.filter(({ lane }) => lane === "admin").length;
  const others = waiting.length - admins;
  const demand = room.separate
    ? Math.max(0, Math.min(admins, room.admin)) + Math.max(0, Math.min(others, room.others))
    : Math.max(0, Math.min(waiting.length, room.others));
  if (demand === 0) return;
  const idle = stats.idleConnections;
  const validating = model.underWay("validate").length;
  // A pool without listeners may treat a resource as stale a little early.
  const stale = !model.observed || idleOnes(model).every((item) => model.isStale(item));
  const unused = idle > 0 && (demand > validating || !stale);
  verdict.hold(5, !unused, () => `${demand} wait, ${idle} are idle, ${validating} are being validated`);
  const { pending } = model;
  if (demand <= pending || model.now < model.pauses.retryBy) return;
  const { totalConnections: total } = stats;
  const said = () => `${demand} wait, ${pending} are on their way, ${total} of ${limits.maxConnections} are taken`;
  verdict.hold(5, total >= limits.maxConnections, said);
}

function idleOnes(model: Model): Item[] {
  return model.live.filter((item) => !item.holder && !item.hook);
}

function assertClose(model: Model): void {
  const { verdict, shutdown, closed, clock } = model;
  if (!shutdown) return;
  if (!closed) {
    if (!model.frozen) verdict.hold(22, model.now < shutdown.deadline, () => "the shutdown is past its deadline");
    return;
  }
  // A resource that arrives after the close is destroyed too, and its `destroy` may hang.
  const late = [...model.calls].filter((call) => call.hook === "destroy" && !model.isOver(call)).length;
  const timers = clock.timers - model.timers - late;
  verdict.hold(23, timers === 0, () => `${timers} timers are left after the close`);
}
