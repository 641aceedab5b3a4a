/** Nothing of metrics is loaded by a function that takes none, and before its first response by one that does. */
import { assert, assertEquals } from "@std/assert";
import { linkedImportMap } from "../../local/deno_2_1/deno.ts";
import { denoArgs } from "../support/deno_process.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { environment } from "./real_rig.ts";

const ROOT = new URL("../../", import.meta.url);
const METRICS = new URL("shared/observability/metrics/", ROOT);

/** The modules of metrics that an isolate has loaded. */
interface Loaded {
  readonly body: string;
  readonly withFunction: readonly string[];
  readonly withResponse: readonly string[];
  readonly later: readonly string[];
}

/**
 * Writes an import map that has every module of metrics note its name in `loadedModules` before it is loaded.
 *
 * @param folder Takes the map and the modules that note.
 */
async function watchedImportMap(folder: string): Promise<string> {
  const [, text = ""] = (await linkedImportMap(ROOT)).split(",");
  const { imports } = JSON.parse(decodeURIComponent(text));
  for await (const { name } of Deno.readDir(METRICS)) {
    const note = `globalThis.loadedModules?.push(${JSON.stringify(name)});`;
    const module = new URL(name, METRICS);
    await Deno.writeTextFile(`${folder}/${name}`, `${note}\nexport * from "${module}?watched";\n`);
    imports[module.href] = new URL(`file://${folder}/${name}`).href;
  }
  const path = `${folder}/import_map.json`;
  await Deno.writeTextFile(path, JSON.stringify({ imports }));
  return path;
}

async function loadedBy(switches: Record<string, string>, ...args: string[]): Promise<Loaded> {
  const folder = await Deno.makeTempDir();
  await using project = startFakeProject();
  try {
    const map = await watchedImportMap(folder);
    // The last import map counts; an older Deno gets one without it.
    const options = denoArgs().filter((arg) => arg !== "--import-map" && !arg.startsWith("data:"));
    const script = new URL("isolates/unloaded_metrics.ts", import.meta.url).pathname;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", ...options, "--import-map", map, script, ...args],
      env: { ...environment(project.url) as Record<string, string>, ...switches, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const line = new TextDecoder().decode(stdout);
    assert(line.startsWith("{"), new TextDecoder().decode(stderr));
    return JSON.parse(line);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("withPooledSupabase() loads no module of metrics where they are off", async () => {
  const { body, ...loaded } = await loadedBy({ POOL_METRICS: "off" });
  assertEquals([body, loaded], ["ok", { withFunction: [], withResponse: [], later: [] }]);
});

Deno.test("withPooledSupabase() loads metrics after its first response where they are on", async () => {
  const { body, later, ...loaded } = await loadedBy({ POOL_METRICS: "on" }, "waits");
  assertEquals([body, loaded], ["ok", { withFunction: [], withResponse: [] }]);
  assert(later.includes("mod.ts") && later.includes("observe_pool.ts"), JSON.stringify(later));
});
