import { assertEquals, assertStringIncludes } from "@std/assert";
import { buildArtifacts } from "../../local/package/artifacts.ts";
import { PACKAGE_NAME, PACKAGE_VERSION } from "../../local/package/identity.ts";
import { fromFileUrl, toFileUrl } from "../../local/paths.ts";
import { prepareState } from "../../local/project.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { serveStd } from "./jsr_std.ts";
import { printed, program, ROOT, runCommand } from "./support.ts";

Deno.test("deno publish --dry-run accepts the JSR package without a warning and without slow types", async () => {
  // As after `dev`, which tells git to ignore the state of the project.
  await prepareState(fromFileUrl(new URL(".local", ROOT)));
  const { jsr } = await buildArtifacts(ROOT);
  await using registry = await serveStd();
  const command = [Deno.execPath(), "publish", "--dry-run", "--allow-dirty"];
  const { code, output } = await runCommand(command, { cwd: jsr, env: { JSR_URL: registry.url } });
  assertEquals(code, 0, output);
  assertStringIncludes(output, `${PACKAGE_NAME}@${PACKAGE_VERSION}`);
  assertEquals(/^(error|warning)/im.test(output), false, output);
});

Deno.test("The JSR package type-checks and runs in a function", async () => {
  const { jsr } = await buildArtifacts(ROOT);
  await using registry = await serveStd();
  await registry.add(new URL(`${toFileUrl(jsr)}/`));
  await using project = startFakeProject();
  project.answer = () => Response.json([{ id: 1 }]);
  const folder = await Deno.makeTempDir({ prefix: "package-jsr-" });
  try {
    await Deno.writeTextFile(`${folder}/program.ts`, program("jsr:"));
    const { code, output } = await runCommand([Deno.execPath(), "run", "--no-lock", "--check", "-A", "program.ts"], {
      cwd: folder,
      env: { JSR_URL: registry.url, PROJECT_URL: project.url },
    });
    assertEquals(code, 0, output);
    assertEquals(printed(output), {
      status: 200,
      total: "2",
      body: [{ id: 1 }],
      kinds: ["function", "function", "limit,offset"],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
