import { assertEquals } from "@std/assert";
import { applyMutation, findMutations, type Operator } from "./operators.ts";

/** Returns the mutated texts of a module, for one operator. */
function mutated(source: string, operator: Operator): string[] {
  return findMutations("a.ts", source).filter((one) => one.operator === operator)
    .map((one) => applyMutation(source, one));
}

const CASES: readonly [Operator, source: string, mutated: string[]][] = [
  ["negate a condition", "if (a) b();", ["if (!(a)) b();"]],
  ["negate a condition", "const c = a ? 1 : 2;", ["const c = !(a) ? 1 : 2;"]],
  ["move a bound", "const c = a < b && a >= d;", ["const c = a <= b && a >= d;", "const c = a < b && a > d;"]],
  ["invert an equality", "const c = a === b;", ["const c = a !== b;"]],
  ["swap and/or", "const c = a && b || d;", ["const c = a || b || d;", "const c = a && b && d;"]],
  ["drop a default", "const c = a ?? 1;", ["const c = a;"]],
  ["swap an arithmetic operator", "const c = a + 1;", ["const c = a - 1;"]],
  ["drop a not", "const c = !a;", ["const c = a;"]],
  ["drop a statement", "a.b();\nc = 1;\nd++;", [";\nc = 1;\nd++;", "a.b();\n;\nd++;", "a.b();\nc = 1;\n;"]],
  ["drop a statement", "class A extends B { constructor() { super(); } }", []],
  ["drop a throw", "if (a) throw new Error('x');", ["if (a) ;"]],
  ["drop an await", "const c = await a();", ["const c = a();"]],
  ["change a number", "const c = [0, 1_000];", ["const c = [1, 1_000];", "const c = [0, 1001];"]],
  ["flip a boolean", "const c = { d: true };", ["const c = { d: false };"]],
  ["empty a string", "const c = ['idle', 'a message', ''];", ["const c = [\"\", 'a message', ''];"]],
  ["empty a string", "import a from 'b';\nexport * from 'c';\ntype D = 'e';\nconst f = { 'g': 1 };", []],
  ["return early", "function f() { a(); }\nconst g = () => {};", [
    "function f() { return; a(); }\nconst g = () => {};",
  ]],
  ["return early", "class A { constructor() { a(); } b() { c(); } }", [
    "class A { constructor() { a(); } b() { return; c(); } }",
  ]],
  ["return undefined", "function f() { return a + b; }", ["function f() { return undefined; }"]],
];

for (const [operator, source, expected] of CASES) {
  Deno.test(`findMutations() can ${operator}: ${source.replaceAll("\n", " ")}`, () => {
    assertEquals(mutated(source, operator), expected);
  });
}

Deno.test("findMutations() counts characters, not bytes", () => {
  assertEquals(mutated('const é = "×"; if (é === "a") b();', "invert an equality"), [
    'const é = "×"; if (é !== "a") b();',
  ]);
});

Deno.test("findMutations() leaves comments and types alone", () => {
  assertEquals(findMutations("a.ts", "/** a === b */\ninterface A { b: 1 | true; c?: 'd' }\n// if (a) b();\n"), []);
});
