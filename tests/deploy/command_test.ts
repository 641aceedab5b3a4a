import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SUPABASE_CLI } from "../../local/deploy/supabase_cli.ts";
import { npmProgram } from "../support/components.ts";
import { runDeploy } from "./command.ts";
import { ManagementApi } from "./management_api.ts";
import { copyProject } from "./project_copy.ts";

/** Runs the command on a copy of the project after `change`. */
async function deploy(
  args: string[],
  { change = async () => {}, env = {}, rejected = [] }: {
    change?: (write: (path: string, text: string) => Promise<void>) => Promise<void>;
    env?: Record<string, string | undefined>;
    rejected?: string[];
  } = {},
) {
  await using api = new ManagementApi();
  for (const name of rejected) api.rejected.add(name);
  await using project = await copyProject();
  await change(project.write);
  const run = await runDeploy({ api, args: ["--workdir", project.root, ...args], env });
  return { ...run, root: project.root, requests: api.requests, uploads: api.uploads, token: api.token };
}

Deno.test("deploy --help needs neither project nor network", async () => {
  const { code, output, requests } = await deploy(["--help", "--remote=x"], {
    env: { SUPABASE_ACCESS_TOKEN: undefined },
  });
  assertEquals([code, requests], [0, []]);
  for (const text of ["Usage: npx -y deno task deploy", "--remote=<ref>", "--yes", "SUPABASE_ACCESS_TOKEN"]) {
    assertStringIncludes(output, text);
  }
});

Deno.test("deploy rejects an unknown function and suggests the nearest name", async () => {
  const { code, output, requests } = await deploy(["budget", "--yes", "--remote=abcdefghijklmnopqrst"]);
  assertEquals([code, requests], [2, []]);
  assertStringIncludes(output, 'Error: Function "budget" not found: did you mean budgets?');
});

Deno.test("deploy rejects a function that is disabled or has no table, with the remedy", async () => {
  const off = "[functions.off]\nenabled = false\n[functions.on]\nentrypoint = '../functions/probe/index.ts'\n";
  const change = (write: (path: string, text: string) => Promise<void>) => write("supabase/config.toml", off);
  const switchedOff = await deploy(["off"], { change });
  assertEquals([switchedOff.code, switchedOff.requests], [2, []]);
  assertStringIncludes(switchedOff.output, "off is disabled in supabase/config.toml: remove enabled = false");
  const strange = await deploy(["something-else"], { change });
  assertEquals([strange.code, strange.requests], [2, []]);
  assertStringIncludes(
    strange.output,
    "the project has on; create supabase/functions/something-else/index.ts for a new one",
  );
});

Deno.test("deploy names unresolved imports with file and line before it uploads anything", async () => {
  const { code, output, requests } = await deploy(["--yes", "--remote=abcdefghijklmnopqrst"], {
    change: async (write) => {
      await write(
        "functions/health/handler.ts",
        `import "./gone.ts";\nimport type { X } from "not-in-the-map";\nexport type { X };\n`,
      );
    },
  });
  assertEquals([code, requests], [1, []]);
  assertStringIncludes(
    output,
    'Error: functions/health/handler.ts:1 imports "./gone.ts": functions/health/gone.ts does not exist',
  );
  assertMatch(output, /Error: functions\/health\/handler\.ts:2 imports "not-in-the-map": .*not in import map/);
  assertStringIncludes(output, "Nothing was deployed.");
  assert(!output.includes("Deployed Functions"), output);
});

Deno.test("deploy warns of unreachable remote imports, and continues", async () => {
  const { code, output } = await deploy(["health"], {
    change: (write) => write("functions/health/handler.ts", `import "https://127.0.0.1:9/module.ts";\n`),
    // It continues until the CLI, which is missing.
    env: { PATH: "/nowhere" },
  });
  assertEquals(code, 1);
  assertMatch(output, /Warning: functions\/health\/handler\.ts:1 imports "https:\/\/127\.0\.0\.1:9\/module\.ts": .*\n/);
  assert(!output.includes("Nothing was deployed."), output);
  assertStringIncludes(output, "npx was not found");
});

Deno.test("deploy names a missing entrypoint or import map", async () => {
  const toml =
    `[functions.a]\nentrypoint = "../functions/a/index.ts"\n[functions.b]\nentrypoint = "../functions/probe/index.ts"\nimport_map = "../map.json"\n`;
  const { code, output, requests, root } = await deploy([], { change: (write) => write("supabase/config.toml", toml) });
  assertEquals([code, requests], [1, []]);
  assertStringIncludes(
    output,
    `File not found: ${root}/functions/a/index.ts, the entrypoint of a`,
  );
  assertStringIncludes(
    output,
    `File not found: ${root}/map.json, the import_map of b`,
  );
});

Deno.test("deploy rejects a project without functions, an invalid config, and an option without a value", async () => {
  const none = await deploy([], { change: (write) => write("supabase/config.toml", "") });
  assertEquals([none.code, none.requests], [1, []]);
  assertStringIncludes(none.output, "has no functions: nothing to deploy");
  const broken = await deploy([], { change: (write) => write("supabase/config.toml", "[functions") });
  assertEquals([broken.code, broken.requests], [1, []]);
  assertStringIncludes(broken.output, "config.toml");
  const option = await deploy(["--import-map"]);
  assertEquals([option.code, option.requests], [2, []]);
  assertStringIncludes(option.output, "--import-map requires a value");
});

Deno.test("deploy rejects unknown and unsupported options before it runs the CLI, with what to use instead", async () => {
  for (
    const [args, message] of [
      [["--prnue"], "Unknown option --prnue: did you mean --prune?"],
      [["--nothing-like-it"], "Unknown option --nothing-like-it: --help lists the options."],
      [["--use-docker"], "--use-docker is not supported, because this command bundles without Docker"],
      [["--workdir="], "--workdir requires a value"],
      [["--remote=a b"], "--remote must be the ref of a project, 20 letters, or the name of a branch, for example"],
      [["--remote="], 'got "".'],
      [["--project-ref", "https://x"], 'got "https://x".'],
      [["--remote", "abcdefghijklmnopqrst"], "pass --remote=abcdefghijklmnopqrst"],
      [["./supabase/functions/health"], "it must be a name, not a path; the project has budgets"],
    ] as const
  ) {
    const { code, output, requests } = await deploy(args.slice(), { env: { PATH: "/nowhere" } });
    assertEquals([code, requests], [2, []], output);
    assertStringIncludes(output, `Error: `);
    assertStringIncludes(output, message);
  }
});

Deno.test("deploy refuses a folder that is not a project, and says which option names one", async () => {
  const path = await Deno.makeTempDir({ prefix: "deploy-none-" });
  await using api = new ManagementApi();
  const { code, output } = await runDeploy({ api, args: ["--workdir", path] });
  await Deno.remove(path);
  assertEquals(code, 1, output);
  assertStringIncludes(output, `${path} is not a project, because it has no folder supabase`);
  assertStringIncludes(output, "--workdir <folder>");
});

Deno.test("deploy --dry-run checks, prints what it would do, and neither runs the CLI nor needs a login", async () => {
  const env = { PATH: "/nowhere", SUPABASE_ACCESS_TOKEN: undefined };
  const named = await deploy(["--dry-run", "--prune", "--remote=abcdefghijklmnopqrst"], { env });
  assertEquals([named.code, named.requests], [0, []], named.output);
  assertStringIncludes(named.output, "Target: project or branch abcdefghijklmnopqrst");
  assertMatch(
    named.output,
    /\n {2}probe +functions\/probe\/index\.ts, import_map\.json, checks callers itself, \d+ files, \d+\.\d KiB\n/,
  );
  assertStringIncludes(named.output, "Would delete the functions of the project that do not exist here.");
  assertMatch(named.output, /Would run: npx -y supabase@\S+ functions deploy --use-api --workdir .* --prune --remote=/);
  assert(!/Would run: .*--dry-run/.test(named.output), named.output);
  assertStringIncludes(named.output, "Nothing was deployed, because of --dry-run.");

  const linked = await deploy(["--dry-run", "health", "health"], {
    env,
    change: (write) => write("supabase/.temp/project-ref", "zyxwvutsrqponmlkjihg\n"),
  });
  assertEquals(linked.code, 0, linked.output);
  assertStringIncludes(linked.output, "Target: the linked project, zyxwvutsrqponmlkjihg");
  assertStringIncludes(linked.output, "Would deploy 1 function:");

  const broken = await deploy(["--dry-run"], {
    env,
    change: (write) => write("functions/health/handler.ts", `import "./gone.ts";\n`),
  });
  assertEquals(broken.code, 1, broken.output);
  assertStringIncludes(broken.output, "functions/health/gone.ts does not exist");
  assert(!broken.output.includes("Would deploy"), broken.output);
});

Deno.test("deploy names the remedy where npx is missing", async () => {
  const { code, output, requests } = await deploy([], { env: { PATH: "/nowhere" } });
  assertEquals([code, requests], [1, []]);
  assertStringIncludes(output, "npx was not found");
  assertStringIncludes(output, "https://nodejs.org");
});

const cli = await npmProgram(SUPABASE_CLI);
const target = ["--remote=abcdefghijklmnopqrst", "health"];

Deno.test({
  name: `deploy passes on the message and status of a CLI that fails${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    const anonymous = await deploy(["--yes", ...target], { env: { SUPABASE_ACCESS_TOKEN: undefined } });
    assertEquals([anonymous.code, anonymous.requests], [1, []]);
    assertStringIncludes(anonymous.output, "Access token not provided");

    const nowhere = await deploy(["--yes", "health"]);
    assertEquals([nowhere.code, nowhere.requests], [1, []]);
    assertStringIncludes(nowhere.output, "supabase link");

    const unasked = await deploy(target);
    assertEquals(unasked.code, 1, unasked.output);
    assertEquals(unasked.requests.filter((request) => !request.startsWith("GET ")), []);
    assertStringIncludes(unasked.output, "Re-run with --yes to confirm");

    assertStringIncludes(unasked.output, "Error: The Supabase CLI exited with status 1, for the reason above");

    const stranger = `sbp_${"0".repeat(40)}`;
    const refused = await deploy(["--yes", ...target], { env: { SUPABASE_ACCESS_TOKEN: stranger } });
    assertEquals(refused.code, 1, refused.output);
    assertStringIncludes(refused.output, "401");
    assert(!refused.output.includes(stranger), refused.output);
  },
});

Deno.test({
  name: `deploy says how to continue when the upload of one function fails${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    const { code, output, uploads } = await deploy(["--yes", "--remote=abcdefghijklmnopqrst", "budgets", "health"], {
      rejected: ["health"],
    });
    assertEquals([code, uploads.map(({ name }) => name)], [1, ["budgets"]], output);
    assertStringIncludes(output, "Failed to bundle the function");
    assertMatch(
      output,
      /Error: The Supabase CLI exited with status 1, .*run the same command again\. Functions that were/,
    );
    assertMatch(
      output,
      /may be in effect; to list them: npx -y supabase@\S+ functions list --remote=abcdefghijklmnopqrst/,
    );
  },
});

Deno.test({
  name: `deploy --dry-run counts the files and bytes that deploy uploads${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    const args = ["--yes", "--remote=abcdefghijklmnopqrst", "probe", "health"];
    const { output } = await deploy([...args, "--dry-run"], { env: { PATH: "/nowhere" } });
    const { uploads } = await deploy(args);
    assertEquals(uploads.length, 2);
    for (const { name, files } of uploads) {
      const bytes = [...files.values()].reduce((sum, content) => sum + content.length, 0);
      assertMatch(output, new RegExp(`\\n  ${name} .*, ${files.size} files, ${(bytes / 1024).toFixed(1)} KiB\\n`));
    }
  },
});

Deno.test({
  name: `deploy warns of folders without a table, and says which of them the CLI deploys${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    const { code, output } = await deploy(["--yes", "--remote=abcdefghijklmnopqrst"], {
      change: async (write) => {
        await write("functions/notes/index.ts", "export default {};");
        await write("supabase/functions/hello/index.ts", "Deno.serve(() => new Response());");
        await write("supabase/functions/hello-js/index.js", "Deno.serve(() => new Response());");
      },
    });
    assertEquals(code, 0, output);
    assertStringIncludes(output, "Warning: functions/notes is not a function of the project");
    assertMatch(
      output,
      /Warning: supabase\/functions\/hello-js\/index\.js is not deployed: the Supabase CLI looks for/,
    );
    assertMatch(
      output,
      /Warning: supabase\/config\.toml has no table for hello: deployed with the defaults of the CLI/,
    );
    const deployed = /Deployed Functions on project abcdefghijklmnopqrst: (.*)/.exec(output)?.[1]?.split(", ") ?? [];
    assert(deployed.includes("budgets") && deployed.includes("hello"), output);
    assert(!deployed.includes("notes") && !deployed.includes("hello-js"), output);
  },
});
