import { assertEquals, assertThrows } from "@std/assert";
import { withLinkedPackages } from "../../local/deno_2_1/import_map.ts";

const packages = [
  { name: "@std/async", exports: { ".": "./mod.ts" }, folder: new URL("file:///p/async/") },
  { name: "@std/testing", exports: { "./time": "./time.ts" }, folder: new URL("file:///p/testing/") },
];

Deno.test("withLinkedPackages() replaces packages of JSR by local ones, and keeps other targets", () => {
  const imports = {
    "@std/async": "jsr:@std/async@^1.0.15",
    "@std/testing/time": "jsr:@std/testing@^1.0.16/time",
    "jose": "npm:jose@6.2.17",
  };
  assertEquals(withLinkedPackages(imports, packages), {
    "@std/async": "file:///p/async/mod.ts",
    "@std/testing/time": "file:///p/testing/time.ts",
    "jose": "npm:jose@6.2.17",
  });
});

Deno.test("withLinkedPackages() names an import that no local package replaces", () => {
  for (const target of ["jsr:@std/path@^1", "jsr:@std/testing@^1.0.16/mock", "jsr:@std/async@1/delay"]) {
    assertThrows(() => withLinkedPackages({ it: target }, packages), Error, `it is ${target}`);
  }
});
