import { assert, assertEquals, assertRejects } from "@std/assert";
import { BARS } from "../../bench/handler/bars.ts";
import { allPhases, CASE_IDS } from "../../bench/handler/cases.ts";
import { CONTENDERS, type Handle, openPool } from "../../bench/handler/contenders.ts";
import { callOnce, load } from "../../bench/handler/load.ts";
import type { Metric } from "../../bench/handler/metrics.ts";
import { openParts } from "../../bench/handler/parts.ts";
import { createProject, type Project } from "../../bench/handler/project.ts";
import { judge } from "../../bench/support/bars.ts";
import { ROW_COUNT, serveDataApi } from "../../bench/support/data_api.ts";
import { Figures } from "../../bench/support/figures.ts";
import { Samples } from "../../bench/support/rounds.ts";

/** What arrived at the Data API. */
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

for (const { id, title, verifies, open } of CONTENDERS) {
  Deno.test(`${title}: asks the Data API once and answers with its rows`, async () => {
    await inProject(async (project, requests) => {
      const [token = ""] = project.tokens;
      const answered = JSON.parse(await callOnce(open(project), token));
      assertEquals(answered.length, ROW_COUNT);
      assertEquals(requests.map(({ path }) => path), ["/rest/v1/categories"]);
      const asUser = id.includes("lease") || id.startsWith("ours") || id === "with_supabase";
      assertEquals(requests[0]?.authorization === `Bearer ${token}`, asUser, "as whom it asks");
    });
  });

  if (verifies) {
    Deno.test(`${title}: refuses a token that others signed`, async () => {
      await inProject(async (project, requests) => {
        const stranger = await createProject(project.env.url, 1);
        const [token = ""] = stranger.tokens;
        await assertRejects(() => callOnce(open(project), token), Error, "Answered 401");
        assertEquals(requests.length, 0);
      });
    });
  }
}

Deno.test("every part of a request can be measured", async () => {
  await inProject(async (project) => {
    for (const { title, work } of openParts(project)) {
      // A part that fails does so in its first or its second turn, when a token is remembered.
      for (let turn = 0; turn < 2; turn++) {
        await Promise.resolve(work()).catch((error) => assert(!error, `${title}: ${error}`));
      }
    }
  });
});

Deno.test("the load has as many requests under way as there are callers, and counts those answered", async () => {
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

Deno.test("every case can be asked for, and every bar reads cases and entrants that there are", async () => {
  await inProject((project) => {
    const cases = allPhases(project).flatMap((phase) => phase.cases);
    assertEquals(cases.map(({ id }) => id), [...CASE_IDS]);
    const samples = new Samples();
    for (const { id, metrics, entrants } of cases) {
      for (const entrant of entrants) for (const metric of metrics) samples.add(id, entrant.id, metric, 1);
    }
    const figures = new Figures<Metric>(cases, samples, "requestsPerSecond");
    for (const { what, figure } of judge(figures, BARS)) assertEquals(figure, what.includes("taken off") ? 0 : 1, what);
    return Promise.resolve();
  });
});
