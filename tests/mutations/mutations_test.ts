import { assert, assertEquals } from "@std/assert";
import { FOLDERS } from "./folders.ts";
import { outcomeTable } from "./main.ts";
import { findMutations } from "./operators.ts";
import { seeded } from "./random.ts";
import { runFolder } from "./run.ts";
import { describeMutation, type FileMutation, lineOf, staleReasons, type Survivors } from "./survivors.ts";

const ROOT = new URL("../../", import.meta.url);
const REASONS: Survivors = JSON.parse(await Deno.readTextFile(new URL("survivors.json", import.meta.url)));

Deno.test("seeded() returns the same numbers for the same seed, all over the range", () => {
  const [one, same, other] = [seeded(1), seeded(1), seeded(2)];
  const numbers = Array.from({ length: 1_000 }, () => one());
  assertEquals(numbers, Array.from({ length: 1_000 }, () => same()));
  assert(numbers[0] !== other());
  assert(numbers.every((number) => number >= 0 && number < 1));
  assertEquals(new Set(numbers.map((number) => Math.floor(number * 10))).size, 10);
});

const SOURCE = "const a = 1;\n\nif (a < 2) {\n  park(slot);\n}\n";

Deno.test("describeMutation() names the change and its line, and no line number", () => {
  const [bound] = findMutations("a.ts", SOURCE).filter(({ operator }) => operator === "move a bound");
  assert(bound);
  assertEquals(describeMutation(SOURCE, bound), "move a bound: < -> <= in: if (a < 2) {");
  assertEquals(lineOf(SOURCE, bound.start), 3);
});

Deno.test("staleReasons() reports the reasons whose mutation does not exist any more", () => {
  const mutations: FileMutation[] = findMutations("a.ts", SOURCE).map((mutation) => ({ path: "a.ts", ...mutation }));
  const reasons = {
    "a.ts": { "move a bound: < -> <= in: if (a < 2) {": "known", "drop a statement: gone(); -> ; in: gone();": "old" },
  };
  assertEquals(staleReasons(reasons, mutations, new Map([["a.ts", SOURCE]])), [
    "a.ts has no such mutation, remove its reason: drop a statement: gone(); -> ; in: gone();",
  ]);
});

Deno.test("survivors.json has reasons for mutations that exist only", async () => {
  const sources = new Map<string, string>();
  const mutations: FileMutation[] = [];
  for (const path of Object.keys(REASONS)) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    sources.set(path, source);
    for (const mutation of findMutations(path, source)) mutations.push({ path, ...mutation });
  }
  assertEquals(staleReasons(REASONS, mutations, sources), []);
  for (const reason of Object.values(REASONS).flatMap((entries) => Object.values(entries))) {
    assert(reason.length > 20, `not a reason: ${reason}`);
  }
});

Deno.test("FOLDERS has every folder of shared/, and tests that exist", async () => {
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL("shared/", ROOT))) if (isDirectory) folders.push(name);
  assertEquals(Object.keys(FOLDERS).sort(), folders.sort());
  for (const { tests, slow = [] } of Object.values(FOLDERS)) {
    for (const path of [...tests, ...slow]) await Deno.stat(new URL(path, ROOT));
  }
});

Deno.test("outcomeTable() shows the part that survived, explained or not", () => {
  const lines = outcomeTable([
    { folder: "pool", existing: 900, caught: 15, explained: 3, survivors: ["a", "b"] },
  ]).split("\n");
  assertEquals(lines[1]?.split(/\s+/), ["shared/pool/", "900", "20", "15", "3", "2", "25"]);
});

// The stated size runs by hand: deno task mutations.
const CI: readonly (readonly [folder: string, count: number])[] = [["environment", 6], ["resilience", 6]];

for (const [folder, count] of CI) {
  Deno.test(`mutations: the tests of shared/${folder}/ catch faults chosen by a seed`, async () => {
    const tests = FOLDERS[folder];
    assert(tests);
    const lines: string[] = [];
    const { survivors, caught, explained } = await runFolder({
      folder,
      tests,
      count,
      seed: 1,
      survivors: REASONS,
      signal: new AbortController().signal,
      log: (line) => lines.push(line),
    });
    assertEquals(survivors, [], "kill it with a test, or give its reason in survivors.json");
    assertEquals(caught + explained, count, lines.join("\n"));
  });
}

Deno.test("runFolder() reports a fault that no test catches", async () => {
  const { survivors, caught } = await runFolder({
    folder: "environment",
    // A test that passes whatever the folder does.
    tests: { tests: ["tests/resilience/unknown_test.ts"] },
    count: 2,
    seed: 1,
    survivors: {},
    signal: new AbortController().signal,
    log: () => {},
  });
  assertEquals([survivors.length, caught], [2, 0]);
  assert(survivors.every((line) => /^shared\/environment\/\w+\.ts:\d+ /.test(line)), survivors.join("\n"));
});
