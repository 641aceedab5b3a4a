/** Tests a function whose process comes near its memory limit. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { linkedImportMap } from "../../local/deno_2_1/deno.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { openTo, type ServedProject, serveProject } from "./serve.ts";

const ROOT = new URL("../../", import.meta.url);

/** The report of the function. */
interface Report {
  readonly usedMb: number;
  readonly active: number;
  readonly waiting: number;
  readonly totalMemoryLow: number;
}

/** A function that holds memory on request, and the project it calls. */
async function serveFunction(url: string, limitMb: number, memoryMb: number): Promise<ServedProject> {
  const source = `
    import { withPooledSupabase } from "${new URL("shared/http/mod.ts", ROOT).href}";
    const MB = 2 ** 20;
    let kept = [];
    const env = { url: ${JSON.stringify(url)}, publishableKeys: { default: "sb_publishable_x" }, secretKeys: {} };
    Deno.serve(withPooledSupabase({ auth: "none", env, pool: { maxConnections: 8 } }, async (request, { supabase, pool }) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname.endsWith("/grow")) kept.push(new Uint8Array(Number(searchParams.get("mb")) * MB).fill(1));
      // Freed at once: nothing waits for a collection.
      if (pathname.endsWith("/free")) for (const { buffer } of kept.splice(0)) buffer.transfer(0);
      if (pathname.endsWith("/query")) {
        const { error } = await supabase.from("notes").select();
        if (error) throw error;
      }
      const { heapUsed, external } = Deno.memoryUsage();
      const { activeConnections: active, waitingForConnection: waiting, totalMemoryLow = 0 } = pool.getStats();
      return Response.json({ usedMb: Math.round((heapUsed + external) / MB), active, waiting, totalMemoryLow });
    }));`;
  const imports = await (await fetch(await linkedImportMap(ROOT))).text();
  return await serveProject({
    limits: { memoryMb, cpuMs: 60_000, wallClockMs: 600_000, idleMs: 60_000 },
    files: {
      "supabase/config.toml": openTo("hungry"),
      "supabase/functions/.env": `POOL_MEMORY_LIMIT_MB=${limitMb}\n`,
      "supabase/functions/import_map.json": imports,
      "supabase/functions/hungry/index.ts": source,
    },
  });
}

async function call(served: ServedProject, path: string): Promise<Report> {
  const response = await served.call(`hungry/${path}`);
  const text = await response.text();
  assertEquals(response.status, 200, `${text}\n${served.lines.join("\n")}`);
  return JSON.parse(text);
}

/** Returns how many queries run at once, of 16 that are sent. */
async function atOnce(served: ServedProject, project: ReturnType<typeof startFakeProject>): Promise<number> {
  const release = Promise.withResolvers<void>();
  project.load.most = 0;
  project.answer = async () => {
    await release.promise;
    return Response.json([]);
  };
  const sent = Array.from({ length: 16 }, () => call(served, "query"));
  await until("all are under way or wait", async () => {
    const { active, waiting } = await call(served, "report");
    return active + waiting === 16 && project.load.now === active;
  });
  const { load: { now } } = project;
  release.resolve();
  await Promise.all(sent);
  return now;
}

const linesOf = ({ lines }: ServedProject, event: string) =>
  lines.filter((line) => line.includes(`"event":"${event}"`));

for (
  const [name, source, limitMb, memoryMb] of [
    ["a check of its memory finds it at 80 % of POOL_MEMORY_LIMIT_MB", "usage", 150, 2_000],
    ["the runtime announces it at 90 % of its limit", "runtime", 0, 160],
  ] as const
) {
  Deno.test(`a function near its memory limit halves its pool and lives on, where ${name}`, async () => {
    await using project = startFakeProject();
    await using served = await serveFunction(project.url, limitMb, memoryMb);
    assertEquals((await call(served, "report")).totalMemoryLow, 0);
    assertEquals(await atOnce(served, project), 8);

    let report = await call(served, "report");
    await until("memory is low", async () => {
      // Small steps near the limit: the runtime must notice them before the function is beyond it.
      await new Promise((resolve) => setTimeout(resolve, 120));
      const step = report.usedMb < 110 ? 8 : 2;
      report = await call(served, report.usedMb < 170 ? `grow?mb=${step}` : "report");
      return report.totalMemoryLow > 0;
    });
    assertEquals(linesOf(served, "memory_low").length, 1);
    assertStringIncludes(linesOf(served, "memory_low")[0] ?? "", `"source":"${source}"`);
    assertEquals(await atOnce(served, project), 4);

    await call(served, "free");
    await until(
      "memory has recovered",
      async () => {
        await call(served, "report");
        return linesOf(served, "memory_recovered").length === 1;
      },
      30_000,
      200,
    );
    assertEquals(await atOnce(served, project), 8);
    report = await call(served, "report");
    assertEquals(report.totalMemoryLow, 1);
    assert(!served.lines.some((line) => line.includes("stopped")), served.lines.join("\n"));
  });
}
