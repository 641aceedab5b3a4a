/**
 * The end of each run: a pool whose factory works again can lease all of its
 * resources, and closes without leaving timers or resources.
 *
 * @module
 */
import { requestLease } from "./acquire_oracle.ts";
import { finish, misuse, release, resize, setMode, shutdown, trap } from "./commands.ts";
import { advance, assertInvariants } from "./assert_invariants.ts";
import { releaseProbe, requestProbe } from "./probes.ts";
import type { Model } from "./model.ts";

/** A time longer than any pause, timeout or idle time of a run, in ms. */
const LONG_MS = 2_500;

async function ended(model: Model): Promise<void> {
  for (let index = 0; model.held.size > 0 || model.waiting.size > 0; index++) {
    if (index > 100) return;
    for (const grant of [...model.held]) {
      release(model, grant, {});
      await assertInvariants(model);
    }
    await advance(model, 50);
  }
}

async function repair(model: Model): Promise<void> {
  setMode(model, { hook: "create", mode: "returns" });
  setMode(model, { hook: "destroy", mode: "returns" });
  setMode(model, { hook: "validate", mode: "resolves" });
  setMode(model, { hook: "reset", mode: "resolves" });
  for (const subscription of model.subscriptions) subscription[Symbol.dispose]();
  model.traps.clear();
  const hanging = () => [...model.calls].some((call) => call.finish);
  for (const probe of model.heldProbes) releaseProbe(model, probe);
  while (hanging()) {
    finish(model, 0, "well");
    await assertInvariants(model);
  }
}

/** Asserts that the pool leases exactly `maxConnections` resources. */
async function probe(model: Model): Promise<void> {
  const { limits, verdict, pauses } = model;
  await advance(model, Math.max(LONG_MS, pauses.retryBy - model.now));
  const admins = limits.reservedConnections;
  const others = limits.maxConnections - admins;
  const wanted = { how: "lease", timeoutMs: 1_000, abortable: false } as const;
  for (let i = 0; i < others; i++) requestLease(model, { ...wanted, lane: "normal" });
  for (let i = 0; i < admins; i++) requestLease(model, { ...wanted, lane: "admin" });
  await advance(model, 500);
  const said = () => `${model.held.size} of ${limits.maxConnections} can be leased`;
  const all = model.held.size === limits.maxConnections;
  // The rarest invariant comes first, since the first that breaks is reported.
  if (model.resizes > 0) verdict.hold(21, all, said);
  if (model.failures > 0) verdict.hold(11, all, said);
  if (model.aborts > 0) verdict.hold(10, all, said);
  verdict.hold(5, all, said);
  requestProbe(model, 1_000, false);
  requestLease(model, { ...wanted, lane: "normal" });
  await advance(model, 100);
  verdict.hold(27, model.heldProbes.size === 1, () => "no probe is served beside a full pool");
  for (const probe of model.heldProbes) releaseProbe(model, probe);
  verdict.hold(1, model.held.size === limits.maxConnections, said);
  await ended(model);
}

/** Ends a run: repairs the factory, leases the whole capacity, closes the pool. */
export async function checkTeardown(model: Model): Promise<void> {
  await repair(model);
  if (!model.shutdown) {
    // If all connections are reserved, the other lanes are never served.
    if (model.limits.reservedConnections === model.limits.maxConnections) {
      resize(model, { ...model.limits, reservedConnections: 0 });
      await assertInvariants(model);
    }
    await ended(model);
    model.verdict.hold(4, model.waiting.size === 0, () => `${model.waiting.size} acquires are never served`);
    await probe(model);
    // The destruction of one resource may invalidate another.
    if (model.setup.seed % 2 === 0) trap(model, "destroy", "invalidates");
    shutdown(model, 100);
    await assertInvariants(model);
  }
  for (const grant of model.ended.slice(-3)) misuse(model, grant);
  shutdown(model, 0);
  await advance(model, LONG_MS);
  await repair(model);
  await advance(model, LONG_MS);

  const { verdict, stats } = model;
  const { totalCreated: created, totalDestroyed: destroyed, totalAbandoned: abandoned } = stats;
  verdict.hold(22, model.closed, () => "the shutdown has not settled");
  verdict.hold(
    14,
    created === destroyed + abandoned,
    () => `${created} created, ${destroyed} destroyed, ${abandoned} abandoned`,
  );
  for (const item of [...model.items, ...model.probeItems]) {
    verdict.hold(15, item.destroys === 1, () => `${item} was destroyed ${item.destroys} times`);
  }
  const timers = model.clock.timers;
  verdict.hold(23, timers === 0, () => `${timers} timers remain at the end`);
  verdict.pass();
}
