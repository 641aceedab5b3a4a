import { assertEquals } from "@std/assert";
import { processVariables, VariableReader } from "../../shared/environment/mod.ts";

/** Runs `work` as on a runtime without the global `Deno`. */
function withoutDeno<T>(work: () => T): T {
  const runtime = Object.getOwnPropertyDescriptor(globalThis, "Deno");
  Reflect.deleteProperty(globalThis, "Deno");
  try {
    return work();
  } finally {
    if (runtime) Object.defineProperty(globalThis, "Deno", runtime);
  }
}

/** Returns the variables on a runtime with this `process`, as Node has it. */
function onNode(process: unknown): Record<string, string> {
  const own = Object.getOwnPropertyDescriptor(globalThis, "process");
  Object.defineProperty(globalThis, "process", { configurable: true, value: process });
  try {
    return withoutDeno(processVariables);
  } finally {
    if (own) Object.defineProperty(globalThis, "process", own);
  }
}

Deno.test("processVariables() returns the environment of Deno", () => {
  Deno.env.set("POOL_TEST_OF_VARIABLES", "set");
  const variables = processVariables();
  Deno.env.delete("POOL_TEST_OF_VARIABLES");
  assertEquals(variables["POOL_TEST_OF_VARIABLES"], "set");
  assertEquals(processVariables()["POOL_TEST_OF_VARIABLES"], undefined);
});

Deno.test("processVariables() on Node returns the variables that have a value, and none without an environment", () => {
  assertEquals(onNode({ env: { A: "1", B: undefined, C: "" } }), { A: "1", C: "" });
  assertEquals(onNode(undefined), {});
});

Deno.test("VariableReader shows a bad value of at most 40 characters, and the length of a longer one", () => {
  const shown = (raw: string) => {
    const reader = new VariableReader({ A: raw });
    reader.reject({ name: "A", raw }, "must be short");
    return reader.issues[0]?.message;
  };
  assertEquals(shown("x".repeat(40)), `is "${"x".repeat(40)}", must be short`);
  assertEquals(shown("x".repeat(41)), "is a text of 41 characters, must be short");
});
