import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { FaultyProxy } from "../../bench/soak/faulty_proxy.ts";
import { judgeGrowth, trendOf } from "../../bench/soak/growth.ts";
import { csvOfSoak, growthReasons, plotSoak, reportSoak } from "../../bench/soak/plot.ts";
import { type Descendant, descendants, usageOf } from "../../bench/soak/process_usage.ts";
import type { SoakResults } from "../../bench/soak/results.ts";
import { denoArgs } from "../support/deno_process.ts";
import { until } from "../support/until.ts";

/** Returns values around `base` that rise by `step` each; the noise repeats itself. */
const series = (step: number, { base = 100, noise = 3, length = 60 } = {}) =>
  Array.from({ length }, (_, index) => base + step * index + noise * ((index * 7) % 5 - 2));

const ALLOWANCE = { part: 0.1, amount: 5 };

Deno.test("judgeGrowth() finds a series flat that only has noise, a warm-up, or one busy moment", () => {
  assertEquals(judgeGrowth(series(0), ALLOWANCE).grows, false);
  const warmUp = series(0).map((value, index) => index < 12 ? value - 80 + index * 6 : value);
  assertEquals(judgeGrowth(warmUp, ALLOWANCE).grows, false);
  const busy = series(0).map((value, index) => index > 55 ? value * 3 : value);
  assertEquals(judgeGrowth(busy, ALLOWANCE).grows, false);
  assertEquals(judgeGrowth(Array(20).fill(7), ALLOWANCE), { first: 7, last: 7, allowed: 5, trend: 0, grows: false });
});

Deno.test("judgeGrowth() finds growth beyond the allowance only", () => {
  assertEquals(judgeGrowth(series(1), ALLOWANCE).grows, true);
  const slow = judgeGrowth(series(0.1, { noise: 0 }), ALLOWANCE);
  assert(slow.trend > 2.33, "it rises");
  assertEquals(slow.grows, false, "by less than is allowed");
  assertEquals(judgeGrowth(series(-1), ALLOWANCE).grows, false);
});

Deno.test("judgeGrowth() finds no growth in values that jump without a trend", () => {
  const jumps = Array.from({ length: 60 }, (_, index) => index % 2 === 0 ? 100 : 200);
  assertEquals(judgeGrowth(jumps, ALLOWANCE).grows, false);
});

Deno.test("judgeGrowth() rejects fewer than ten samples", () => {
  assertThrows(() => judgeGrowth([1, 2, 3], ALLOWANCE), RangeError, "Cannot judge 3 samples");
});

Deno.test("trendOf() is the score of the Mann-Kendall test, corrected for equal values", () => {
  // S = 10 and the variance 16.67 for five values in order: (10 - 1) / 4.08.
  assertEquals(trendOf([1, 2, 3, 4, 5]).toFixed(2), "2.20");
  assertEquals(trendOf([5, 4, 3, 2, 1]).toFixed(2), "-2.20");
  // Two equal values take away 2 * 1 * 9 / 18 = 1 of the variance: (9 - 1) / sqrt(15.67).
  assertEquals(trendOf([1, 2, 2, 3, 4]).toFixed(2), "2.02");
  assertEquals(trendOf([1, 1, 1]), 0);
});

Deno.test("FaultyProxy forwards requests, delays, stalls and breaks them", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const host = request.headers.get("host");
    return Response.json({ host, url: new URL(request.url).search, body: await request.text() }, { status: 201 });
  });
  const target = `127.0.0.1:${server.addr.port}`;
  const proxy = new FaultyProxy(`http://${target}`);
  const send = async () => {
    const response = await fetch(`${proxy.url}/rows?a=1`, { method: "POST", body: "sent" });
    return [response.status, await response.json()];
  };
  try {
    assertEquals(await send(), [201, { host: target, url: "?a=1", body: "sent" }]);
    proxy.delayMs = 30;
    const start = performance.now();
    await send();
    assert(performance.now() - start >= 55, "both directions are delayed");
    proxy.delayMs = 0;
    proxy.stall();
    let isSettled = false;
    const stalled = send().finally(() => isSettled = true);
    await new Promise((resolve) => setTimeout(resolve, 40));
    assertEquals(isSettled, false);
    proxy.resume();
    await stalled;
  } finally {
    await proxy[Symbol.asyncDispose]();
    await server.shutdown();
  }
});

Deno.test("FaultyProxy.breakResponses() breaks the body of an open response", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () =>
    new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("first")) }),
    ));
  const proxy = new FaultyProxy(`http://127.0.0.1:${server.addr.port}`);
  try {
    const { body } = await fetch(proxy.url);
    const reader = body?.getReader();
    assertEquals(new TextDecoder().decode((await reader?.read())?.value), "first");
    proxy.breakResponses();
    let broken = false;
    await reader?.read().catch(() => broken = true);
    assert(broken, "the body ended without an error");
  } finally {
    await proxy[Symbol.asyncDispose]();
    await server.shutdown();
  }
});

const isLinux = Deno.build.os === "linux";

/** Prints how much more a process uses after it has opened another socket. */
const USAGE_SCRIPT = `
  import { usageOf } from "${new URL("../../bench/soak/process_usage.ts", import.meta.url)}";
  const listen = () => Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [first, before, second, after] = [listen(), usageOf(), listen(), usageOf()];
  for (const listener of [first, second]) listener.close();
  console.log(JSON.stringify({
    sockets: after.sockets - before.sockets,
    descriptors: after.descriptors - before.descriptors,
    residentMb: after.residentMb,
  }));
`;

Deno.test({
  name: "usageOf() and descendants() read what processes use",
  ignore: !isLinux,
  fn: async () => {
    // In a process of its own: other tests open files in this one.
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", ...denoArgs(), USAGE_SCRIPT],
      cwd: new URL("./", import.meta.url),
      env: { NO_COLOR: "1" },
    }).output();
    const { sockets, descriptors, residentMb } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals([sockets, descriptors], [1, 1]);
    assert(residentMb > 10 && residentMb < 10_000);

    const child = new Deno.Command("sleep", { args: ["30"] }).spawn();
    const found = descendants().find(({ pid }) => pid === child.pid);
    child.kill();
    await child.status;
    assertMatch(found?.command ?? "", /sleep 30$/);
    assertEquals(descendants().some(({ pid }) => pid === child.pid), false);
    assertEquals(usageOf(child.pid), { descriptors: 0, sockets: 0, residentMb: 0 });
  },
});

const RESULTS: SoakResults = {
  environment: {
    cpu: "A",
    cores: 2,
    os: "linux",
    deno: "2",
    v8: "1",
    postgres: "18.4",
    peers: {},
    load: 0,
    at: "2026-01-01T00:00:00Z",
  },
  minutes: 30,
  series: [
    {
      id: "heap",
      title: "Live heap",
      unit: "MB",
      samples: [[0, 10], [60_000, 30]],
      growth: { first: 10, last: 30, allowed: 3, trend: 4, grows: true },
    },
    {
      id: "sockets",
      title: "Sockets",
      unit: "sockets",
      samples: [[0, 5]],
      growth: { first: 5, last: 5, allowed: 5, trend: 0, grows: false },
    },
  ],
  load: [{ title: "selects", sent: 100, failed: 2 }],
  faults: { "killed database": 3 },
};

Deno.test("growthReasons() names each series that grows, with its figures", () => {
  assertEquals(growthReasons(RESULTS), [
    "Live heap grows: from 10.0 to 30.0 MB, which is more than 3.00 above, and its values rise (Mann-Kendall 4.00)",
  ]);
});

Deno.test("reportSoak(), plotSoak() and csvOfSoak() show each series", () => {
  assertMatch(reportSoak(RESULTS), /^Live heap, MB +10\.0 +30\.0 +3\.00 +4\.00 +GROWS$/m);
  assertMatch(reportSoak(RESULTS), /^Sockets, sockets .* flat$/m);
  assertMatch(reportSoak(RESULTS), /^killed database +3$/m);
  assertEquals(plotSoak(RESULTS).match(/<polyline /g)?.length, 2);
  assertStringIncludes(plotSoak(RESULTS), "Live heap, MB: GROWS");
  assertEquals(csvOfSoak(RESULTS), "series,at_ms,value\nheap,0,10\nheap,60000,30\nsockets,0,5\n");
});

/** Returns whether a process still runs: its id is that of another one later. */
function isRunning({ pid, command }: Descendant): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() === command;
  } catch {
    return false;
  }
}

/** Starts `deno task soak`. */
function startSoak(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "--v8-flags=--expose-gc", "bench/soak/main.ts", ...args],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Returns what `deno task soak` prints, and its exit code. */
async function outputOf(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test({
  name: "soak: load with faults for seconds leaves every series flat, and its results in a folder",
  ignore: !isLinux,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "soak-test-" });
    try {
      const { code, out, err } = await outputOf(startSoak(["--minutes", "0.2", "--callers", "2", "--out", folder]));
      assertEquals(code, 0, `${out}\n${err}`);
      const results: SoakResults = JSON.parse(await Deno.readTextFile(`${folder}/soak.json`));
      assertEquals(results.series.map(({ growth }) => growth.grows), results.series.map(() => false));
      for (const { id, samples } of results.series) {
        const found = samples.filter(([, value]) => value > 0);
        // While the database or the Data API is down, it has no connection. All else is always there.
        const atLeast = id === "dataApiBackends" ? samples.length / 2 : 10;
        assert(
          found.length >= atLeast && (/backends$/i.test(id) || found.length === samples.length),
          `${id}: ${samples}`,
        );
      }
      for (const { title, sent, failed } of results.load) {
        // The faults take about half of these seconds, and on a loaded machine more; writes are not retried.
        assert(sent > 10 && failed < sent * 0.75, `${title}: ${failed} of ${sent} failed`);
      }
      assert(Object.values(results.faults).filter((count) => count > 0).length >= 4, JSON.stringify(results.faults));
      assertEquals((await Deno.stat(`${folder}/soak.svg`)).isFile, true);
      assertEquals((await Deno.stat(`${folder}/soak.csv`)).isFile, true);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("soak: an invalid option is rejected by name, and --help describes the test for growth", async () => {
  assertEquals(await outputOf(startSoak(["--minutes", "0"])), {
    code: 2,
    out: "",
    err: '--minutes must be a number above 0, not "0"\n',
  });
  const { code, out } = await outputOf(startSoak(["--help"]));
  assertEquals(code, 0);
  assertMatch(out, /Mann-Kendall/);
});

Deno.test({
  name: "soak: Ctrl-C ends it and leaves no process behind",
  ignore: !isLinux,
  fn: async () => {
    const child = startSoak(["--minutes", "5"]);
    // Of the child only: this process also runs other tests, with children of their own.
    const below = () => descendants(child.pid);
    // The stack is up when the worker runs.
    await until(
      "the worker runs",
      () => below().some(({ command }) => command.includes("soak/worker.ts")),
      120_000,
      100,
    );
    const started = below();
    child.kill("SIGINT");
    const { code, err } = await outputOf(child);
    assertEquals([code, err.includes("Interrupted: no result was written")], [130, true], err);
    await until("every process has ended", () => !started.some(isRunning));
  },
});

Deno.test({
  name: "soak: a fault that its part does not recover from ends it at once",
  ignore: !isLinux,
  fn: async () => {
    const program = `
      import { soak } from ${JSON.stringify(new URL("../../bench/soak/soak.ts", import.meta.url))};
      const faults = [{ what: "no recovery", strike: () => Promise.reject(new Error("did not recover")) }];
      const lines = [];
      const { signal } = new AbortController();
      const run = soak({ durationMs: 36_000, callers: 1, signal, log: (line) => lines.push(line), faults });
      console.log(await run.catch(({ message }) => message), lines.length < 15);`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--v8-flags=--expose-gc", program],
      cwd: new URL("../../", import.meta.url),
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    assertEquals(decoder.decode(stdout), "did not recover true\n", decoder.decode(stderr));
  },
});
