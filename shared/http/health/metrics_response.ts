/**
 * `GET /<name>/health/metrics`: metrics in the text format of Prometheus, for operators.
 *
 * @module
 */
import type { MetricsSnapshot } from "../../observability/metrics/mod.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import { withLegacyKeys } from "../auth/legacy_keys.ts";
import { rejectionResponse } from "../auth/rejection.ts";
import { functionOf } from "../fleet/fleet_link.ts";
import { isolateOf } from "../fleet/fleet_settings.ts";
import type { Runtime } from "../handler/runtime.ts";
import { MethodNotAllowedError, MetricsOffError } from "../responses/problem.ts";

/** Returns the metrics about the fleet itself. */
function fleetMetrics(isReadable: boolean, isolates: number, withoutMetrics: number): MetricsSnapshot {
  const gauge = (name: string, help: string, value: number) => ({
    name,
    type: "gauge" as const,
    help,
    series: [{ labels: {}, value }],
  });
  const available = gauge("pool_fleet_available", "1 if the store of the fleet can be read.", Number(isReadable));
  if (!isReadable) return { version: 1, metrics: [available] };
  return {
    version: 1,
    metrics: [
      available,
      gauge("pool_fleet_isolates", "Isolates that report to the fleet.", isolates),
      gauge("pool_fleet_isolates_without_metrics", "Isolates whose report has no metrics.", withoutMetrics),
    ],
  };
}

/** Returns this isolate's metrics and, for the whole fleet, those that the others have reported. */
async function snapshotsOf(
  request: Request,
  { environment, fleet, metrics }: Pick<Runtime<never>, "environment" | "fleet" | "metrics">,
  scope: "isolate" | "fleet",
): Promise<MetricsSnapshot[]> {
  const { labelSnapshot, parseSnapshot } = await import("../../observability/metrics/mod.ts");
  const own = isolateOf(environment);
  const snapshots: MetricsSnapshot[] = [];
  await metrics?.load();
  const snapshot = metrics?.snapshot();
  if (snapshot) {
    const region = environment.fleet.region ?? "unknown";
    snapshots.push(labelSnapshot(snapshot, { function: functionOf(request), region, isolate: own }));
  }
  if (scope === "isolate" || !fleet) return snapshots;
  const { state } = await fleet.view("full");
  const isolates = state?.isolates ?? [];
  for (const { isolate, function: name, region, metrics: reported } of isolates) {
    // What this isolate has reported is older than what it knows.
    if (isolate === own && snapshot) continue;
    snapshots.push(labelSnapshot(parseSnapshot(reported), { function: name, region, isolate }));
  }
  const withoutMetrics = isolates.filter(({ metrics: reported }) => reported === undefined).length;
  snapshots.push(fleetMetrics(state !== undefined, isolates.length, withoutMetrics));
  return snapshots;
}

/**
 * Creates the response to a request for metrics: 200 with the text format of Prometheus, 401 without the project's secret
 * key, 404 where metrics are off, 405 for another method.
 *
 * @param scope `isolate`: the metrics of this isolate. `fleet`: also those of every isolate that reports to the fleet, each
 * with the labels `function`, `region` and `isolate`.
 * @param acceptsLegacy False if the legacy service_role key does not count as a secret key. Default: true.
 */
export async function createMetricsResponse(
  request: Request,
  runtime: Pick<Runtime<never>, "environment" | "fleet" | "metrics">,
  scope: "isolate" | "fleet",
  acceptsLegacy = true,
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") return new MethodNotAllowedError("GET, HEAD").toResponse();
  const { environment, fleet, metrics } = runtime;
  const mode = "secret:*";
  const current = createLazyAuthenticate({ auth: mode, env: environment });
  const authenticate = acceptsLegacy ? withLegacyKeys(current, mode, environment.legacyKeys, environment) : current;
  const { error } = await authenticate(request);
  if (error) return rejectionResponse(error, request);
  if (!metrics && !(scope === "fleet" && fleet)) {
    return new MetricsOffError().toResponse();
  }
  const { PROMETHEUS_TYPE, toPrometheusText } = await import("../../observability/metrics/mod.ts");
  const text = toPrometheusText(await snapshotsOf(request, runtime, scope));
  return new Response(request.method === "HEAD" ? null : text, {
    headers: { "Content-Type": PROMETHEUS_TYPE, "Cache-Control": "no-store" },
  });
}
