/**
 * Holders and listeners that do everything they can with what the pool gives
 * them, casts included.
 *
 * @module
 */
import type { Model } from "./model.ts";
import type { Grant } from "./records.ts";

/** Methods that would change a lease or a pool if they could be reached. */
const NAMES = [
  "revoke",
  "warn",
  "markLeaked",
  "checkIn",
  "checkOut",
  "notifyLost",
  "assign",
  "unassign",
  "park",
  "close",
];

/** State that the pool must not read from a lease, since a holder can define it. */
const STATE = {
  lane: "admin",
  acquiredAt: -1e12,
  id: -7,
  kind: "idle",
  leaked: true,
  slot: {},
  owner: {},
  revoked: true,
};

function attempt(action: () => unknown): void {
  try {
    action();
  } catch {
    // It is meant to fail.
  }
}

/** Overwrites what can be overwritten, and calls what can be called, except for what ends a lease. */
function tamper(value: object): void {
  for (const name of NAMES) attempt(() => Reflect.get(value, name)?.call(value, value, "reason", true));
  for (let target: object | null = value; target && target !== Object.prototype;) {
    const owner = target;
    for (const key of Reflect.ownKeys(owner)) {
      if (owner !== value) attempt(() => Reflect.set(owner, key, () => undefined));
      if (owner !== value) attempt(() => Object.defineProperty(owner, key, { get: () => undefined, value: undefined }));
      attempt(() => Reflect.deleteProperty(owner, key));
    }
    target = Reflect.getPrototypeOf(owner);
  }
}

/** Tampers with a lease, whether it is active or not. What its holder may do is left as it is. */
export function tamperWithLease(model: Model, { acquire, lease }: Grant): void {
  if (!lease) return;
  model.transcript.did(`tamper with the lease of ${acquire.name}`);
  const before = model.stats;
  const { active } = lease;
  tamper(lease);
  for (const [key, value] of Object.entries(STATE)) {
    attempt(() => Object.defineProperty(lease, key, { value, configurable: true }));
  }
  attempt(() => lease.signal.dispatchEvent(new Event("abort")));
  attempt(() => lease.onLost("no function" as never));
  attempt(() => Reflect.construct(lease.constructor, [{ owner: model.pool, resource: {} }, "admin", 0, 1, "stack"]));
  const options = {
    get destroy(): boolean {
      throw new Error("a getter throws");
    },
  };
  attempt(() => lease.release(options));
  model.verdict.hold(16, lease.active === active, () => `tampering ended the lease of ${acquire.name}`);
  for (const name of ["totalConnections", "activeConnections", "idleConnections", "totalReleased"] as const) {
    const now = model.stats[name];
    model.verdict.hold(16, now === before[name], () => `tampering changed ${name} from ${before[name]} to ${now}`);
  }
}

/** Tampers with what the pool returns about itself. */
export function tamperWithPool({ pool, transcript, verdict, limits }: Model): void {
  transcript.did("tamper with the limits, the config and the statistics");
  for (const value of [pool.limits, pool.config, pool.getStats()]) {
    for (const key of Object.keys(value)) attempt(() => Reflect.set(value, key, 10_000));
  }
  const { maxConnections, minConnections, reservedConnections } = pool.limits;
  const kept = maxConnections === limits.maxConnections && minConnections === limits.minConnections &&
    reservedConnections === limits.reservedConnections;
  verdict.hold(21, kept, () => `the limits are ${JSON.stringify(pool.limits)} after tampering`);
}

/** Returns the path of something in an event through which its pool could be changed. */
export function liveValueIn(event: object, path = "event"): string | undefined {
  for (const [key, value] of Object.entries(event)) {
    if (key === "error" || (typeof value !== "object" && typeof value !== "function") || value === null) continue;
    if (typeof value === "function" || !Object.isFrozen(value)) return `${path}.${key}`;
    const inner = liveValueIn(value, `${path}.${key}`);
    if (inner) return inner;
  }
  return undefined;
}
