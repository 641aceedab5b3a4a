/** Tests that a request leaves nothing behind where it passes something that lives as long as the isolate. */
import { assert, assertEquals } from "@std/assert";
import { denoArgs } from "../support/deno_process.ts";

const CONTROL = "Promise.race() against a promise that never settles";
/** A promise reaction or a listener takes more, and what it refers to much more. */
const MAX_BYTES = 40;

Deno.test("no path of a request grows the heap: signals, promises, probes and keys that live as long as the isolate", async () => {
  const script = new URL("./heap_growth.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", ...denoArgs(), script, "300"],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const { [CONTROL]: control, ...growth }: Record<string, number> = JSON.parse(new TextDecoder().decode(stdout));
  assert((control ?? 0) > 500, `${control}`);
  assert(Object.keys(growth).length >= 13);
  assertEquals(Object.entries(growth).filter(([, bytes]) => bytes > MAX_BYTES), []);
});
