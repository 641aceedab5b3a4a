import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { SUPABASE_CLI } from "../../local/deploy/supabase_cli.ts";
import { PRISMA_PACKAGES } from "../postgres/prisma/packages.ts";
import {
  component,
  COMPONENT_PACKAGES,
  npmPackages,
  npmPackagesInstall,
  npmProgram,
  root,
} from "../support/components.ts";

Deno.test("component() ignores tests of a missing program, and throws where it is required", async () => {
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

Deno.test("CI installs the programs that tests can use", async () => {
  const script = await Deno.readTextFile(new URL("../../.ci/run", import.meta.url));
  for (const name of COMPONENT_PACKAGES) assertStringIncludes(script, `\n  "${name}:`);
  for (const name of [SUPABASE_CLI, DENO_2_1]) assertStringIncludes(script, `npx -y ${name} --version`);
  assertStringIncludes(script, `\n${npmPackagesInstall(PRISMA_PACKAGES)}\n`);
});

Deno.test("npmProgram() ignores tests of a missing program without downloading it", async () => {
  const cache = await Deno.makeTempDir();
  try {
    // With an empty cache and an unreachable registry, only installed programs are found.
    const env = { npm_config_cache: cache, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0" };
    assertEquals(await npmProgram("deno@2.1.4", { env, required: false }), {
      ignore: true,
      note: " (deno@2.1.4 is missing: npx -y deno@2.1.4 --version)",
    });
    await assertRejects(() => npmProgram("deno@2.1.4", { env, required: true }), Error, "npx -y deno@2.1.4");
    assertEquals(await npmProgram("npm", { required: false }), { ignore: false, note: "" });
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});

Deno.test("npmPackages() ignores tests of missing packages without downloading them", async () => {
  const cache = await Deno.makeTempDir();
  try {
    const env = { npm_config_cache: cache, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0" };
    const fix = 'npx -y --ignore-scripts -p prisma@0.0.1 -p @prisma/client@0.0.1 -c "command -v prisma"';
    const packages = ["prisma@0.0.1", "@prisma/client@0.0.1"] as const;
    assertEquals(await npmPackages(packages, { env, required: false }), {
      ignore: true,
      note: ` (prisma is missing: ${fix})`,
      folder: undefined,
    });
    await assertRejects(() => npmPackages(packages, { env, required: true }), Error, fix);
    // Of the same names, those of another version do not count.
    assertEquals((await npmPackages(packages, { required: false })).ignore, true);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});

Deno.test("root() ignores tests that need root, and throws where they are required", () => {
  assertEquals(root({ uid: 0, required: true }), { ignore: false, note: "" });
  assertEquals(root({ uid: 1_000, required: false }), { ignore: true, note: " (needs root: run the tests as root)" });
  assertThrows(() => root({ uid: 1_000, required: true }), Error, "not root");
});
