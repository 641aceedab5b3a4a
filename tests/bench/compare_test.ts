import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { burst } from "../../bench/compare/burst.ts";
import { type CompareResults, plot, report } from "../../bench/compare/report.ts";
import { countSockets, inodesOf } from "../../bench/compare/sockets.ts";
import { CANDIDATES, type QueryRows } from "../../bench/compare/candidates.ts";
import { ROW_COUNT, serveDataApi } from "../../bench/support/data_api.ts";

const tokenOf = (user: number) => {
  const claims = { sub: `user-${user}`, role: "authenticated", exp: Math.floor(Date.now() / 1_000) + 600 };
  const encode = (part: unknown) => btoa(JSON.stringify(part)).replaceAll("=", "");
  return `${encode({ alg: "none" })}.${encode(claims)}.x`;
};

for (const { title, open } of CANDIDATES) {
  Deno.test(`open() of "${title}" queries as the caller`, async () => {
    const sent: (string | null)[] = [];
    const server = serveDataApi(({ headers }) => void sent.push(headers.get("authorization")));
    const url = `http://127.0.0.1:${server.addr.port}`;
    try {
      const queryRows = open({ url, publishableKey: "sb_publishable_test", tokens: [] });
      const tokens = [1, 2].map(tokenOf);
      for (const token of tokens) assertEquals(await queryRows(token), ROW_COUNT);
      assertEquals(sent, tokens.map((token) => `Bearer ${token}`));
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("burst() distributes the tokens over its callers and counts every request", async () => {
  const asked: string[] = [];
  let now = 0;
  let most = 0;
  const queryRows: QueryRows = async (token) => {
    asked.push(token);
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 4));
    now--;
    return 1;
  };
  const target = { url: "http://127.0.0.1:1", publishableKey: "", tokens: ["a", "b"] };
  const { measured, heap } = await burst(queryRows, target, { requests: 2, callers: 3 });
  assertEquals(most, 3);
  assertEquals(asked.toSorted(), ["a", "a", "a", "a", "b", "b"]);
  assert(3 <= measured.p50Ms && measured.p50Ms <= measured.p95Ms && measured.p95Ms <= measured.p99Ms);
  assert(measured.meanMs >= 3 && measured.meanMs <= measured.p99Ms * 1.001);
  assert(measured.requestsPerSecond <= 6 / 0.006);
  assert(heap.length >= 2 && heap.every(([, mb]) => mb > 1 && mb <= measured.heapMb));
});

Deno.test("burst() rejects when a user gets no rows", async () => {
  const target = { url: "http://127.0.0.1:1", publishableKey: "", tokens: ["a"] };
  const none = () => burst(() => Promise.resolve(0), target, { requests: 1, callers: 1 });
  await assertRejects(none, Error, "no rows");
});

Deno.test("burst() counts requests that fail, and rejects when all do", async () => {
  const target = { url: "http://127.0.0.1:1", publishableKey: "", tokens: ["good", "bad"] };
  const queryRows: QueryRows = (token) => token === "good" ? Promise.resolve(1) : Promise.reject(new Error("refused"));
  const { measured } = await burst(queryRows, target, { requests: 3, callers: 4 });
  assertEquals(measured.failedPercent, 50);
  const none = () => burst(queryRows, { ...target, tokens: ["bad"] }, { requests: 1, callers: 2 });
  const { cause } = await assertRejects(none, Error, "Every request of the burst failed");
  assertEquals((cause as Error).message, "refused");
});

Deno.test("inodesOf() finds the established connections to a port", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C40 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 20 4 30 10 -1
   1: 0100007F:9C41 0100007F:0050 06 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 0100007F:0050 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 20 4 30 10 -1
`;
  assertEquals(inodesOf(table, 80), new Set(["111"]));
});

Deno.test({
  name: "countSockets() counts the sockets of this process",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const sockets: Deno.Conn[] = [];
    for (let count = 0; count < 2; count++) sockets.push(await Deno.connect({ port }), await listener.accept());
    assertEquals(countSockets(port), 2);
    for (const socket of sockets) socket.close();
    assertEquals(countSockets(port), 0);
    listener.close();
  },
});

function results(): CompareResults {
  const summary = (median: number) => ({ median, low: median, high: median, count: 1, timesOurs: 1 });
  const measured = { meanMs: summary(250), p99Ms: summary(400), sockets: summary(100), heapMb: summary(64) };
  return {
    environment: {
      cpu: "A",
      cores: 2,
      os: "linux",
      deno: "2",
      v8: "1",
      peers: {},
      load: 0,
      at: "2026-01-01T00:00:00Z",
    },
    rounds: 1,
    quick: true,
    targets: [],
    cases: [{ id: "burst", title: "", metrics: ["meanMs"], candidates: [{ id: "ours", title: "pooled", measured }] }],
    heap: { ours: [[0, 10], [1_000, 64]] },
  };
}

Deno.test("report() and plot() show times, sockets and the heap over time", () => {
  assertMatch(report(results()), /^pooled +250 +– +– +400 +– +–$/m);
  assertMatch(report(results()), /^pooled +100 +– +– +64\.0$/m);
  const svg = plot(results());
  assertMatch(svg, /<polyline points="60\.0,[\d.]+ 660\.0,[\d.]+"/);
  assertEquals(svg.match(/<circle /g)?.length, 4);
});
