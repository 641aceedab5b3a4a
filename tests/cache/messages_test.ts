/** RedisMessages with a driver that a test scripts. */
import { assertEquals } from "@std/assert";
import type { RedisClient } from "../../shared/cache/redis/redis_driver.ts";
import { RedisMessages } from "../../shared/cache/redis/redis_messages.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** A connection that confirms a subscription when `confirm` is called. */
class ScriptedClient {
  readonly sent: string[] = [];
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  readonly redis = {
    on: () => {},
    once: () => {},
    ping: () => Promise.resolve("PONG"),
    subscribe: (...channels: string[]) => this.#send("+", channels),
    unsubscribe: (...channels: string[]) => this.#send("-", channels),
  } as unknown as RedisClient["redis"];

  connect(): Promise<void> {
    return Promise.resolve();
  }

  keepAlive(): void {}

  destroy(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new Error("Connection is closed."));
  }

  async confirm(): Promise<void> {
    for (const waiting of this.#waiting.splice(0)) waiting.resolve();
    await settle();
  }

  #send(sign: string, channels: readonly string[]): Promise<void> {
    this.sent.push(...channels.map((channel) => sign + channel));
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }
}

function open(): { messages: RedisMessages; client: ScriptedClient; clock: FakeClock } {
  const [client, clock] = [new ScriptedClient(), new FakeClock()];
  const create = () => Promise.resolve(client);
  return {
    client,
    clock,
    messages: new RedisMessages({ create, heartbeatTimeoutMs: 250, connectTimeoutMs: 1_000, clock }),
  };
}

Deno.test("RedisMessages subscribes to a channel that takes the place of another one while it connects", async () => {
  const { messages, client } = open();
  const listener = () => {};
  const first = messages.subscribe("a", listener);
  await settle();
  messages.unsubscribe("a", listener);
  const second = messages.subscribe("b", listener);
  for (let turn = 0; turn < 3; turn++) await client.confirm();
  await Promise.all([first, second]);
  assertEquals(client.sent, ["+a", "+b", "-a"]);
  messages.close();
});

Deno.test("RedisMessages.subscribe() settles within its deadline when the server does not confirm", async () => {
  const { messages, client, clock } = open();
  const first = messages.subscribe("a", () => {});
  await settle();
  await client.confirm();
  await first;
  let isSettled = false;
  void messages.subscribe("b", () => {}).then(() => isSettled = true);
  await clock.advance(200);
  assertEquals([isSettled, messages.isSubscribed], [false, true]);
  await clock.advance(60);
  assertEquals(isSettled, true);
  messages.close();
});

Deno.test("RedisMessages.subscribe() of a second listener resolves when the channel is subscribed to, not before", async () => {
  const { messages, client } = open();
  const ends: string[] = [];
  for (const channel of ["a", "b"]) {
    const calls = [1, 2].map((turn) =>
      messages.subscribe(channel, () => {}).then(() => ends.push(`${channel}${turn}`))
    );
    await settle();
    assertEquals(ends.filter((end) => end.startsWith(channel)), []);
    await client.confirm();
    await Promise.all(calls);
    await messages.subscribe(channel, () => {});
  }
  assertEquals([ends.toSorted(), client.sent], [["a1", "a2", "b1", "b2"], ["+a", "+b"]]);
  messages.close();
});
