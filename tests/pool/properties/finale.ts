/**
 * The end of each run: whatever happened, a pool whose factory is well again
 * is as good as new, and closes without a trace.
 *
 * @module
 */
import { ask } from "./asking.ts";
import { finish, misuse, release, resize, setMode, shutdown, trap } from "./deeds.ts";
import { advance, look } from "./look.ts";
import type { World } from "./world.ts";

/** Longer than any pause, timeout or idle time of a run, in ms. */
const LONG_MS = 2_500;

async function ended(world: World): Promise<void> {
  for (let index = 0; world.held.size > 0 || world.waiting.size > 0; index++) {
    if (index > 100) return;
    for (const grant of [...world.held]) {
      release(world, grant, {});
      await look(world);
    }
    await advance(world, 50);
  }
}

async function heal(world: World): Promise<void> {
  setMode(world, { hook: "create", mode: "returns" });
  setMode(world, { hook: "destroy", mode: "returns" });
  setMode(world, { hook: "validate", mode: "resolves" });
  setMode(world, { hook: "reset", mode: "resolves" });
  for (const subscription of world.subscriptions) subscription[Symbol.dispose]();
  world.traps.clear();
  const hanging = () => [...world.calls].some((call) => call.finish);
  while (hanging()) {
    finish(world, 0, "well");
    await look(world);
  }
}

/** Lends all there may be, and no more. */
async function probe(world: World): Promise<void> {
  const { limits, verdict, pauses } = world;
  await advance(world, Math.max(LONG_MS, pauses.retryBy - world.now));
  const admins = limits.reservedConnections;
  const others = limits.maxConnections - admins;
  const wanted = { how: "lease", timeoutMs: 1_000, abortable: false } as const;
  for (let i = 0; i < others; i++) ask(world, { ...wanted, lane: "normal" });
  for (let i = 0; i < admins; i++) ask(world, { ...wanted, lane: "admin" });
  await advance(world, 500);
  const said = () => `${world.held.size} of ${limits.maxConnections} can be lent`;
  const all = world.held.size === limits.maxConnections;
  // The rarest comes first, since the first to fail gives the failure its name.
  if (world.resizes > 0) verdict.hold(21, all, said);
  if (world.failures > 0) verdict.hold(11, all, said);
  if (world.aborts > 0) verdict.hold(10, all, said);
  verdict.hold(5, all, said);
  ask(world, { ...wanted, lane: "normal" });
  await advance(world, 100);
  verdict.hold(1, world.held.size === limits.maxConnections, said);
  await ended(world);
}

/** Ends a run: mends the factory, tries the whole capacity, closes the pool. */
export async function finale(world: World): Promise<void> {
  await heal(world);
  if (!world.shutdown) {
    // With every connection reserved, nobody else is ever served.
    if (world.limits.reservedConnections === world.limits.maxConnections) {
      resize(world, { ...world.limits, reservedConnections: 0 });
      await look(world);
    }
    await ended(world);
    world.verdict.hold(4, world.waiting.size === 0, () => `${world.waiting.size} are never served`);
    await probe(world);
    // The end of one resource may be the end of another.
    if (world.setup.seed % 2 === 0) trap(world, "destroy", "invalidates");
    shutdown(world, 100);
    await look(world);
  }
  for (const grant of world.ended.slice(-3)) misuse(world, grant);
  shutdown(world, 0);
  await advance(world, LONG_MS);
  await heal(world);
  await advance(world, LONG_MS);

  const { verdict, stats } = world;
  const { totalCreated: created, totalDestroyed: destroyed, totalAbandoned: abandoned } = stats;
  verdict.hold(22, world.closed, () => "the shutdown has not settled");
  verdict.hold(
    14,
    created === destroyed + abandoned,
    () => `${created} made, ${destroyed} closed, ${abandoned} given up`,
  );
  for (const item of world.items) {
    verdict.hold(15, item.destroys === 1, () => `${item} was destroyed ${item.destroys} times`);
  }
  const timers = world.clock.timers;
  verdict.hold(23, timers === 0, () => `${timers} timers are left at the end`);
  verdict.pass();
}
