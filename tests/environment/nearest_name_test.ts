import { assertEquals } from "@std/assert";
import { nearestName } from "../../shared/environment/mod.ts";

const NAMES = ["POOL_MAX_CONNECTIONS", "POOL_MIN_CONNECTIONS", "POOL_IDLE_TIMEOUT_MS"];

Deno.test("nearestName() returns the name with the fewest inserted, dropped and replaced characters", () => {
  const rows: readonly (readonly [written: string, nearest: string])[] = [
    ["POOL_MAX_CONECTIONS", "POOL_MAX_CONNECTIONS"],
    ["POOL_MIIN_CONNECTIONS", "POOL_MIN_CONNECTIONS"],
    ["POOL_MAK_CONNECTIONS", "POOL_MAX_CONNECTIONS"],
    ["POOL_IDLE_TIMEOUT", "POOL_IDLE_TIMEOUT_MS"],
    ["POOL_IDLE_TIMEOUT_MS", "POOL_IDLE_TIMEOUT_MS"],
  ];
  for (const [written, nearest] of rows) assertEquals(nearestName(written, NAMES), nearest, written);
});

Deno.test("nearestName() prefers the earlier of two names that are equally near", () => {
  // Both differ by one character.
  assertEquals(nearestName("POOL_M", ["POOL_A", "POOL_B"]), "POOL_A");
  assertEquals(nearestName("POOL_M", ["POOL_B", "POOL_A"]), "POOL_B");
});

Deno.test("nearestName() returns undefined when no name is within maxEdits, which is inclusive", () => {
  assertEquals(nearestName("abcd", ["abxy"], 1), undefined);
  assertEquals(nearestName("abcd", ["abxy"], 2), "abxy");
  assertEquals(nearestName("", ["abc"], 2), undefined);
  assertEquals(nearestName("", ["abc"], 3), "abc");
  assertEquals(nearestName("abc", [], 9), undefined);
  assertEquals(nearestName("same", ["same"], 0), "same");
});

Deno.test("nearestName() counts one edit for each character that is inserted, dropped or replaced", () => {
  const rows: readonly (readonly [written: string, known: string, edits: number])[] = [
    ["abc", "abcd", 1],
    ["abc", "xabc", 1],
    ["abc", "abcde", 2],
    ["abcd", "abc", 1],
    ["xabc", "abc", 1],
    ["abcde", "abc", 2],
    ["abc", "abx", 1],
    ["abc", "xyz", 3],
    ["abc", "", 3],
    ["", "abc", 3],
    ["kitten", "sitting", 3],
  ];
  for (const [written, known, edits] of rows) {
    assertEquals(nearestName(written, [known], edits), known, `${written}, ${known}`);
    assertEquals(nearestName(written, [known], edits - 1), undefined, `${written}, ${known}`);
  }
});
