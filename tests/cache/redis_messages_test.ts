/** The connection for messages, on a fake clock, with clients that a test controls. */
import { assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import type { RedisClient } from "../../shared/cache/redis/redis_driver.ts";
import { RedisMessages } from "../../shared/cache/redis/redis_messages.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** A client of ioredis that records what it is sent, and replies as a test says. */
class FakeClient extends EventEmitter {
  readonly sent: string[] = [];
  isDestroyed = false;
  isKept = false;
  /** Replies to a command; the default is at once. */
  reply: (command: string) => Promise<unknown> = () => Promise.resolve("OK");

  #send(...words: string[]): Promise<unknown> {
    this.sent.push(words.join(" "));
    return this.reply(words[0] ?? "");
  }

  subscribe(...channels: string[]): Promise<unknown> {
    return this.#send("SUBSCRIBE", ...channels);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.#send("UNSUBSCRIBE", channel);
  }

  ping(): Promise<unknown> {
    return this.#send("PING");
  }

  get client(): RedisClient {
    return {
      redis: this as never,
      connect: () => this.reply("CONNECT").then(() => {}),
      keepAlive: (keeps) => void (this.isKept = keeps),
      destroy: () => void (this.isDestroyed = true),
    };
  }
}

function setUp() {
  const clock = new FakeClock();
  const clients: FakeClient[] = [];
  const prepared: ((client: FakeClient) => void)[] = [];
  const messages = new RedisMessages({
    create: () => {
      const client = new FakeClient();
      prepared.shift()?.(client);
      clients.push(client);
      return Promise.resolve(client.client);
    },
    heartbeatTimeoutMs: 250,
    connectTimeoutMs: 1_000,
    clock,
  });
  return { clock, clients, messages, prepared };
}

const never = () => new Promise<never>(() => {});

Deno.test("RedisMessages.subscribe() opens a connection once, and adds channels and listeners to it", async () => {
  const { clock, clients, messages } = setUp();
  const received: string[] = [];
  await messages.subscribe("a", (message) => received.push(`1 ${message}`));
  await messages.subscribe("a", (message) => received.push(`2 ${message}`));
  const third = (message: string) => void received.push(`3 ${message}`);
  await messages.subscribe("b", third);
  assertEquals([clients.length, clients[0]?.sent, messages.isSubscribed], [1, ["SUBSCRIBE a", "SUBSCRIBE b"], true]);
  clients[0]?.emit("message", "a", "x");
  clients[0]?.emit("message", "b", "y");
  clients[0]?.emit("message", "c", "z");
  assertEquals(received, ["1 x", "2 x", "3 y"]);
  messages.unsubscribe("b", third);
  messages.unsubscribe("b", third);
  assertEquals(clients[0]?.sent.at(-1), "UNSUBSCRIBE b");
  messages.close();
  messages.close();
  assertEquals([clock.timers, clients[0]?.isDestroyed, clients[0]?.isKept], [0, true, false]);
});

Deno.test("RedisMessages subscribes to what was added, and leaves what was removed, while it connects", async () => {
  const { clients, messages, prepared } = setUp();
  const gate = Promise.withResolvers<unknown>();
  let subscriptions = 0;
  prepared.push((client) =>
    client.reply = (word) => word === "SUBSCRIBE" && subscriptions++ === 0 ? gate.promise : Promise.resolve()
  );
  const gone = () => {};
  const first = messages.subscribe("gone", gone);
  await settle();
  const second = messages.subscribe("added", () => {});
  messages.unsubscribe("gone", gone);
  gate.resolve("OK");
  await Promise.all([first, second]);
  await settle();
  assertEquals(clients[0]?.sent, ["SUBSCRIBE gone", "SUBSCRIBE added", "UNSUBSCRIBE gone"]);
  messages.close();
});

Deno.test("RedisMessages replaces a connection without a reply to a heartbeat, and subscribes again", async () => {
  const { clock, clients, messages } = setUp();
  let resubscribed = 0;
  const end = messages.onResubscribed(() => resubscribed++);
  await messages.subscribe("a", () => {});
  await clock.advance(5_000);
  await clock.advance(5_000);
  assertEquals(clients[0]?.sent, ["SUBSCRIBE a", "PING", "PING"]);
  const [silent] = clients;
  if (silent) silent.reply = never;
  await clock.advance(5_000);
  await clock.advance(249);
  assertEquals(messages.isSubscribed, true);
  await clock.advance(1);
  assertEquals([messages.isSubscribed, silent?.isDestroyed], [false, true]);
  await clock.advance(100);
  assertEquals([clients.length, clients[1]?.sent, resubscribed], [2, ["SUBSCRIBE a"], 2]);
  end();
  const [, second] = clients;
  if (second) second.reply = () => Promise.reject(new Error("broken"));
  await clock.advance(5_000);
  await clock.advance(1_000);
  assertEquals([clients.length, messages.isSubscribed, resubscribed], [3, true, 2]);
  messages.close();
});

Deno.test("RedisMessages replaces a connection that confirms no subscription, or rejects it", async () => {
  for (const reply of [never, () => Promise.reject(new Error("NOPERM"))]) {
    const { clock, clients, messages } = setUp();
    await messages.subscribe("a", () => {});
    const [client] = clients;
    if (client) client.reply = reply;
    const pending = messages.subscribe("b", () => {});
    await clock.advance(250);
    await clock.advance(1_000);
    assertEquals([clients.length, clients[1]?.sent, client?.isDestroyed], [2, ["SUBSCRIBE a b"], true]);
    client?.emit("end");
    messages.close();
    if (reply !== never) await pending;
  }
});

Deno.test("RedisMessages.subscribe() resolves when the first connection cannot be opened, and later at once", async () => {
  const { clock, clients, messages, prepared } = setUp();
  prepared.push((client) => client.reply = () => Promise.reject(new Error("ECONNREFUSED")));
  await messages.subscribe("a", () => {});
  await messages.subscribe("b", () => {});
  assertEquals([messages.isSubscribed, clients.length], [false, 1]);
  await clock.advance(1_000);
  assertEquals([messages.isSubscribed, clients[1]?.sent], [true, ["SUBSCRIBE a b"]]);
  messages.close();
});

Deno.test("RedisMessages that is closed while it connects opens nothing and does not connect again", async () => {
  const { clock, clients, messages, prepared } = setUp();
  const gate = Promise.withResolvers<unknown>();
  prepared.push((client) => client.reply = (word) => word === "CONNECT" ? gate.promise : Promise.resolve());
  const pending = messages.subscribe("a", () => {});
  await settle();
  messages.close();
  gate.resolve("OK");
  await pending;
  await clock.advance(60_000);
  assertEquals([clients.length, clients[0]?.isDestroyed, messages.isSubscribed, clock.timers], [1, true, false, 0]);
});

Deno.test("RedisMessages that a listener closes when messages arrive again sends no heartbeat", async () => {
  const { clock, clients, messages } = setUp();
  messages.onResubscribed(() => messages.close());
  await messages.subscribe("a", () => {});
  await clock.advance(60_000);
  assertEquals([clients.length, clients[0]?.sent, clock.timers], [1, ["SUBSCRIBE a"], 0]);
});
