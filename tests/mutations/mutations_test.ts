import { assert, assertEquals } from "@std/assert";
import { FOLDERS } from "./folders.ts";
import { outcomeTable } from "./main.ts";
import { findMutations } from "./operators.ts";
import { importGraph, nearestFirst } from "./imports.ts";
import { inOrderOf } from "./random.ts";
import { drawn, runFolder } from "./run.ts";
import { describeMutation, type FileMutation, lineOf, staleReasons, type Survivors } from "./survivors.ts";

const ROOT = new URL("../../", import.meta.url);
const REASONS: Survivors = JSON.parse(await Deno.readTextFile(new URL("survivors.json", import.meta.url)));

Deno.test("inOrderOf() orders by the seed, whichever other values there are", () => {
  const values = Array.from({ length: 1_000 }, (_, index) => `value ${index}`);
  const ordered = inOrderOf(1, values, String);
  assertEquals(ordered, inOrderOf(1, [...values].reverse(), String));
  assertEquals(ordered.toSorted(), values.toSorted());
  assertEquals(
    ordered.filter((value) => value.endsWith("7")),
    inOrderOf(1, values.filter((v) => v.endsWith("7")), String),
  );
  assert(ordered.slice(0, 20).join() !== inOrderOf(2, values, String).slice(0, 20).join());
  // Of 100 drawn values, about ten are from each tenth of all.
  const tenths = new Set(ordered.slice(0, 100).map((value) => Math.floor(values.indexOf(value) / 100)));
  assertEquals(tenths.size, 10);
});

Deno.test("inOrderOf() does not put values with the same key beside each other", () => {
  const values = Array.from({ length: 200 }, (_, index) => index);
  const drawnFirst = inOrderOf(1, values, (value) => value < 100 ? "same" : `key ${value}`).slice(0, 50);
  const same = drawnFirst.filter((value) => value < 100).length;
  assert(same > 10 && same < 40, `${same} of 50`);
});

const SOURCE = "const a = 1;\n\nif (a < 2) {\n  park(slot);\n}\n";

Deno.test("describeMutation() names the change and its line, and no line number", () => {
  const [bound] = findMutations("a.ts", SOURCE).filter(({ operator }) => operator === "move a bound");
  assert(bound);
  assertEquals(describeMutation(SOURCE, bound), "move a bound: < -> <= in: if (a < 2) {");
  assertEquals(lineOf(SOURCE, bound.start), 3);
});

Deno.test("drawn() keeps the order of mutations when another line is edited", () => {
  const find = (source: string) => findMutations("a.ts", source).map((mutation) => ({ path: "a.ts", ...mutation }));
  const edited = `const b = 7;\n${SOURCE}`;
  const describe = (source: string) =>
    drawn(find(source), new Map([["a.ts", source]]), 3).map((mutation) => describeMutation(source, mutation));
  assertEquals(describe(edited).filter((text) => !text.includes("const b")), describe(SOURCE));
});

Deno.test("importGraph() and nearestFirst() run the tests nearest to a module first", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const files = {
      "pool.ts": "export const pool = 1;",
      "mod.ts": 'export * from "./pool.ts"; export type { T } from "./types.ts";',
      "types.ts": "export type T = string;",
      "a_test.ts": "",
      "b_test.ts": 'import "./mod.ts";',
      "c_test.ts": 'import { pool } from "./pool.ts"; console.log(pool);',
      "pool_of_files_test.ts": "",
    };
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${path}`, text);
    const tests = Object.keys(files).filter((path) => path.endsWith("_test.ts"));
    const imports = await importGraph(folder, tests);
    assertEquals(imports.get("b_test.ts"), ["mod.ts"]);
    assertEquals(nearestFirst(tests, "pool.ts", imports), {
      near: ["pool_of_files_test.ts", "c_test.ts"],
      far: ["b_test.ts", "a_test.ts"],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
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
