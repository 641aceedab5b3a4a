import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TARGETS } from "../../bench/handler/targets.ts";
import { allPhases, CASE_IDS } from "../../bench/handler/cases.ts";
import { CANDIDATES, type Handle, openPool } from "../../bench/handler/candidates.ts";
import { callOnce, load } from "../../bench/handler/load.ts";
import type { Metric } from "../../bench/handler/metrics.ts";
import { counted, observed } from "../../bench/handler/observed.ts";
import { openSteps } from "../../bench/handler/steps.ts";
import { createProject, type Project } from "../../bench/handler/project.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { ROW_COUNT, serveDataApi } from "../../bench/support/data_api.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { Samples } from "../../bench/support/rounds.ts";
import { MetricsRegistry } from "../../shared/observability/mod.ts";
import { until } from "../support/until.ts";

/** A request that the Data API received. */
interface Arrived {
  readonly path: string;
  readonly authorization: string | null;
}

async function inProject(test: (project: Project, requests: Arrived[]) => Promise<void>): Promise<void> {
  const requests: Arrived[] = [];
  const server = serveDataApi(({ url, headers }) => {
    requests.push({ path: new URL(url).pathname, authorization: headers.get("authorization") });
  });
  const project = await createProject(`http://127.0.0.1:${server.addr.port}`, 2);
  try {
    await test(project, requests);
  } finally {
    await openPool(project).shutdown(0);
    await server.shutdown();
  }
}

for (const { id, title, verifies, open } of CANDIDATES) {
  Deno.test(`open() of "${title}" queries the Data API once and responds with its rows`, async () => {
    await inProject(async (project, requests) => {
      const [token = ""] = project.tokens;
      const answered = JSON.parse(await callOnce(open(project), token));
      assertEquals(answered.length, ROW_COUNT);
      const paths = requests.map(({ path }) => path).filter((path) => !path.includes("/rpc/"));
      assertEquals(paths, ["/rest/v1/categories"]);
      const asUser = id.includes("lease") || id.startsWith("ours") || id === "with_supabase";
      assertEquals(requests[0]?.authorization === `Bearer ${token}`, asUser, "as whom it asks");
    });
  });

  if (verifies) {
    Deno.test(`open() of "${title}" rejects a token with a foreign signature`, async () => {
      await inProject(async (project, requests) => {
        const stranger = await createProject(project.env.url, 1);
        const [token = ""] = stranger.tokens;
        await assertRejects(() => callOnce(open(project), token), Error, "responded 401");
        assertEquals(requests.length, 0);
      });
    });
  }
}

Deno.test("observed() takes metrics, reports to the fleet, logs leases and, if it is traced, creates a span", async () => {
  for (const traced of [false, true]) {
    const before = counted.spans;
    await inProject(async (project, requests) => {
      const [token = ""] = project.tokens;
      const registry = new MetricsRegistry();
      const lines: string[] = [];
      const handle = observed(traced, { metrics: { registry }, log: (line) => lines.push(line) })(project);
      await callOnce(handle, token);
      await until("a report", () => requests.some(({ path }) => path === "/rest/v1/rpc/pool_fleet_report"));
      const { metrics } = registry.snapshot();
      assertEquals(metrics.find(({ name }) => name === "http_server_request_duration_seconds")?.series.length, 1);
      assertStringIncludes(lines.join(), "connection_released");
    });
    assertEquals(counted.spans - before, traced ? 1 : 0);
  }
});

Deno.test("openSteps() returns steps that can be repeated", async () => {
  await inProject(async (project) => {
    for (const { title, work } of openSteps(project)) {
      // A step may fail at its first run, or at its second, when the token is remembered.
      for (let turn = 0; turn < 2; turn++) {
        await Promise.resolve(work()).catch((error) => assert(!error, `${title}: ${error}`));
      }
    }
  });
});

Deno.test("load() runs one request per caller at a time and counts all requests", async () => {
  let now = 0;
  let most = 0;
  let answered = 0;
  const handle: Handle = async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    answered++;
    return new Response("");
  };
  const start = performance.now();
  const { requestsPerSecond, p50Ms, p99Ms } = await load(handle, ["a", "b", "c"], 40);
  const tookMs = performance.now() - start;
  assertEquals(most, 3);
  assert(requestsPerSecond >= answered / tookMs * 1_000, "no request is left out");
  assert(requestsPerSecond <= 3 / 0.004, "none is counted twice");
  assert(4 <= p50Ms && p50Ms <= p99Ms && p99Ms <= tookMs);
});

Deno.test("TARGETS read cases and candidates that exist", async () => {
  await inProject((project) => {
    const cases = allPhases(project).flatMap((phase) => phase.cases);
    assertEquals(cases.map(({ id }) => id), [...CASE_IDS]);
    const samples = new Samples();
    for (const { id, metrics, candidates } of cases) {
      for (const candidate of candidates) for (const metric of metrics) samples.add(id, candidate.id, metric, 1);
    }
    const measured = new MeasuredMetrics<Metric>(cases, samples, "requestsPerSecond");
    for (const { what, value } of checkTargets(measured, TARGETS)) {
      assertEquals(value, /without its from\(\)|of a lease: time/.test(what) ? 0 : 1, what);
    }
    return Promise.resolve();
  });
});
