/**
 * `GET /<name>/health/fleet`: each function, region and isolate of the fleet, for operators.
 *
 * @module
 */
import type {
  AlertState,
  FleetGroup,
  FleetIsolate,
  FleetPercentiles,
  FleetSample,
  FleetTotals,
  SlowRequest,
} from "../../observability/mod.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import { withLegacyKeys } from "../auth/legacy_keys.ts";
import { rejectionResponse } from "../auth/rejection.ts";
import { MethodNotAllowedError } from "../responses/problem.ts";
import type { Runtime } from "../handler/runtime.ts";
import type { FleetView } from "../fleet/fleet_options.ts";

/** One isolate of {@linkcode FleetPage}. */
export interface FleetPageIsolate
  extends Omit<FleetIsolate, "version" | "interval" | "metrics" | "wait" | "use" | "startedAtMs"> {
  /** The instant it started, by its own clock. */
  readonly startedAt: string;
  /** The waits for slots in the last minutes. */
  readonly wait: FleetPercentiles;
  /** The times for which slots were leased in the last minutes. */
  readonly use: FleetPercentiles;
}

/** A slow request, and the isolate that served it. */
export interface FleetPageRequest extends SlowRequest {
  readonly function: string;
  readonly isolate: string;
}

/** The body of a response to `GET /<name>/health/fleet`. */
export interface FleetPage {
  /** The version of this form. */
  readonly version: 1;
  /** The instant, by the clock of the store. `null`: the store cannot be read. */
  readonly time: string | null;
  /** The kind of the store. `null`: there is none. */
  readonly store: "postgres" | "redis" | null;
  /** The parts that the page lacks, in words. Empty: none. */
  readonly missing: readonly string[];
  readonly totals: FleetTotals;
  /** The totals of each function and region. */
  readonly functions: readonly FleetGroup[];
  readonly isolates: readonly FleetPageIsolate[];
  /** The slowest recent requests of all isolates, slowest first; at most 50. */
  readonly slowRequests: readonly FleetPageRequest[];
  /** The alerts that are raised, or were within the last day. */
  readonly alerts: readonly AlertState[];
  /** The history of each function in steps of 15 s, oldest first: 20 minutes or more. */
  readonly samples: readonly FleetSample[];
}

/** Maximum number of slow requests of a response. */
const MAX_SLOW_REQUESTS = 50;

const FLEET_OFF = "the fleet: it is off for this function; set POOL_FLEET=on and a secret key";

/** Returns an instant as text. A clock may say anything. */
function instantOf(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString();
}

async function pageOf(view: FleetView | undefined): Promise<FleetPage> {
  const { groupsOf, percentilesOf, sumTimes, totalsOf } = await import("../../observability/fleet/mod.ts");
  const state = view?.state;
  const isolates = state?.isolates ?? [];
  const slowRequests = isolates.flatMap((isolate) =>
    isolate.slowRequests.map((slow) => ({ ...slow, function: isolate.function, isolate: isolate.isolate }))
  );
  const times = (one: FleetIsolate["wait"]) => percentilesOf(sumTimes(one ? [one] : []));
  return {
    version: 1,
    time: state ? instantOf(state.nowMs) : null,
    store: view?.store ?? null,
    missing: view?.missing ?? [FLEET_OFF],
    totals: totalsOf(isolates),
    functions: groupsOf(isolates),
    isolates: isolates.map((isolate) => {
      const { version: _1, interval: _2, metrics: _3, startedAtMs, wait, use, ...rest } = isolate;
      return { ...rest, startedAt: instantOf(startedAtMs), wait: times(wait), use: times(use) };
    }),
    slowRequests: slowRequests.sort((a, b) => b.durationMs - a.durationMs).slice(0, MAX_SLOW_REQUESTS),
    alerts: state?.alerts ?? [],
    samples: state?.samples ?? [],
  };
}

/**
 * Creates the response to a request for the fleet: 200 with a {@linkcode FleetPage}, 401 without the project's secret
 * key, 405 for another method.
 *
 * @param acceptsLegacy False if the legacy service_role key does not count as a secret key. Default: true.
 */
export async function createFleetResponse(
  request: Request,
  { environment, fleet }: Pick<Runtime<never>, "environment" | "fleet">,
  acceptsLegacy = true,
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") return new MethodNotAllowedError("GET, HEAD").toResponse();
  const mode = "secret:*";
  const current = createLazyAuthenticate({ auth: mode, env: environment });
  const authenticate = acceptsLegacy ? withLegacyKeys(current, mode, environment.legacyKeys, environment) : current;
  const { error } = await authenticate(request);
  if (error) return rejectionResponse(error, request);
  const body = JSON.stringify(await pageOf(await fleet?.view("full")));
  return new Response(request.method === "HEAD" ? null : body, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
