import { assertEquals } from "@std/assert";
import { type FileCoverage, parseLcov, percent } from "./lcov.ts";
import { checkReasons, uncoveredRuns } from "./reasons.ts";
import { belowLimits, byFolder, folderTable } from "./report.ts";
import { hasCode } from "./unloaded.ts";

const LCOV = `SF:/repo/shared/pool/slot.ts
FN:1,park
FN:9,close
FNDA:4,park
FNDA:0,close
FNF:2
FNH:1
BRDA:3,1,0,2
BRDA:3,1,1,-
DA:1,4
DA:2,4
DA:9,0
DA:10,0
DA:11,0
DA:20,0
LH:2
LF:6
end_of_record
SF:/repo/shared/mod.ts
DA:1,1
end_of_record
`;

const SOURCE = ["park() {", "  a();", ..."\n\n\n\n\n".split("\n"), "close() {", "  if (b) {", "  }", ""].join("\n");

const [slot] = parseLcov(LCOV, "/repo/");

Deno.test("parseLcov() counts lines, branches and functions, and lists what is not covered", () => {
  const files = parseLcov(LCOV, "/repo/");
  assertEquals(files.map(({ path }) => path), ["shared/pool/slot.ts", "shared/mod.ts"]);
  assertEquals(files[0], {
    path: "shared/pool/slot.ts",
    lines: { hit: 2, found: 6 },
    branches: { hit: 1, found: 2 },
    functions: { hit: 1, found: 2 },
    uncoveredLines: [9, 10, 11, 20],
    uncoveredFunctions: ["close"],
  });
});

Deno.test("percent() returns 100 when there is nothing to cover", () => {
  assertEquals([percent({ hit: 0, found: 0 }), percent({ hit: 1, found: 4 })], [100, 25]);
});

Deno.test("uncoveredRuns() joins adjacent lines without indentation, and leaves out brackets", () => {
  assertEquals(slot && uncoveredRuns(slot, SOURCE), [
    { path: "shared/pool/slot.ts", line: 9, text: "close() { if (b) {" },
    { path: "shared/pool/slot.ts", line: 0, text: "function close" },
  ]);
});

Deno.test("checkReasons() reports a run without a reason, and a reason without a run", () => {
  const run = { path: "a.ts", line: 3, text: "throw error;" };
  assertEquals(checkReasons([run], { "a.ts": { "throw error;": "It is a fault of the caller." } }), []);
  assertEquals(checkReasons([run], {}), ["a.ts:3 is not covered: throw error;"]);
  assertEquals(checkReasons([run], { "a.ts": { "throw error;": " " } }), ["a.ts:3 is not covered: throw error;"]);
  assertEquals(checkReasons([], { "a.ts": { "throw error;": "It is a fault of the caller." } }), [
    "a.ts has a reason for lines that are covered or gone, remove it: throw error;",
  ]);
});

Deno.test("checkReasons() lets lines be covered that depend on timing", () => {
  assertEquals(checkReasons([], { "a.ts": { "throw error;": "Timing: a race of two timers." } }), []);
});

Deno.test("byFolder() adds up the files of each folder, and belowLimits() names what is missing", () => {
  const files: FileCoverage[] = parseLcov(LCOV, "/repo/");
  const folders = byFolder(files);
  assertEquals(folders.map(({ folder, files }) => [folder, files]), [["shared/", 1], ["shared/pool/", 1], ["all", 2]]);
  assertEquals(
    folderTable(folders).split("\n").at(-1),
    "all               2         50.0     42.8        50.0                4",
  );
  assertEquals(belowLimits(folders).filter((fault) => !fault.startsWith("all")), [
    "shared/pool/ covers 50.0 % of its functions, below 100 %",
    "shared/pool/ covers 33.3 % of its lines, below 99 %",
    "shared/pool/ covers 50.0 % of its branches, below 92 %",
  ]);
  // A function with a reason counts as covered.
  assertEquals(belowLimits(folders, () => 1).some((fault) => fault.includes("functions")), false);
});

Deno.test("hasCode() distinguishes modules with code from those with types only", () => {
  for (const code of ["export const A = 1;", "export { a } from './a.ts';", "class B {}", "export default {};"]) {
    assertEquals(hasCode(code), true, code);
  }
  const types =
    "/**\n * export const in a comment\n */\nimport type { A } from './a.ts';\nexport interface B extends A {}\n" +
    "export type C = B;\n// const a = 1;\ndeclare const d: number;\n";
  assertEquals(hasCode(types), false);
});
