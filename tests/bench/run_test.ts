import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { runAndStore } from "../../bench/main.ts";
import { BENCHMARKS } from "../../bench/report/mod.ts";
import { runScripts, type Script, shownDuration } from "../../bench/run.ts";
import { descendants } from "../../bench/soak/process_usage.ts";
import { until } from "../support/until.ts";

/** Runs `test` with a folder of scripts. */
async function withScripts(
  scripts: Readonly<Record<string, string>>,
  test: (folder: string, of: (name: string, ...args: string[]) => Script) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "bench-run-test-" });
  try {
    for (const [name, text] of Object.entries(scripts)) await Deno.writeTextFile(`${folder}/${name}.ts`, text);
    await test(folder, (name, ...args) => ({ name, url: new URL(`file://${folder}/${name}.ts`), args }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const never = new AbortController().signal;

Deno.test("runScripts() runs the next benchmark after one that fails, and returns the name of the failed one", async () => {
  const scripts = {
    good: `console.log("fine")`,
    bad: `console.log("half a report"); console.error("no database"); Deno.exit(3);`,
    last: `await Deno.writeTextFile(Deno.args[0], Deno.env.get("TMPDIR"));`,
  };
  await withScripts(scripts, async (folder, of) => {
    const lines: string[] = [];
    const failed = await runScripts([of("good"), of("bad"), of("last", `${folder}/written`)], {
      signal: never,
      temporary: folder,
      log: (line) => lines.push(line),
    });
    assertEquals(failed, ["bad"]);
    assertEquals(await Deno.readTextFile(`${folder}/written`), folder);
    const text = lines.join("\n");
    for (const part of ["[1/3] bench:good", "[2/3] bench:bad", "half a report", "bench:bad FAILED after"]) {
      assertStringIncludes(text, part);
    }
  });
});

Deno.test("runScripts() ends the current benchmark when it is aborted, and starts no other", async () => {
  const scripts = {
    slow: `await Deno.writeTextFile(Deno.args[0], "x"); await new Promise((r) => setTimeout(r, 60_000));`,
    next: `await Deno.writeTextFile(Deno.args[0], "x");`,
  };
  await withScripts(scripts, async (folder, of) => {
    const controller = new AbortController();
    const running = runScripts([of("slow", `${folder}/slow`), of("next", `${folder}/next`)], {
      signal: controller.signal,
      temporary: folder,
      log: () => {},
    });
    const rejected = assertRejects(() => running, Error, "stop");
    await until("the benchmark starts", () => Deno.stat(`${folder}/slow`).then(() => true, () => false));
    controller.abort(new Error("stop"));
    await rejected;
    assertEquals(await Deno.stat(`${folder}/next`).catch(() => "absent"), "absent");
    if (Deno.build.os === "linux") {
      assertEquals(descendants().filter(({ command }) => command.includes(`${folder}/slow.ts`)), []);
    }
  });
});

Deno.test("runScripts() kills a benchmark that ignores the request to end", async () => {
  const scripts = {
    stubborn: `Deno.addSignalListener("SIGTERM", () => {});
      await Deno.writeTextFile(Deno.args[0], "x"); await new Promise((r) => setTimeout(r, 60_000));`,
  };
  await withScripts(scripts, async (folder, of) => {
    const controller = new AbortController();
    const options = { signal: controller.signal, temporary: folder, log: () => {}, graceMs: 50 };
    const rejected = assertRejects(() => runScripts([of("stubborn", `${folder}/up`)], options), Error, "stop");
    await until("the benchmark starts", () => Deno.stat(`${folder}/up`).then(() => true, () => false));
    controller.abort(new Error("stop"));
    await rejected;
  });
});

Deno.test("runAndStore() stores the results of the benchmarks that succeed with their report, and nothing when aborted", async () => {
  const results = JSON.stringify({
    environment: { cpu: "A", cores: 1, os: "o", deno: "2", v8: "1", peers: {}, load: 1, at: "2026-01-01T00:00:00Z" },
    rounds: 1,
    quick: true,
    targets: [],
    cases: [],
  });
  const scripts = {
    pool: `await Deno.writeTextFile(Deno.args[0] + "/pool.json", ${JSON.stringify(results)});`,
    handler: `Deno.exit(1);`,
  };
  await withScripts(scripts, async (folder, of) => {
    const out = new URL(`file://${folder}/out/`);
    const output = { results: out, report: new URL("report.md", out), plots: "" };
    const failed = await runAndStore((to) => [of("pool", to), of("handler")], output, {
      signal: never,
      command: "deno task bench",
    });
    assertEquals(failed, ["handler"]);
    const report = await Deno.readTextFile(output.report);
    assertStringIncludes(report, "| `bench:pool`       | 2026-01-01 00:00 | 1      | quick");
    assertStringIncludes(report, "| `bench:handler`    | not measured");

    const aborted = { signal: AbortSignal.abort(new Error("stop")), command: "" };
    const elsewhere = { results: new URL("none/", out), report: new URL("none.md", out), plots: "" };
    await assertRejects(() => runAndStore((to) => [of("pool", to)], elsewhere, aborted), Error, "stop");
    assertEquals((await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name).sort(), ["pool.json", "report.md"]);
  });
});

Deno.test("shownDuration() shows seconds and minutes", () => {
  assertEquals([499, 59_400, 61_000, 3_600_000].map(shownDuration), ["0 s", "59 s", "1 min 1 s", "60 min 0 s"]);
});

async function runBench(...args: string[]): Promise<readonly [code: number, out: string, err: string]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "bench/main.ts", ...args],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  return [code, new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)];
}

Deno.test("deno task bench has --help, rejects unknown benchmarks, and has every benchmark of deno.json", async () => {
  const [code, out] = await runBench("--help");
  assertEquals(code, 0);
  for (const name of BENCHMARKS) assertStringIncludes(out, name);
  assertEquals(await runBench("--only", "pool,pol"), [
    2,
    "",
    `Unknown case "pol". Valid cases: ${BENCHMARKS.join(", ")}\n`,
  ]);
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const names = Object.keys(tasks).filter((name) => name.startsWith("bench:")).map((name) => name.slice(6));
  // It compares two checkouts.
  assertEquals(names.filter((name) => name !== "regression").sort(), [...BENCHMARKS].sort());
});

Deno.test({
  name: "deno task bench: Ctrl-C leaves no process, no temporary folder and no result behind",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "bench-interrupt-test-" });
    try {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", "--no-check", "bench/main.ts", "--only", "claims", "--out", `${folder}/out`],
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1", TMPDIR: folder },
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const below = () => descendants(child.pid).filter(({ command }) => command.includes("bench/claims/"));
      await until("the benchmark runs", () => below().length > 0, 120_000, 50);
      const started = below();
      child.kill("SIGINT");
      const { code, stderr } = await child.output();
      assertEquals([code, new TextDecoder().decode(stderr)], [130, "Interrupted: no result was written\n"]);
      await until("every process has ended", () => !started.some(({ pid }) => isAlive(pid)), 30_000, 50);
      assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
