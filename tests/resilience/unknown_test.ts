import { assertEquals } from "@std/assert";
import {
  codeOf,
  countOf,
  fieldsOf,
  isPromiseLike,
  memberOf,
  messageOf,
  observe,
  textOf,
  toError,
} from "../../shared/resilience/mod.ts";
import { settle } from "../support/fake_clock.ts";

const throwing = {
  get code(): string {
    throw new Error("no code");
  },
  get message(): string {
    throw new Error("no message");
  },
  toString(): string {
    throw new Error("no text");
  },
};

Deno.test("memberOf() reads members of objects and functions, and nothing of other values", () => {
  assertEquals(memberOf({ a: 1 }, "a"), 1);
  assertEquals(memberOf(Object.assign(() => {}, { a: 2 }), "a"), 2);
  for (const value of [undefined, null, "text", 5, {}]) assertEquals(memberOf(value, "length_"), undefined);
  assertEquals(memberOf("text", "length"), undefined);
});

Deno.test("memberOf() is undefined where the getter throws", () => {
  assertEquals([memberOf(throwing, "code"), codeOf(throwing)], [undefined, undefined]);
});

Deno.test("textOf() and codeOf() return strings only", () => {
  assertEquals([textOf({ a: "x" }, "a"), textOf({ a: 1 }, "a")], ["x", undefined]);
  assertEquals([codeOf({ code: "57014" }), codeOf({ code: 5 }), codeOf("57014")], ["57014", undefined, undefined]);
});

Deno.test("messageOf() returns the message of an error, or the text of another value, and never throws", () => {
  assertEquals(messageOf(new TypeError("broken")), "broken");
  assertEquals(messageOf({ message: "not an Error" }), "not an Error");
  assertEquals([messageOf("text"), messageOf(undefined), messageOf(7)], ["text", "undefined", "7"]);
  assertEquals(messageOf(throwing), "a thrown object without a text");
});

Deno.test("fieldsOf() returns an object, and no fields of any other value", () => {
  const value = { a: 1 };
  assertEquals(fieldsOf(value), value);
  for (const other of [undefined, null, 7, "text", [1], () => {}]) assertEquals(fieldsOf(other), {}, String(other));
});

Deno.test("countOf() returns positive finite numbers, and 0 for any other value", () => {
  assertEquals([0.5, 7, 0, -1, NaN, Infinity, "7", null, {}].map(countOf), [0.5, 7, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("toError() returns an error unchanged, and an error with the text of another value", () => {
  const error = new TypeError("broken");
  assertEquals(toError(error), error);
  assertEquals(toError("text").message, "text");
  assertEquals(toError(Object.create(null)).message, "a thrown object without a text");
});

Deno.test("isPromiseLike() accepts objects with a method then, and nothing else", () => {
  for (const value of [Promise.resolve(), { then() {} }, Object.create({ then() {} })]) {
    assertEquals(isPromiseLike(value), true);
  }
  const others = [null, undefined, 1, "then", Symbol("then"), {}, [], { then: 1 }, { then: undefined }, () => {}];
  for (const value of others) assertEquals(isPromiseLike<unknown>(value), false, String(value));
});

Deno.test("observe() passes on what a call throws or rejects with, and nothing of a call that succeeds", async () => {
  const errors: unknown[] = [];
  const note = (error: unknown) => void errors.push(error);
  observe(() => {
    throw "thrown";
  }, note);
  observe(() => Promise.reject("rejected"), note);
  for (const value of [undefined, null, 1, Promise.resolve("value"), { then: 1 }]) observe(() => value, note);
  await settle();
  assertEquals(errors, ["thrown", "rejected"]);
});
