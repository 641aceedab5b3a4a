import { assert, assertEquals } from "@std/assert";
import { SUPABASE_CLI } from "../../local/deploy/supabase_cli.ts";
import { readFunctions } from "../../local/functions/config.ts";
import { projectAt } from "../../local/project.ts";
import { npmProgram } from "../support/components.ts";
import { uploadFaults, uploadSize } from "./checks.ts";
import { runDeploy } from "./command.ts";
import { ManagementApi } from "./management_api.ts";
import { copyProject, PROJECT } from "./project_copy.ts";
import { unpack } from "./tree.ts";

const cli = await npmProgram(SUPABASE_CLI);

Deno.test({
  name: `deploy uploads what each function needs, and nothing else${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    await using api = new ManagementApi();
    await using project = await copyProject();
    const run = await runDeploy({ api, args: ["--workdir", project.root, `--remote=${api.ref}`, "--yes"] });
    assertEquals(run.code, 0, run.output);
    assert(!run.output.includes("WARN"), run.output);

    const names = (await readFunctions(projectAt(project.root))).functions.map(({ name }) => name);
    assertEquals([...api.deployed.keys()].sort(), names);
    const sizes: string[] = [];
    for (const upload of api.deployed.values()) {
      await using tree = await unpack(upload);
      assertEquals(uploadFaults(upload, tree), [], upload.name);
      sizes.push(uploadSize(upload, tree));
    }
    console.log(sizes.join("\n"));

    // A function that imports one part of shared/ uploads only that part.
    const probe = [...api.deployed.get("probe")?.files.keys() ?? []];
    assert(probe.includes("shared/resilience/mod.ts"));
    assertEquals(probe.filter((path) => !/^(import_map\.json|functions\/probe|shared\/resilience)/.test(path)), []);
  },
});

Deno.test({
  name: `deploy uploads one function by name, and leaves the others unchanged${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    await using api = new ManagementApi();
    await using project = await copyProject();
    const args = ["--workdir", project.root, `--remote=${api.ref}`, "--yes", "health"];
    const run = await runDeploy({ api, args });
    assertEquals(run.code, 0, run.output);
    assertEquals(api.uploads.map(({ name, bundleOnly }) => [name, bundleOnly]), [["health", false]]);
    assertEquals([...api.deployed.keys()], ["health"]);
  },
});

Deno.test({
  name: `deploy passes options on to the CLI, with their values${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    await using api = new ManagementApi();
    await using project = await copyProject();
    const args = ["--workdir", project.root, `--remote=${api.ref}`, "--yes"];
    const first = await runDeploy({ api, args: [...args, "probe"] });
    assertEquals(first.code, 0, first.output);
    await project.write("supabase/config.toml", `[functions.health]\nentrypoint = "../functions/health/index.ts"\n`);
    // The table names no import map, and does not disable the platform's check.
    const options = ["--prune", "--jobs", "2", "--import-map", `${project.root}/import_map.json`, "--no-verify-jwt"];
    const second = await runDeploy({ api, args: [...args, ...options] });
    assertEquals(second.code, 0, second.output);
    assertEquals([...api.deployed.keys()], ["health"]);
    const { import_map_path, verify_jwt } = api.deployed.get("health")?.metadata ?? {};
    assertEquals([import_map_path, verify_jwt], ["import_map.json", false]);
  },
});

Deno.test({
  name: `deploy finds a relative --import-map in the current folder, or else in the project${cli.note}`,
  ignore: cli.ignore,
  async fn() {
    await using project = await copyProject();
    const main = `${PROJECT}/local/deploy/main.ts`;
    const command = ["run", "-A", `--config=${PROJECT}/deno.json`, main];
    await project.write("functions/other.json", await Deno.readTextFile(`${project.root}/import_map.json`));
    for (
      const [cwd, path, uploaded] of [
        [`${project.root}/functions`, "other.json", "functions/other.json"],
        [`${project.root}/functions`, "import_map.json", "import_map.json"],
      ] as const
    ) {
      await using api = new ManagementApi();
      const args = ["--workdir", project.root, `--remote=${api.ref}`, "--yes", "--import-map", path, "health"];
      const { code, output } = await runDeploy({ api, command, cwd, args });
      assertEquals([code, api.deployed.get("health")?.metadata.import_map_path], [0, uploaded], output);
    }
  },
});
