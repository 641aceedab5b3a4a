import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createHmac } from "node:crypto";
import {
  type AlertChange,
  type AlertEvent,
  AlertNotifier,
  AlertWebhook,
  type FleetSample,
} from "../../../shared/observability/alerts/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { SecretWatch } from "../../support/secret_watch.ts";
import { until } from "../../support/until.ts";

const NOW = 1_700_000_010_000;

const sample: FleetSample = {
  atMs: NOW - 10_000,
  function: "budgets",
  waiting: 0,
  active: 0,
  limit: 10,
  acquisitionMs: 7_000,
  calls: 1,
  errors: 0,
};

const ALERT: AlertEvent = {
  kind: "raised",
  rule: "errors",
  function: "budgets",
  summary: "failed requests in 5 minutes",
  value: 9,
  above: 5,
  forMs: 0,
  atMs: NOW,
};

Deno.test("AlertNotifier logs, emits and sends what this isolate has changed, and nothing else", async () => {
  const lines: unknown[] = [];
  const events: AlertEvent[] = [];
  const sent: AlertEvent[] = [];
  let applied = (changes: readonly AlertChange[]) => changes;
  // A store of an older version, which keeps no notices.
  const notifier = new AlertNotifier({
    store: { changeAlerts: (changes) => Promise.resolve(applied(changes).map((one) => ({ ...one, sinceMs: 0 }))) },
    onAlert: (alert) => events.push(alert),
    webhook: { send: (alert) => Promise.resolve(void sent.push(alert)) },
    log: (level, event, data) => lines.push([level, event, data.rule, data.function, data.value]),
  });
  await notifier.evaluate({ nowMs: NOW, samples: [sample], alerts: [] });
  assertEquals(lines, [["warn", "alert_raised", "acquisition_time", "budgets", 7_000]]);
  assertEquals([events.length, sent], [1, events]);
  assertEquals([events[0]?.above, events[0]?.atMs], [5_000, NOW]);

  applied = () => [];
  await notifier.evaluate({ nowMs: NOW, samples: [sample], alerts: [] });
  assertEquals(events.length, 1, "another isolate has raised it");

  applied = (changes) => changes;
  const state = { rule: "acquisition_time", function: "budgets", raised: true, sinceMs: 1, value: 9 } as const;
  const rest = { ...sample, acquisitionMs: 0 };
  await notifier.evaluate({ nowMs: NOW, samples: [rest], alerts: [{ ...state, misses: 0 }] });
  assertEquals(events.length, 1, "a first miss clears nothing");
  await notifier.evaluate({ nowMs: NOW, samples: [rest], alerts: [{ ...state, misses: 7 }] });
  assertEquals(lines.at(-1), ["info", "alert_cleared", "acquisition_time", "budgets", 0]);
  assertEquals(events.at(-1)?.kind, "cleared");
});

Deno.test("AlertNotifier changes the alerts of many functions in messages that a store takes", async () => {
  const name = (n: number) => `${"f".repeat(60)}${n}`;
  const samples = Array.from({ length: 100 }, (_, n) => ({ ...sample, function: name(n), errors: 9, calls: 9 }));
  const messages: number[] = [];
  const raised = new Set<string>();
  const notifier = new AlertNotifier({
    store: {
      changeAlerts: (changes) => {
        const message = JSON.stringify({ changes }, null, 1);
        // As the store in Postgres.
        if (message.length > 65_536) return Promise.reject(new Error("too long"));
        messages.push(message.length);
        return Promise.resolve(changes.map((one) => ({ ...one, sinceMs: NOW })));
      },
    },
    onAlert: ({ rule, function: of }) => raised.add(`${rule} ${of}`),
  });
  await notifier.evaluate({ nowMs: NOW, samples, alerts: [] });
  assertEquals([raised.size, messages.length > 1], [200, true]);
});

Deno.test("AlertNotifier notifies of what was changed although a later message fails", async () => {
  const samples = Array.from({ length: 100 }, (_, n) => ({ ...sample, function: `f${n}`, errors: 9 }));
  const sent: AlertEvent[] = [];
  let messages = 0;
  const notifier = new AlertNotifier({
    store: {
      changeAlerts: (changes) => {
        if (++messages > 1) return Promise.reject(new Error("down"));
        return Promise.resolve(changes.map((one) => ({ ...one, sinceMs: 0 })));
      },
    },
    webhook: {
      send: async (alert) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        sent.push(alert);
      },
    },
  });
  await assertRejects(() => notifier.evaluate({ nowMs: NOW, samples, alerts: [] }), Error, "down");
  assertEquals([sent.length > 0, messages], [true, 2]);
});

Deno.test("AlertNotifier survives a listener, a webhook and a log that fail, and logs the first two", async () => {
  const lines: string[] = [];
  const notifier = new AlertNotifier({
    store: { changeAlerts: (changes) => Promise.resolve(changes.map((one) => ({ ...one, sinceMs: 0 }))) },
    onAlert: () => {
      throw new Error("a listener");
    },
    webhook: { send: () => Promise.reject(new Error("a webhook")) },
    log: (_level, event) => {
      lines.push(event);
      throw new Error("a log");
    },
  });
  await notifier.evaluate({ nowMs: NOW, samples: [sample], alerts: [] });
  assertEquals(lines, ["alert_raised", "alert_listener_failed", "alert_webhook_failed"]);
});

const SECRET = "a-secret-of-the-webhook";
const URL_WITH_TOKEN = "https://hooks.example.com/T0/token-of-the-url";

interface Sent {
  readonly url: string;
  readonly init: RequestInit;
}

function webhookRig(replies: (() => Promise<Response> | Response)[]) {
  const clock = new FakeClock();
  const sent: Sent[] = [];
  const fake = async (url: string | URL | Request, init: RequestInit = {}) => {
    sent.push({ url: String(url), init });
    return await (replies.shift() ?? (() => new Response()))();
  };
  const webhook = new AlertWebhook({ url: URL_WITH_TOKEN, secret: SECRET, fetch: fake as typeof fetch, clock });
  return { clock, sent, webhook };
}

/** The pauses between attempts, in ms. */
const PAUSES_MS = [1_000, 4_000, 16_000];

/** Moves time over the pause after each attempt. A signature takes real time, in which the clock stands still. */
async function drive<T>({ clock, sent }: ReturnType<typeof webhookRig>, promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  for (const [attempt, pauseMs] of [...PAUSES_MS, 0].entries()) {
    await until("the attempt", () => settled || sent.length > attempt);
    await new Promise((resolve) => setTimeout(resolve, 0));
    await clock.advance(pauseMs);
  }
  return await promise;
}

Deno.test("AlertWebhook signs the body with HMAC-SHA256 and follows no redirect", async () => {
  const rig = webhookRig([]);
  const { sent, webhook } = rig;
  await drive(rig, webhook.send(ALERT));
  const [{ url, init } = { url: "", init: {} }] = sent;
  assertEquals([url, init.method, init.redirect], [URL_WITH_TOKEN, "POST", "manual"]);
  const headers = new Headers(init.headers);
  const [, seconds = "", signature = ""] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers.get("x-pool-signature") ?? "") ??
    [];
  assertEquals(signature, createHmac("sha256", SECRET).update(`${seconds}.${init.body}`).digest("hex"));
  assert(Math.abs(Number(seconds) - Date.now() / 1_000) < 60);
  const body = JSON.parse(String(init.body));
  assertEquals([body.event, body.rule, body.function, body.value, body.version], [
    "alert.raised",
    "errors",
    "budgets",
    9,
    1,
  ]);
});

Deno.test("AlertWebhook sends a failed request again after 1, 4 and 16 s, with one idempotency key", async () => {
  const down = () => Promise.reject(new TypeError(`error sending request for url (${URL_WITH_TOKEN})`));
  const rig = webhookRig([down, () => new Response("busy", { status: 503 }), down]);
  const { clock, sent, webhook } = rig;
  const begin = clock.now();
  await drive(rig, webhook.send(ALERT));
  assertEquals(clock.now() - begin, 21_000);
  assertEquals(sent.length, 4);
  const keys = new Set(sent.map(({ init }) => new Headers(init.headers).get("idempotency-key")));
  assertEquals([...keys], [`errors-budgets-raised-${NOW}`]);
});

Deno.test("AlertWebhook sends an alert once although the body of the response fails or does not end", async () => {
  for (const cancel of [() => Promise.reject(new Error("reset")), () => new Promise<void>(() => {})]) {
    const rig = webhookRig([() => new Response(new ReadableStream({ cancel }))]);
    await drive(rig, rig.webhook.send(ALERT));
    assertEquals(rig.sent.length, 1);
  }
});

Deno.test("AlertWebhook gives up after four attempts, or at once on a status below 500, and names no secret", async () => {
  const watch = new SecretWatch();
  watch.know("the secret", SECRET);
  watch.know("the token", "token-of-the-url");
  const down = () => Promise.reject(new TypeError(`error sending request for url (${URL_WITH_TOKEN})`));
  const lost = webhookRig([down, down, down, down]);
  const error = await assertRejects(() => drive(lost, lost.webhook.send(ALERT)), Error, "it cannot be reached");
  watch.inspect("the error", error.message);
  assertEquals(lost.sent.length, 4);

  const gone = webhookRig([() => new Response("no", { status: 404 })]);
  await assertRejects(() => drive(gone, gone.webhook.send(ALERT)), Error, "it responded 404");
  assertEquals(gone.sent.length, 1);

  const hung = webhookRig(PAUSES_MS.concat(0).map(() => () => new Promise<Response>(() => {})));
  const sending = hung.webhook.send(ALERT).catch((error) => error);
  for (const [attempt, pauseMs] of [...PAUSES_MS, 0].entries()) {
    await until("the attempt", () => hung.sent.length > attempt);
    await hung.clock.advance(5_000);
    await hung.clock.advance(pauseMs);
  }
  const late = await sending;
  assertEquals(late.message, "Cannot send the alert to the webhook: no response within 5000 ms");
  assertEquals([late.retry, hung.clock.timers], ["transient", 0]);

  for (const url of ["http://hooks.example.com/", "ftp://x", "nonsense"]) {
    assertThrows(() => new AlertWebhook({ url, secret: SECRET }), TypeError, "https");
  }
  assertThrows(() => new AlertWebhook({ url: URL_WITH_TOKEN, secret: "short" }), TypeError, "16 characters");
});
