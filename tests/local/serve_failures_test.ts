import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { usageOf, watchLimits } from "../../local/functions/limits.ts";
import { exitReason } from "../../local/deno_child.ts";
import { eventually } from "./fixture.ts";
import { openTo, serveProject } from "./serve.ts";

const PREFLIGHT = {
  method: "OPTIONS",
  headers: { origin: "https://a.example", "access-control-request-method": "POST" },
};

Deno.test("Functions that fail name themselves, the reason and the line, and pages can read it", async (t) => {
  const modules: Record<string, [text: string, reason: RegExp]> = {
    missing: [
      `import { z } from "./nowhere.ts"; Deno.serve(() => new Response(z));`,
      /Module not found.*nowhere\.ts.*missing\/index\.ts:1:19/,
    ],
    bare: [`import { z } from "zod"; Deno.serve(() => new Response(z));`, /zod.*bare\/index\.ts:1:19/s],
    syntax: [`const a = 1;\nconst = ;`, /syntax\/index\.ts:2:7/],
    throws: [
      `const a = 1;\n\nnull.x;\nDeno.serve(() => new Response());`,
      /TypeError: .* at supabase\/functions\/throws\/index\.ts:3:6/,
    ],
    silent: [`console.log("no server");`, /neither calls Deno\.serve nor exports default \{ fetch \}/],
    exits: [`console.error("earlier"); Deno.exit(3);`, /It called Deno\.exit\(3\)/],
    unmapped: [`Deno.serve(() => new Response());`, /Cannot read the import map .*none\.json: the file does not exist/],
    good: [`Deno.serve(() => new Response("good"));`, /^$/],
  };
  await using served = await serveProject({
    files: {
      "supabase/config.toml":
        openTo(...Object.keys(modules)).replace("[functions.unmapped]", `$&\nimport_map = "none.json"`) +
        openTo("gone"),
      ...Object.fromEntries(
        Object.entries(modules).map(([name, [text]]) => [`supabase/functions/${name}/index.ts`, text]),
      ),
    },
  });
  modules.gone = ["", /File not found: supabase\/functions\/gone\/index\.ts/];
  assertEquals([...served.failures.keys()], Object.keys(modules).filter((name) => name !== "good").sort());
  for (const [name, [, reason]] of Object.entries(modules)) {
    await t.step(name, async () => {
      const response = await served.call(name);
      if (name === "good") return assertEquals(await response.text(), "good");
      const body = await response.json();
      assertEquals([response.status, body.code, body.function], [503, "FUNCTION_LOAD_FAILED", name]);
      assertStringIncludes(body.title, `The function "${name}" could not be loaded`);
      assertMatch(body.detail, reason);
      assert(!/earlier|file:\/\//.test(body.detail), body.detail);
      assertEquals(response.headers.get("sb-error-code"), "BOOT_ERROR");
      const preflight = await served.call(name, PREFLIGHT);
      assertEquals([preflight.status, preflight.headers.get("access-control-allow-origin")], [204, "*"]);
      assertEquals(response.headers.get("access-control-allow-origin"), "*");
    });
  }
});

Deno.test("Functions that crash respond with the error and its line, not with what they printed before", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        console.error("error: unrelated");
        Deno.serve(async (request) => {
          switch (new URL(request.url).pathname) {
            case "/a/crash":
              setTimeout(() => { throw new Error("on purpose"); });
              await new Promise(() => {});
              break;
            case "/a/exit":
              Deno.exit(5);
              break;
            case "/a/process":
              (await import("node:process")).default.exit(6);
              break;
            case "/a/undefined":
              return;
          }
          return new Response("fine");
        });`,
    },
  });
  const detail = async (path: string, init?: RequestInit) => {
    const response = await served.call(path, init);
    const body = await response.json();
    assertEquals([response.status, body.code], [503, "FUNCTION_CRASHED"]);
    assert(!body.detail.includes("unrelated"), body.detail);
    return body.detail;
  };
  const crash = await detail("a/crash");
  assertMatch(crash, /Error: on purpose[^]*supabase\/functions\/a\/index\.ts:6:/);
  assertEquals(await (await served.call("a")).text(), "fine");
  assertMatch(await detail("a/exit"), /^It called Deno\.exit\(5\)/);
  const none = await served.call("a/undefined");
  assertEquals([none.status, none.headers.get("sb-error-code")], [502, "EDGE_FUNCTION_ERROR"]);
  await none.body?.cancel();
  assertMatch(await detail("a/process"), /^It (called Deno\.exit\(6\)|exited with status 6)/);
  // Which of the three crashes ends the restarts depends on the time between them.
  for (let crashes = 0; crashes < 3; crashes++) await (await served.call("a/exit")).body?.cancel();
  assertMatch(await detail("a"), /^It (?:called|exited)[^]*\nIt crashed 3 times within 10 s: change its sources/);
});

Deno.test("exitReason() returns an uncaught error, a call of Deno.exit, or the status", () => {
  const lines = ["error: printed", "error: Uncaught (in promise) Error: real", "    at file:///a.ts:1:1"];
  assertEquals(exitReason(lines, { served: true, status: 1 }), "(in promise) Error: real\n    at file:///a.ts:1:1");
  assertEquals(exitReason(["error: printed"], { served: true, status: 4 }), "It exited with status 4.");
  assertEquals(exitReason(["error: Import failed"], { served: false, status: 1 }), "Import failed");
  assertMatch(exitReason(lines, { served: true, status: 0, exitCode: 0 }), /^It called Deno\.exit\(0\)/);
  assertMatch(exitReason([], { served: true, status: 137 }), /killed/);
  assertEquals(exitReason([], { served: true, status: 139 }), "It was ended by signal 11.");
  const memory = [
    "<--- Last few GCs --->",
    "#",
    "# Fatal JavaScript out of memory: Reached heap limit",
    "#",
    "==== C stack",
  ];
  assertMatch(exitReason(memory, { served: true, status: 133 }), /^It ran out of memory, .* run with --limits\.$/);
});

Deno.test("Functions are stopped at the limits of hosted projects, alone, with the reason", async (t) => {
  const unload = `addEventListener("beforeunload", (event) => console.log("reason " + event.detail.reason));`;
  await using served = await serveProject({
    limits: { memoryMb: 120, cpuMs: 400, wallClockMs: 60_000, idleMs: 60_000 },
    files: {
      "supabase/config.toml": openTo("memory", "cpu", "other"),
      "supabase/functions/memory/index.ts": `${unload}
        const kept = [];
        Deno.serve(async () => {
          for (;;) { kept.push(new Uint8Array(4e6).fill(1)); await new Promise((resolve) => setTimeout(resolve, 5)); }
        });`,
      "supabase/functions/cpu/index.ts": `${unload}
        Deno.serve(async (request) => {
          if (new URL(request.url).pathname === "/cpu/spin") for (;;);
          for (const end = performance.now() + 30_000; performance.now() < end;) {
            for (let n = 0; n < 1e6; n++);
            await new Promise((resolve) => setTimeout(resolve));
          }
          return new Response("done");
        });`,
      "supabase/functions/other/index.ts": `let n = 0; Deno.serve(() => new Response(String(++n)));`,
    },
  });
  assertEquals(await (await served.call("other")).text(), "1");
  for (
    const [path, limit] of [["memory", "memory limit of 120 MB"], ["cpu", "CPU time limit of 0.4 s"], [
      "cpu/spin",
      "CPU time limit of 0.4 s",
    ]]
  ) {
    await t.step(path ?? "", async () => {
      const response = await served.call(path ?? "");
      const body = await response.json();
      assertEquals([response.status, body.code], [546, "WORKER_RESOURCE_LIMIT"]);
      assertStringIncludes(body.detail, limit ?? "");
      const name = path?.split("/")[0];
      assert(served.lines.includes(`${name}: reached the ${limit}: stopped`), served.lines.join("\n"));
    });
  }
  assert(served.lines.includes("memory: reason memory"), served.lines.join("\n"));
  assert(served.lines.includes("cpu: reason cpu"), served.lines.join("\n"));
  assertEquals(await (await served.call("other")).text(), "2");
});

Deno.test("Functions that respond late get the response of the hosted platform, and later requests another process", async () => {
  await using served = await serveProject({
    limits: { memoryMb: 256, cpuMs: 60_000, wallClockMs: 3_000, idleMs: 400 },
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        const id = crypto.randomUUID();
        addEventListener("beforeunload", (event) => console.log("reason " + event.detail.reason));
        Deno.serve(async (request) => {
          if (request.method === "POST") await new Promise((resolve) => setTimeout(resolve, 1000));
          return new Response(id);
        });`,
    },
  });
  const late = await served.call("a", { method: "POST" });
  const { code, detail } = await late.json();
  assertEquals([late.status, code, detail], [504, "IDLE_TIMEOUT", "Request idle timeout limit (0.4s) reached"]);
  const id = async () => await (await served.call("a")).text();
  const first = await id();
  await eventually(async () => await id() !== first, "another process");
  await eventually(() => served.lines.includes("a: reason early_drop"), "beforeunload");
});

Deno.test("watchLimits() calls back at half, at 90 % and at the limit, once each", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "for (const end = Date.now() + 60_000; Date.now() < end;);"],
    stdin: "null",
  }).spawn();
  try {
    const calls: string[] = [];
    const done = Promise.withResolvers<void>();
    using _watch = watchLimits(child.pid, { memoryMb: 1_000, cpuMs: 500, wallClockMs: 60_000, idleMs: 1 }, {
      onSoft: (reason) => calls.push(`soft ${reason}`),
      onNear: (reason) => calls.push(`near ${reason}`),
      onHard: (reason, detail) => {
        calls.push(`hard ${reason} ${detail}`);
        done.resolve();
      },
    });
    await done.promise;
    assertEquals(calls.at(0), "soft cpu");
    assertEquals(calls.at(-1), "hard cpu reached the CPU time limit of 0.5 s");
    assertEquals(calls.length, new Set(calls).size);
    assert((await usageOf(child.pid))?.memoryMb ?? 0 > 10);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  assertEquals(await usageOf(child.pid), undefined);
});
