import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { component, COMPONENT_PACKAGES, root } from "../support/components.ts";

Deno.test("a missing program leaves its tests out by name, and fails them where it is required", async () => {
  const path = await Deno.makeTempDir();
  try {
    assertEquals(component("ps", { path, required: false }), {
      ignore: true,
      note: " (ps is missing: apt-get install procps)",
    });
    assertThrows(() => component("ps", { path, required: true }), Error, "apt-get install procps");
    await Deno.writeTextFile(`${path}/ps`, "");
    assertEquals(component("ps", { path: `:${path}`, required: false }).ignore, true);
    await Deno.chmod(`${path}/ps`, 0o755);
    assertEquals(component("ps", { path: `/nowhere:${path}`, required: true }), { ignore: false, note: "" });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("CI installs what the tests can use", async () => {
  const script = await Deno.readTextFile(new URL("../../.ci/run", import.meta.url));
  for (const name of COMPONENT_PACKAGES) assertStringIncludes(script, `\n  "${name}:`);
});

Deno.test("a test that needs root is left out by name, or fails where nothing may be left out", () => {
  assertEquals(root({ uid: 0, required: true }), { ignore: false, note: "" });
  assertEquals(root({ uid: 1_000, required: false }), { ignore: true, note: " (needs root: run the tests as root)" });
  assertThrows(() => root({ uid: 1_000, required: true }), Error, "not root");
});
