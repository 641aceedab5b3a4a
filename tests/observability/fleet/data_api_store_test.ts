import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DataApiFleetStore, FleetStoreError } from "../../../shared/observability/fleet/mod.ts";
import type { AlertChange } from "../../../shared/observability/mod.ts";
import { reportOf } from "./reports.ts";

function storeOf(reply: () => Response | Promise<Response>, key = "sb_secret_test") {
  const sent: { url: string; headers: Headers; init: RequestInit }[] = [];
  const fake = async (url: string | URL | Request, init: RequestInit = {}) => {
    sent.push({ url: String(url), headers: new Headers(init.headers), init });
    return await reply();
  };
  return {
    sent,
    store: new DataApiFleetStore({ url: "https://x.test", key, fetch: fake as typeof fetch, dropMs: 5_000 }),
  };
}

/** A body that ends with an error. */
const broken = () => new ReadableStream({ start: (controller) => controller.error(new Error("reset")) });

const CHANGE: AlertChange = {
  rule: "errors",
  function: "budgets",
  raised: true,
  value: 9,
  misses: 0,
  previousSinceMs: 0,
};

Deno.test("DataApiFleetStore sends its key as apikey, as a token only where it is one, and follows no redirect", async () => {
  const { sent, store } = storeOf(() => Response.json({ version: 1, isolates: [] }));
  await store.read("totals");
  const [{ url, headers, init } = { url: "", headers: new Headers(), init: {} as RequestInit }] = sent;
  assertEquals(url, "https://x.test/rest/v1/rpc/pool_fleet_read");
  assertEquals([headers.get("apikey"), headers.get("authorization")], ["sb_secret_test", null]);
  assertEquals([init.redirect, JSON.parse(String(init.body))], ["manual", {
    p_options: { detail: "totals", dropMs: 5_000 },
  }]);
  const legacy = storeOf(() => Response.json({}), "ey.legacy.key");
  await legacy.store.remove("i-1");
  assertEquals(legacy.sent[0]?.headers.get("authorization"), "Bearer ey.legacy.key");
});

Deno.test("DataApiFleetStore rejects a key that no header takes, and does not repeat it", () => {
  for (const key of ["sb_secret_hunter\n22", "ey.hunter.22\u0000", "sb_secret_hunter22\u6f22"]) {
    const error = assertThrows(() => storeOf(() => Response.json({}), key), FleetStoreError, "no header takes");
    assertEquals(`${error.message} ${error.stack}`.includes("hunter"), false);
  }
});

Deno.test("DataApiFleetStore returns the changes that the store applied", async () => {
  const other = { ...CHANGE, function: "transfers" };
  const { store } = storeOf(() => Response.json({ version: 1, applied: [other] }));
  assertEquals(await store.changeAlerts([CHANGE, other]), [{ ...other, sinceMs: 0 }]);
  const known = storeOf(() => Response.json({ version: 1, applied: [{ ...other, sinceMs: 7 }] })).store;
  const begun = { ...other, notice: "sending", previousNoticeMs: 3 } as const;
  assertEquals(await known.changeAlerts([other, begun]), [{ ...other, sinceMs: 7 }], "a notice is another change");
  assertEquals(await storeOf(() => Response.json({ version: 1 })).store.changeAlerts([CHANGE]), []);
});

for (
  const [what, reply, failure] of [
    ["a store that is full", () => Response.json({ version: 1, refused: "full" }), "full"],
    ["a message that is refused", () => Response.json({ version: 1, refused: "too long" }), "refused"],
    ["a missing function", () => Response.json({ code: "PGRST202" }, { status: 404 }), "missing"],
    ["a key without the right", () => Response.json({ code: "42501" }, { status: 403 }), "refused"],
    ["a gateway error that is not JSON", () => new Response("<html>", { status: 502 }), "unavailable"],
    ["a page in place of JSON", () => new Response("<html>"), "unavailable"],
    ["a list in place of a reply", () => Response.json([1]), "unavailable"],
    ["a store that is full of requests", () => Response.json({ code: "53300" }, { status: 429 }), "unavailable"],
    ["a full disk", () => new Response("full", { status: 507 }), "unavailable"],
    ["a response that breaks off", () => new Response(broken()), "unavailable"],
    ["a network error", () => Promise.reject(new TypeError("refused")), "unavailable"],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { location: "https://evil.test" } }),
      "unavailable",
    ],
    ["a response without end", () => Response.json({ version: 1, pad: "x".repeat(9 * 2 ** 20) }), "unavailable"],
  ] as const
) {
  Deno.test(`DataApiFleetStore rejects with FleetStoreError "${failure}" for ${what}`, async () => {
    const error = await assertRejects(() => storeOf(reply).store.report(reportOf("a")), FleetStoreError);
    assertEquals(error.failure, failure);
    assertEquals(error.message.includes("sb_secret"), false);
  });
}

Deno.test("DataApiFleetStore passes an evaluation on, and treats a reply without a version as version 0", async () => {
  const evaluation = { nowMs: 5, samples: [], alerts: [] };
  assertEquals(await storeOf(() => Response.json({ version: 1, evaluation })).store.report(reportOf("a")), {
    version: 1,
    evaluation,
  });
  assertEquals(await storeOf(() => Response.json({})).store.report(reportOf("a")), { version: 0 });
});

Deno.test("DataApiFleetStore sends no character that Postgres cannot store, and every other one as it is", async () => {
  const { sent, store } = storeOf(() => Response.json({ version: 1 }));
  const texts = ["a\0b", "\ud83d", "\udc00x", "\ud83d\ude00", "\\u0000", "\\\\ud83d", '"\n\u0001'];
  await store.report(reportOf("a", { metrics: { [texts[0] ?? ""]: texts } }));
  const body = String(sent[0]?.init.body);
  const { metrics } = JSON.parse(body).p_message.report;
  const expected = ["a\ufffdb", "\ufffd", "\ufffdx", "\ud83d\ude00", "\\u0000", "\\\\ud83d", '"\n\u0001'];
  assertEquals(metrics, { "a\ufffdb": expected });
});

Deno.test("DataApiFleetStore says what a read of an empty reply lacks", async () => {
  const { isolates, missing } = await storeOf(() => Response.json({})).store.read("full");
  assertEquals([isolates, missing.length], [[], 4]);
});
