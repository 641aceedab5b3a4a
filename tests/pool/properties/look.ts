/**
 * The onlooker's look at a pool that rests: all that can happen without time
 * passing has happened.
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
import { lookAtOrder } from "./order.ts";
import type { Acquire, Item } from "./records.ts";
import type { World } from "./world.ts";

/** Lets everything settle that needs no time, looks at all of it, and throws what did not hold. */
export async function look(world: World): Promise<void> {
  const { lines } = world.transcript;
  // One thing may lead to another for longer than a fixed number of turns.
  for (let length = -1; length !== lines.length;) {
    length = lines.length;
    await settle();
  }
  lookAtSettled(world);
  lookAtOrder(world);
  lookAtFailures(world);
  lookAtSize(world);
  lookAtWaiters(world);
  lookAtClose(world);
  for (const list of Object.values(world.news)) list.length = 0;
  world.turn++;
  world.attempts = 0;
  world.verdict.pass();
}

/** Moves time on, and looks at each instant at which a timer runs. */
export async function advance(world: World, ms: number): Promise<void> {
  const { clock } = world;
  const end = clock.now() + ms;
  world.transcript.did(`clock.advance(${ms})`);
  for (let next = clock.nextDue; next <= end; next = clock.nextDue) {
    await clock.advance(Math.max(next - clock.now(), 0));
    world.frozen = false;
    await look(world);
  }
  await clock.advance(end - clock.now());
  world.frozen = false;
  await look(world);
}

/** Moves time on without running a timer. */
export async function freeze(world: World, ms: number): Promise<void> {
  world.transcript.did(`clock.freeze(${ms})`);
  world.clock.freeze(ms);
  world.frozen = true;
  world.wokeAt = world.now;
  await look(world);
}

function lookAtSettled(world: World): void {
  const { verdict, news } = world;
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
        world.now >= entry.deadline,
        () => `${entry.name} timed out ${entry.deadline - world.now} ms early`,
      );
    } else if (error instanceof AcquireAbortedError) {
      const right = entry.abort?.signal.aborted === true && error.cause === entry.abort.signal.reason;
      verdict.hold(9, right, () => `${entry.name} was aborted for ${error.cause}`);
    } else if (error instanceof PoolClosedError) {
      verdict.hold(22, world.shutdown !== undefined, () => `${entry.name} is told of a shutdown`);
    } else if (error instanceof QueueFullError) {
      lookAtRefusal(world, entry);
    } else {
      verdict.hold(12, error instanceof CreateFailedError, () => `${entry.name} was refused for ${error}`);
    }
  }
}

/** Who is refused for want of a place in the line found it full, those not counted who are about to be served. */
function lookAtRefusal(world: World, { name, crowd }: Acquire): void {
  if (!crowd) return;
  const { waiting, pending } = crowd;
  const full = waiting - pending >= world.setup.config.maxWaiters;
  world.verdict.hold(9, full, () => `${name} is refused with ${waiting} in the line, ${pending} being made for them`);
}

function lookAtFailures(world: World): void {
  const { verdict, news, workshop, shutdown } = world;
  const births = world.items.filter((item) => item.slotless === false).length;
  const most = world.items.length + world.failures;
  verdict.hold(20, world.draws >= births, () => `${world.draws} draws for ${births} births`);
  if (!shutdown) verdict.hold(20, world.draws <= most, () => `${world.draws} draws for ${most} births and pauses`);

  const refused = news.settled.filter(({ error }) => error instanceof CreateFailedError);
  const hopeless = world.live.every((item) => item.bornAt === world.now);
  for (const { name, lane, error } of refused) {
    const cause = error instanceof Error ? error.cause : undefined;
    verdict.hold(12, workshop.errors.get(cause) === "permanent", () => `${name} was refused for ${cause}`);
    const isNew = news.permanent.some((failure) => failure.error === cause);
    verdict.hold(12, isNew, () => `${name} was refused late, for ${cause}`);
    const room = lane === "admin" ? world.room.admin : world.room.others;
    const fair = hopeless || room > 0 || news.grants.length > 0;
    verdict.hold(12, fair, () => `${name}, who only waits for what is lent, was refused for ${cause}`);
  }
  if (shutdown) return;
  if (news.failed.length > 0) lookAtCapacity(world);
  for (const { error, seq, pending } of news.permanent) {
    const told = refused.filter((entry) => entry.error instanceof Error && entry.error.cause === error);
    const untold = [...world.waiting].find((entry) =>
      entry.entered < seq && entry.deadline > world.now &&
      (entry.lane === "admin" ? world.room.admin : world.room.others) > 0
    );
    if (untold || told.length > 0) verdict.hold(12, told.length > 0, () => `${untold?.name} waits on after ${error}`);
    const spared = world.held.size > 0 && news.grants.length === 0;
    if (spared) verdict.hold(12, told.length <= 1, () => `${told.length} were refused though some are lent`);
    if (pending > 0) {
      // What is on its way may serve so many; the others are told where nothing else is there.
      const others = world.waiting.size + news.settled.length - told.length;
      const fair = told.length <= 1 || others >= pending;
      verdict.hold(12, fair, () => `${told.length} were refused and ${others} not, with ${pending} on their way`);
    }
  }
}

/** After a failed creation, what is taken is what there is, what is being made and what is being closed. */
function lookAtCapacity(world: World): void {
  if (world.frozen) return;
  const closing = world.underWay("destroy");
  if (closing.some(({ item }) => item?.slotless === "unknown")) return;
  const creating = world.underWay("create").length;
  const taken = world.live.length + creating + closing.filter(({ item }) => item?.slotless === false).length;
  const total = world.stats.totalConnections;
  world.verdict.hold(11, total === taken, () => `${total} slots are taken, ${taken} are in use`);
}

function lookAtSize(world: World): void {
  const { verdict, stats } = world;
  const { totalConnections: total, activeConnections: active, idleConnections: idle } = stats;
  endRevoked(world);
  const held = world.held.size;
  verdict.hold(10, active === held, () => `${active} are lent, ${held} are held`);
  const destroyed = world.items.filter((item) => item.destroyed).length;
  if (world.closed) {
    verdict.hold(2, total === 0, () => `${total} are left after the close`);
    return;
  }
  const standing = total - stats.closingConnections;
  if (standing <= world.limits.minConnections) world.surplusSince = world.now;
  if (world.frozen) {
    // Expiry is judged when the pool is used, whether a timer has run or not.
    if (world.askedIn === world.turn && !world.shutdown && world.nestedIn < world.turn) {
      lookAtIdle(world, world.surplusSince);
    }
    return;
  }
  verdict.hold(14, stats.totalDestroyed === destroyed, () => `${stats.totalDestroyed} of ${destroyed} destroyed`);

  const live = world.live.length;
  const ending = world.underWay("destroy");
  const closing = ending.filter(({ item }) => item?.slotless === false).length;
  const exact = ending.every(({ item }) => item?.slotless !== "unknown");
  if (exact) {
    // What came when its slot had been given up is counted when it has gone.
    const made = world.items.length - (ending.length - closing);
    verdict.hold(14, stats.totalCreated === made, () => `${stats.totalCreated} created, ${made} made`);
    const kept = stats.totalCreated - stats.totalDestroyed - stats.totalAbandoned;
    verdict.hold(14, kept === live + closing, () => `${kept} kept, ${live} live and ${closing} closing`);
    verdict.hold(2, stats.closingConnections === closing, () => `${stats.closingConnections} of ${closing} closing`);
  }

  const hooks = world.underWay("validate").length + world.underWay("reset").length;
  const parts = idle + active + stats.creatingConnections + hooks + stats.closingConnections;
  verdict.hold(2, total === parts, () => `the total is ${total}, its parts are ${parts}`);
  verdict.hold(2, idle === live - held - hooks, () => `${idle} idle of ${live} live, ${held} held, ${hooks} in hooks`);
  const creating = world.underWay("create").length;
  if (!world.shutdown) {
    verdict.hold(
      2,
      stats.creatingConnections === creating,
      () => `${stats.creatingConnections} of ${creating} creating`,
    );
  }
  lookAtFloor(world, live + creating, idle);
}

/** The floor, what is surplus above it, and what is more than may be. */
function lookAtFloor(world: World, size: number, idle: number): void {
  const { verdict, stats, now, setup: { config } } = world;
  const { minConnections, maxConnections } = world.limits;
  if (world.shutdown) return;
  if (idle > 0 && world.resizes > 0) {
    verdict.hold(21, size <= maxConnections, () => `${idle} are idle with ${size} of ${maxConnections} there`);
  }
  if (now >= world.pauses.refillBy && stats.totalConnections < maxConnections) {
    verdict.hold(19, size >= minConnections, () => `${size} are there, the floor is ${minConnections}`);
  }
  // After a freeze it has the time of one more pass.
  lookAtIdle(world, Math.max(world.surplusSince, world.wokeAt - config.idleTimeoutMs));
}

/** What is unused too long, or has ended: nothing that was so `since`. */
function lookAtIdle(world: World, since: number): void {
  const { verdict, now, setup: { config } } = world;
  const patience = config.idleTimeoutMs + Math.min(config.idleTimeoutMs, config.leakThresholdMs);
  for (const item of idleOnes(world)) {
    const unused = now - Math.max(item.usedAt, item.checkedAt, since);
    verdict.hold(19, unused <= patience, () => `${item} is surplus and unused for ${unused} ms`);
    const late = now - Math.max(item.expiresAt, item.usedAt, item.checkedAt, since);
    verdict.hold(18, late <= patience, () => `${item} is kept ${late} ms after its end`);
  }
}

function endRevoked(world: World): void {
  for (const grant of world.held) {
    if (!world.shutdown || (grant.lease?.active ?? !world.closed)) continue;
    world.held.delete(grant);
    world.count(grant.acquire.lane, -1);
    grant.item.holder = undefined;
    world.ended.push(grant);
    world.transcript.saw(`${grant.item} is taken back`);
  }
}

function lookAtWaiters(world: World): void {
  const { verdict, stats, room, limits } = world;
  const waiting = [...world.waiting];
  const counted = stats.waitingForConnection;
  verdict.hold(4, counted === waiting.length, () => `${counted} are said to wait, ${waiting.length} do`);
  for (const { name, abort } of waiting) {
    verdict.hold(9, abort?.signal.aborted !== true, () => `${name} has gone away and waits on`);
  }
  if (world.frozen) return;
  for (const entry of waiting) {
    // A deadline is kept to the millisecond, and rounded up: a hook may ask between two of them.
    const left = Math.ceil(entry.deadline) - world.now;
    verdict.hold(4, left > 0, () => `${entry.name} waits ${-left} ms after its deadline`);
  }
  const admins = waiting.filter(({ lane }) => lane === "admin").length;
  const others = waiting.length - admins;
  const demand = room.separate
    ? Math.max(0, Math.min(admins, room.admin)) + Math.max(0, Math.min(others, room.others))
    : Math.max(0, Math.min(waiting.length, room.others));
  if (demand === 0) return;
  const idle = stats.idleConnections;
  const validating = world.underWay("validate").length;
  // One that nobody listens to may take a resource for stale a little early.
  const stale = !world.heard || idleOnes(world).every((item) => world.isStale(item));
  const unused = idle > 0 && (demand > validating || !stale);
  verdict.hold(5, !unused, () => `${demand} wait, ${idle} are idle, ${validating} are being validated`);
  const { pending } = world;
  if (demand <= pending || world.now < world.pauses.retryBy) return;
  const { totalConnections: total } = stats;
  const said = () => `${demand} wait, ${pending} are on their way, ${total} of ${limits.maxConnections} are taken`;
  verdict.hold(5, total >= limits.maxConnections, said);
}

function idleOnes(world: World): Item[] {
  return world.live.filter((item) => !item.holder && !item.hook);
}

function lookAtClose(world: World): void {
  const { verdict, shutdown, closed, clock } = world;
  if (!shutdown) return;
  if (!closed) {
    if (!world.frozen) verdict.hold(22, world.now < shutdown.deadline, () => "the shutdown is past its deadline");
    return;
  }
  // What arrives after the close is closed as well, and its `destroy` may hang.
  const late = [...world.calls].filter((call) => call.hook === "destroy" && !world.isOver(call)).length;
  const timers = clock.timers - world.timers - late;
  verdict.hold(23, timers === 0, () => `${timers} timers are left after the close`);
}
