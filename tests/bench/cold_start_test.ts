import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TARGETS } from "../../bench/cold_start/targets.ts";
import {
  bundle,
  CANDIDATES,
  hostedDeno,
  loadedBy,
  type Metric,
  moduleOf,
  signedInUser,
  startCase,
  startCold,
  transpile,
  VERIFIED_CANDIDATES,
} from "../../bench/cold_start/candidates.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { serveDataApi } from "../../bench/support/data_api.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { Samples } from "../../bench/support/rounds.ts";
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { npmProgram } from "../support/components.ts";

const older = await npmProgram(DENO_2_1);

async function withDataApi(test: (dataApi: { url: string }, paths: string[]) => Promise<void>): Promise<void> {
  const paths: string[] = [];
  const server = serveDataApi(({ url }) => void paths.push(new URL(url).pathname));
  try {
    await test({ url: `http://127.0.0.1:${server.addr.port}` }, paths);
  } finally {
    await server.shutdown();
  }
}

for (const start of CANDIDATES) {
  const { env } = start;
  Deno.test(`startCold() of ${start.title} queries the Data API once`, async () => {
    await withDataApi(async (dataApi, paths) => {
      const { importMs = 0, answerMs = 0, totalMs = 0, processMs = 0, cpuMs } = await startCold(moduleOf(start), {
        dataApi,
        env,
      });
      assert(importMs > 0 && answerMs > 0);
      assertEquals(totalMs, importMs + answerMs);
      assert(processMs > totalMs);
      assert(Deno.build.os !== "linux" || (cpuMs !== undefined && cpuMs > 0 && cpuMs < processMs));
      assertEquals(paths, ["/rest/v1/categories"]);
    });
  });
}

for (const start of VERIFIED_CANDIDATES) {
  Deno.test(`startCold() of ${start.title} serves a user and rejects the token of another project`, async () => {
    const asked: (string | null)[] = [];
    const server = serveDataApi(({ headers }) => void asked.push(headers.get("authorization")));
    const dataApi = { url: `http://127.0.0.1:${server.addr.port}` };
    try {
      const [caller, stranger] = [await signedInUser(dataApi.url), await signedInUser(dataApi.url)];
      await startCold(moduleOf(start), { dataApi, caller });
      assertEquals(asked, [`Bearer ${caller.token}`]);
      await assertRejects(() => startCold(moduleOf(start), { dataApi, caller: { ...caller, token: stranger.token } }));
      assertEquals(asked.length, 1);
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("bundle() creates a function that responds as its sources do", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await withDataApi(async (dataApi, paths) => {
      const start = CANDIDATES.find(({ id }) => id === "ours");
      assert(start);
      await startCold(await bundle(moduleOf(start), folder), { dataApi });
      assertEquals(paths, ["/rest/v1/categories"]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: `transpile() creates a bundle that responds on the Deno of the hosted runtime${older.note}`,
  ignore: older.ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const hosted = await hostedDeno(`${folder}/cache`);
      const { stdout } = await new Deno.Command(hosted.program, { args: ["--version"] }).output();
      assertMatch(new TextDecoder().decode(stdout), /^deno 2\.1\.4\b/);
      await withDataApi(async (dataApi, paths) => {
        const start = CANDIDATES.find(({ id }) => id === "ours");
        assert(start);
        const bundled = await bundle(moduleOf(start), folder);
        await startCold(await transpile(bundled, hosted), { dataApi, runtime: hosted });
        assertEquals(paths, ["/rest/v1/categories"]);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("startCold() rejects with the message of a function that cannot be loaded", async () => {
  await assertRejects(
    () => startCold("/no/such/function.ts", { dataApi: { url: "http://127.0.0.1:1" } }),
    Error,
    "/no/such/function.ts",
  );
});

Deno.test("withPooledSupabase() loads only the layers and packages that a function uses", async () => {
  const start = CANDIDATES.find(({ id }) => id === "ours");
  assert(start);
  const { folders, packages } = await loadedBy(start);
  const layers = ["environment", "http", "observability", "pool", "resilience", "services", "supabase"];
  const allowed = ["bench/cold_start/entries", "local/std/async", "shared"]
    .concat(layers.map((folder) => `shared/${folder}`));
  const loaded = Object.keys(folders).map((folder) => folder.replace(/^(shared\/[^/]+)\/.*$/, "$1"));
  assertEquals([...new Set(loaded)].toSorted(), allowed.toSorted());
  const names = new Set(packages.map((name) => name.replace(/^npm:(@?[^@]+)@.*$/, "$1")));
  const parts = ["auth-js", "functions-js", "postgrest-js", "server", "storage-js", "supabase-js"];
  // Of OpenTelemetry, the types alone.
  const others = ["@opentelemetry/api", "jose", "node:async_hooks", "zod"];
  assertEquals([...names].toSorted(), [...parts.map((name) => `@supabase/${name}`), ...others].toSorted());
});

Deno.test("withPooledSupabase() loads only what the first request uses", async (t) => {
  const folder = await Deno.makeTempDir();
  const start = CANDIDATES.find(({ id }) => id === "ours");
  assert(start);
  try {
    const main = await bundle(moduleOf(start), folder);
    const output = main.replace(/\/[^/]*$/, "");
    const files = new Map<string, string>();
    const load = async (path: string): Promise<string> => {
      if (files.has(path)) return "";
      const text = await Deno.readTextFile(path);
      files.set(path, text);
      const imported = [...text.matchAll(/^(?:import|\} from) "\.\/(.*)";$/gm)].map(([, name]) => `${output}/${name}`);
      return [text, ...await Promise.all(imported.map(load))].join("\n");
    };
    const anonymous = await load(main);
    const absent = (text: string, packages: readonly string[]) => {
      for (const name of packages) assertEquals(text.includes(`node_modules/${name}/`), false, name);
    };

    await t.step("anonymous caller: no auth, realtime or token verification", () => {
      assertMatch(anonymous, /node_modules\/@supabase\/postgrest-js\//);
      absent(anonymous, ["@supabase/auth-js", "@supabase/realtime-js", "@supabase/server", "jose"]);
    });

    await t.step("user: jose, but not @supabase/server with all of supabase-js", async () => {
      const verifier = [...anonymous.matchAll(/import\("\.\/(authenticate-\w+\.js)"\)/g)].map(([, name]) => name);
      assertEquals(verifier.length, 1);
      const user = await load(`${output}/${verifier[0]}`);
      assertMatch(user, /node_modules\/jose\//);
      absent(user, ["@supabase/auth-js", "@supabase/realtime-js", "@supabase/server"]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("TARGETS compare the values of each round", () => {
  const cases = ["sources", "bundled", "hosted", "verified"]
    .map((id) => startCase({ id, title: id, candidates: CANDIDATES, pathOf: moduleOf, dataApi: { url: "" } }));
  const samples = new Samples();
  for (const { id, metrics, candidates } of cases) {
    for (const round of [10, 100]) {
      for (const candidate of candidates) {
        for (const metric of metrics) {
          samples.add(id, candidate.id, metric, round + (candidate.id.startsWith("ours") ? 4 : 0));
        }
      }
    }
  }
  const results = checkTargets(new MeasuredMetrics<Metric>(cases, samples, "totalMs"), TARGETS);
  assertEquals(results.map(({ value, met }) => [value, met]), [
    [4, true],
    [4, true],
    [4, true],
    [1.22, false],
    [1.22, false],
    [1, true],
  ]);
});
