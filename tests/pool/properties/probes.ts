/**
 * Probes of a {@linkcode Model}: health checks, which use a slot that counts
 * nowhere.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Lease } from "../../../shared/pool/mod.ts";
import type { Model } from "./model.ts";
import type { Item } from "./records.ts";

/** A probe that was requested. */
export interface Probe {
  readonly name: string;
  readonly deadline: number;
  readonly abort: AbortController | undefined;
  lease: Lease<Item> | undefined;
}

/** Requests a probe. */
export function requestProbe(model: Model, timeoutMs: number, abortable: boolean): void {
  const abort = abortable ? new AbortController() : undefined;
  const probe: Probe = { name: `p${model.probeCount++}`, deadline: model.now + timeoutMs, abort, lease: undefined };
  model.transcript.did(`${probe.name} = pool.lease({ lane: "probe", timeoutMs: ${timeoutMs} })`);
  model.waitingProbes.add(probe);
  const before = model.stats;
  const nested = model.nestedIn;
  const signal = abort?.signal;
  model.pool.lease({ lane: "probe", timeoutMs, signal }).then(
    (lease) => granted(model, probe, lease),
    (error) => {
      model.transcript.saw(`${probe.name} is rejected: ${String(error).slice(0, 60)}`);
      model.waitingProbes.delete(probe);
    },
  );
  // A hook in between may have used the pool.
  if (nested === model.nestedIn && model.nested === 0) assertUncounted(model, before, "a request for a probe");
}

function assertUncounted(model: Model, before: unknown, what: string): void {
  let difference: unknown;
  try {
    assertEquals<unknown>(model.stats, before);
  } catch (error) {
    difference = error;
  }
  model.verdict.hold(27, difference === undefined, () => `${what} changed the statistics: ${difference}`);
}

function granted(model: Model, probe: Probe, lease: Lease<Item>): void {
  const { verdict } = model;
  // A shutdown may have revoked it since.
  if (!lease.active) {
    verdict.hold(27, model.shutdown !== undefined, () => `${probe.name} got a lease that had ended`);
    model.waitingProbes.delete(probe);
    return;
  }
  const item = lease.resource;
  model.transcript.saw(`${probe.name} has ${item}`);
  const holders = [...model.heldProbes].filter((other) => other.lease?.active).map(({ name }) => name);
  verdict.hold(27, holders.length === 0, () => `${probe.name} is served while ${holders} hold the probe slot`);
  verdict.hold(27, item.forProbe && item.live, () => `${probe.name} has ${item}, which was not created for it`);
  verdict.hold(27, !item.invalid || item.diedIn === model.turn, () => `${probe.name} has ${item}, which had died`);
  verdict.hold(4, lease.acquiredAt <= probe.deadline, () => `${probe.name} is served after its deadline`);
  probe.lease = lease;
  model.waitingProbes.delete(probe);
  model.heldProbes.add(probe);
}

/** Releases a probe. */
export function releaseProbe(model: Model, probe: Probe): void {
  model.transcript.did(`release ${probe.name}`);
  model.heldProbes.delete(probe);
  if (probe.lease?.active) probe.lease.release();
}

/** Aborts a probe that waits. */
export function abortProbe(model: Model, { name, abort }: Probe): void {
  model.transcript.did(`abort ${name}`);
  abort?.abort(new Error(`${name} went away`));
}

/** Returns whether the probe slot is held: by a creation, a lease, or a resource that is closing. */
export function isProbeSlotHeld(model: Model): boolean {
  for (const call of model.calls) {
    if (!call.forProbe || call.item?.slotless) continue;
    if (call.hook === "create" ? !model.isForgotten(call) : !model.isOver(call)) return true;
  }
  return [...model.heldProbes].some(({ lease }) => lease?.active);
}

/** Asserts what must hold of the probe slot at rest. */
export function assertProbes(model: Model): void {
  const { verdict, waitingProbes, heldProbes } = model;
  for (const probe of heldProbes) {
    if (probe.lease?.active) {
      verdict.hold(22, !model.closed, () => `${probe.name} is active after the shutdown`);
      continue;
    }
    heldProbes.delete(probe);
    verdict.hold(27, model.shutdown !== undefined, () => `${probe.name} was revoked without a shutdown`);
  }
  verdict.hold(27, heldProbes.size <= 1, () => `${heldProbes.size} probes run at once`);
  if (waitingProbes.size === 0) return;
  const held = isProbeSlotHeld(model);
  verdict.hold(27, held, () => `${waitingProbes.size} probes wait while the probe slot is free`);
  verdict.hold(22, model.shutdown === undefined, () => `${waitingProbes.size} probes wait after the shutdown`);
  if (model.frozen) return;
  for (const { name, deadline, abort } of waitingProbes) {
    verdict.hold(4, deadline > model.now, () => `${name} waits ${model.now - deadline} ms after its deadline`);
    verdict.hold(9, abort?.signal.aborted !== true, () => `${name} was aborted and waits on`);
  }
}
