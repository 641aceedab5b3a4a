import { assert, assertEquals, assertMatch } from "@std/assert";
import { LoadResult, type Outcome, runLoad } from "../../../local/load/run.ts";
import { progressOf, summaryOf } from "../../../local/load/summary.ts";

const OK: Outcome = { status: 200, code: undefined };
const never = new AbortController().signal;

/** Resolves after `ms`, or when the signal is aborted. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

Deno.test("runLoad() with concurrency has that many requests in flight, and no more", async () => {
  const result = new LoadResult();
  let inFlight = 0;
  let most = 0;
  await runLoad(
    { rps: undefined, concurrency: 4, seconds: 0.3 },
    async () => {
      most = Math.max(most, ++inFlight);
      await pause(5);
      inFlight--;
      return OK;
    },
    never,
    result,
  );
  assertEquals([most, inFlight, result.unfinished], [4, 0, 0]);
  assert(result.successes.count >= 4 && result.successes.count === result.times.count);
  // Each caller has one request at a time.
  const { meanMs, count } = result.times;
  assert(meanMs * count <= 4 * result.elapsedMs + 1, `${count} of ${meanMs} ms`);
});

Deno.test("runLoad() with rps sends each request once, and counts its time from its turn", async () => {
  const result = new LoadResult();
  let sent = 0;
  // The first request stalls the only connection: the others wait for it, and their callers would have noticed.
  await runLoad(
    { rps: 100, concurrency: 1, seconds: 0.5 },
    async () => {
      if (sent++ === 0) await pause(300);
      return OK;
    },
    never,
    result,
  );
  assertEquals(sent + result.unsent, 50);
  assert(result.successes.percentile(0.7) > 50, `p70 ${result.successes.percentile(0.7)}`);
  assert(result.latestMs > 200, `${result.latestMs}`);
});

Deno.test("runLoad() with rps counts the requests that it could not send within the time", async () => {
  const result = new LoadResult();
  const plan = { rps: 100, concurrency: 1, seconds: 0.3 };
  await runLoad(plan, () => pause(600).then(() => OK), never, result);
  assertEquals(result.times.count + result.unsent, 30);
  assert(result.unsent >= 20);
  assertMatch(summaryOf(plan, result, false).join("\n"), /\d+ requests were not sent, because 1 were in flight/);
});

Deno.test("runLoad() ends at once when it is interrupted, and aborts what is in flight", async () => {
  for (const rps of [undefined, 50]) {
    const ended = new AbortController();
    const result = new LoadResult();
    const startMs = performance.now();
    setTimeout(() => ended.abort(), 100);
    await runLoad(
      { rps, concurrency: 3, seconds: 600 },
      async (signal) => {
        await pause(600_000, signal);
        return OK;
      },
      ended.signal,
      result,
    );
    assert(performance.now() - startMs < 30_000);
    assert(result.unfinished > 0 && result.times.count === 0);
    const text = summaryOf({ rps, concurrency: 3, seconds: 600 }, result, true).join("\n");
    assertMatch(text, /Interrupted after \d+\.\d s/);
    assertMatch(text, /in flight at the end {2}\d, aborted/);
  }
});

Deno.test("runLoad() ends at once when it is interrupted before the turn of a request", async () => {
  const ended = new AbortController();
  const result = new LoadResult();
  let sent = 0;
  const send = () => {
    sent++;
    setTimeout(() => ended.abort());
    return Promise.resolve(OK);
  };
  await runLoad({ rps: 0.1, concurrency: 2, seconds: 600 }, send, ended.signal, result);
  assertEquals([sent, result.times.count, result.unfinished], [1, 1, 0]);
  await runLoad({ rps: 10, concurrency: 2, seconds: 600 }, send, AbortSignal.abort(), result);
  assertEquals(sent, 1);
});

Deno.test("runLoad() counts what sending throws as no response", async () => {
  const result = new LoadResult();
  const thrown: unknown[] = [new TypeError("broken"), "text"];
  const send = () => Promise.reject(thrown.shift());
  await runLoad({ rps: 100, concurrency: 1, seconds: 0.02 }, send, never, result);
  assertEquals(Object.fromEntries(result.refusals), { "no response TypeError": 1, "no response Error": 1 });
  assertEquals(result.inFlight, 0);
});

Deno.test("summaryOf() says that requests were late", () => {
  const result = new LoadResult();
  result.add(OK, 3);
  result.latestMs = 1_500;
  const text = summaryOf({ rps: 10, concurrency: 10, seconds: 2 }, result, false).join("\n");
  assertMatch(text, /Requests were sent up to 1500 ms after their turn; that time counts/);
});

Deno.test("summaryOf() has throughput, percentiles, a histogram, and refusals by code", () => {
  const result = new LoadResult();
  result.elapsedMs = 2_000;
  for (let ms = 1; ms <= 100; ms++) result.add(OK, ms);
  for (let n = 0; n < 3; n++) result.add({ status: 503, code: "POOL_ACQUIRE_TIMEOUT" }, 5_000);
  result.add({ status: undefined, code: "timeout" }, 30_000);
  result.add({ status: 404, code: undefined }, 1);
  const text = summaryOf({ rps: undefined, concurrency: 10, seconds: 2 }, result, false).join("\n");
  assertMatch(text, /Completed in 2\.0 s: 10 callers, 2 s/);
  assertMatch(text, /responses +105\n +successful +100, 50\.0 per second\n +refused or failed +5, 2\.5 per second/);
  assertMatch(text, /p50 +5\d(?:\.\d)? ms/);
  assertMatch(text, /max +100 ms/);
  assertMatch(text, /<= 100 ms +5\d {2}#{40}\n/);
  assertMatch(text, /503 POOL_ACQUIRE_TIMEOUT +3\n +no response timeout +1\n +404 +1/);
});

Deno.test("summaryOf() says what to do if no response was successful", () => {
  const hints: [Outcome, RegExp][] = [
    [{ status: 401, code: "MISSING_CREDENTIALS" }, /rejected the caller: choose another one with --user/],
    [{ status: 404, code: undefined }, /check --function and --path/],
    [{ status: 405, code: "METHOD_NOT_ALLOWED" }, /check --method/],
    [{ status: 400, code: "VALIDATION" }, /rejected the input: check --path, --body and --header/],
    [{ status: undefined, code: "connection refused" }, /check that the project runs/],
    [{ status: undefined, code: "timeout" }, /within --timeout: see its log/],
  ];
  const plan = { rps: undefined, concurrency: 1, seconds: 1 };
  for (const [outcome, hint] of hints) {
    const result = new LoadResult();
    result.add({ status: 500, code: undefined }, 1);
    for (let n = 0; n < 2; n++) result.add(outcome, 1);
    assertMatch(summaryOf(plan, result, false).join("\n"), hint);
    result.add(OK, 1);
    assert(!hint.test(summaryOf(plan, result, false).join("\n")));
  }
});

Deno.test("summaryOf() bounds the codes that a function invents, and shows them as text", () => {
  const result = new LoadResult();
  for (let n = 0; n < 500; n++) result.add({ status: 500, code: `c${n}\x1b[2J` }, 20_000);
  const lines = summaryOf({ rps: 10, concurrency: 10, seconds: 2 }, result, false);
  assert(lines.length < 90 && !lines.join("").includes("\x1b"));
  assertMatch(lines.join("\n"), /other codes +450/);
  assertMatch(lines.join("\n"), /Times of all responses, from the turn of each request/);
  assertMatch(
    summaryOf({ rps: 1, concurrency: 1, seconds: 1 }, new LoadResult(), false).join(),
    /successful +0, 0\.0 per/,
  );
});

Deno.test("progressOf() fits the width of the terminal", () => {
  const result = new LoadResult();
  result.elapsedMs = 5_000;
  result.add(OK, 3);
  const plan = { rps: undefined, concurrency: 1, seconds: 10 };
  assertMatch(progressOf(plan, result, 120), /^\[#{15} {15}\] 5\/10 s {2}1 responses, 0 failed, p50 3\.00 ms$/);
  assertMatch(progressOf(plan, new LoadResult(), 120), / 0\/10 s {2}0 responses, 0 failed$/);
  assertMatch(progressOf(plan, result, 40), /^5\/10 s {2}1 responses/);
  result.elapsedMs = 12_000;
  result.inFlight = 2;
  assertMatch(progressOf(plan, result, 120), /12\/10 s {2}1 responses, 0 failed, p50 3\.00 ms, waiting for 2$/);
  for (const width of [0, 1, 10, 60]) assert(progressOf(plan, result, width).length <= Math.max(0, width - 1));
});
