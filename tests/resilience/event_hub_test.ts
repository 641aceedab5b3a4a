import { assertEquals } from "@std/assert";
import { EventHub, Subscriptions } from "../../shared/resilience/mod.ts";
import { settle } from "../support/fake_clock.ts";

interface Events {
  one: number;
  two: number;
  error: { readonly error: unknown };
}

function setUp(): { hub: EventHub<Events>; changes: () => number } {
  let changes = 0;
  const hub = new EventHub<Events>({ listenerError: (error) => ({ error }), onChange: () => changes++ });
  return { hub, changes: () => changes };
}

Deno.test("EventHub.emit() delivers events in order, after the code that emits them", async () => {
  const { hub } = setUp();
  const seen: string[] = [];
  hub.on("one", (event) => {
    seen.push(`one ${event}`);
    if (event === 1) hub.emit("two", 9);
  });
  hub.on("two", (event) => seen.push(`two ${event}`));
  hub.emit("one", 1);
  hub.emit("two", 2);
  hub.emit("one", 3);
  assertEquals(seen, []);
  await settle();
  assertEquals(seen, ["one 1", "two 2", "one 3", "two 9"]);
  hub.emit("two", 4);
  await settle();
  assertEquals(seen.at(-1), "two 4");
});

Deno.test("EventHub.on() subscribes until it is disposed of, the same function twice", async () => {
  const { hub, changes } = setUp();
  let calls = 0;
  const listener = () => calls++;
  const subscriptions = [hub.on("one", listener), hub.on("one", listener)];
  hub.emit("one", 1);
  await settle();
  assertEquals([calls, hub.has("one"), hub.has("two"), changes()], [2, true, false, 2]);
  subscriptions[0]?.[Symbol.dispose]();
  subscriptions[0]?.[Symbol.dispose]();
  hub.emit("one", 1);
  await settle();
  assertEquals([calls, hub.has("one")], [3, true]);
  subscriptions[1]?.[Symbol.dispose]();
  hub.emit("one", 1);
  await settle();
  assertEquals([calls, hub.has("one")], [3, false]);
});

Deno.test("EventHub reports a listener that throws or rejects as an error event, and calls the others", async () => {
  const { hub } = setUp();
  const [errors, seen]: [unknown[], number[]] = [[], []];
  hub.on("one", () => {
    throw "thrown";
  });
  hub.on("one", () => Promise.reject("rejected"));
  hub.on("one", (event) => seen.push(event));
  hub.on("error", ({ error }) => {
    errors.push(error);
    throw new Error("not reported to itself");
  });
  hub.emit("one", 1);
  await settle();
  assertEquals([seen, errors.sort()], [[1], ["rejected", "thrown"]]);
});

Deno.test("Subscriptions.on() and once() end when they are disposed of, and unsubscribe", async () => {
  const { hub } = setUp();
  const subscriptions = new Subscriptions<Events>((name, listener) => hub.on(name, listener));
  const seen: string[] = [];
  const always = subscriptions.on("one", (event) => seen.push(`on ${event}`));
  subscriptions.once("one", (event) => seen.push(`once ${event}`));
  const never = subscriptions.once("two", (event) => seen.push(`two ${event}`));
  hub.emit("one", 1);
  hub.emit("one", 2);
  await settle();
  assertEquals(seen, ["on 1", "once 1", "on 2"]);
  never[Symbol.dispose]();
  always[Symbol.dispose]();
  always[Symbol.dispose]();
  assertEquals([hub.has("one"), hub.has("two")], [false, false]);
});

Deno.test("Subscriptions.off() ends one subscription of that listener and name", async () => {
  const { hub } = setUp();
  const subscriptions = new Subscriptions<Events>((name, listener) => hub.on(name, listener));
  const seen: number[] = [];
  const listener = (event: number) => void seen.push(event);
  for (let times = 0; times < 2; times++) subscriptions.on("one", listener);
  subscriptions.on("two", listener);
  subscriptions.off("one", () => {});
  subscriptions.off("one", listener);
  hub.emit("one", 1);
  hub.emit("two", 2);
  await settle();
  assertEquals(seen, [1, 2]);
  for (const name of ["one", "two", "two"] as const) subscriptions.off(name, listener);
  assertEquals([hub.has("one"), hub.has("two")], [false, false]);
});

Deno.test("Subscriptions passes on what a listener returns, so that its rejection becomes an error event", async () => {
  const { hub } = setUp();
  const subscriptions = new Subscriptions<Events>((name, listener) => hub.on(name, listener));
  const errors: unknown[] = [];
  hub.on("error", ({ error }) => errors.push(error));
  subscriptions.on("one", () => Promise.reject("on"));
  subscriptions.once("one", () => Promise.reject("once"));
  hub.emit("one", 1);
  await settle();
  assertEquals(errors, ["on", "once"]);
});
