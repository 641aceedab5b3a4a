import { assertEquals, assertStringIncludes } from "@std/assert";
import { readFunctions } from "../../local/functions/config.ts";
import { watchSources } from "../../local/functions/watcher.ts";
import { projectAt } from "../../local/project.ts";
import { eventually } from "./fixture.ts";
import { KEYS, openTo, serveProject } from "./serve.ts";

const respond = (text: string) => `Deno.serve(() => new Response("${text}"));`;

Deno.test("watchSources() serves new functions, stops removed ones, and follows deno.json and config.toml", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("kept"),
      "supabase/functions/kept/index.ts": respond("kept"),
      "elsewhere/moved/index.ts": respond("moved"),
      "supabase/functions/kept/one.ts": `export default "one";`,
      "supabase/functions/kept/two.ts": `export default "two";`,
    },
  });
  const { root, functions, call } = served;
  const project = projectAt(root);
  const logged: string[] = [];
  // Without a table, functions require a JWT.
  const credentials = new Set(["fresh", "moved"]);
  using _watch = await watchSources({
    project,
    functions,
    read: () => readFunctions(project),
    log: (source, line) => logged.push(`${source}: ${line}`),
  });
  const body = async (name: string) => {
    const response = await call(name, credentials.has(name) ? { headers: { apikey: KEYS.publishableKey } } : {});
    const text = await response.text();
    return response.ok ? text : response.status;
  };
  const path = (name: string) => `${root}/supabase/functions/${name}`;
  const untilLogged = (line: string) => eventually(() => logged.includes(line), `${line} in ${logged.join("; ")}`);
  assertEquals(await body("kept"), "kept");
  assertEquals(await body("fresh"), 404);

  await Deno.mkdir(path("fresh"));
  await Deno.writeTextFile(path("fresh/index.ts"), respond("fresh"));
  await untilLogged("fresh: new: it is served");
  assertEquals(await body("fresh"), "fresh");
  assertEquals(logged.includes("kept: reloaded"), false, "another function was reloaded");

  // One event, of a folder, names no file.
  await Deno.rename(`${root}/elsewhere/moved`, path("moved"));
  await untilLogged("moved: new: it is served");
  assertEquals(await body("moved"), "moved");

  await Deno.remove(path("fresh"), { recursive: true });
  await eventually(async () => await body("fresh") !== "fresh", "the end of a removed function");
  assertEquals(logged.includes("kept: reloaded"), false, "another function was reloaded");

  const map = (target: string) => Deno.writeTextFile(path("kept/deno.json"), `{"imports":{"what":"./${target}.ts"}}`);
  await map("one");
  await Deno.writeTextFile(path("kept/index.ts"), `import what from "what"; Deno.serve(() => new Response(what));`);
  await eventually(async () => await body("kept") === "one", "the new deno.json");
  await map("two");
  await eventually(async () => await body("kept") === "two", "the edited deno.json");

  await Deno.writeTextFile(`${root}/supabase/config.toml`, "[functions.kept]\nverify_jwt = true\n");
  await eventually(async () => await body("kept") === 401, "verify_jwt of the edited config.toml");
  await Deno.writeTextFile(`${root}/supabase/config.toml`, "[functions.kept\n");
  await eventually(() => logged.some((line) => /^watch: .*config\.toml:1: /.test(line)), "the error of the file");
  assertEquals(await body("kept"), 401);
  assertStringIncludes(logged.join("\n"), "watch: supabase/config.toml changed");
});

Deno.test("watchSources() reloads every function when the file of --env-file changes or is replaced", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("one"),
      "supabase/functions/one/index.ts": respond("one"),
      "secrets/my.env": "A=1",
      "secrets/other.txt": "",
    },
  });
  const { root, functions } = served;
  const project = projectAt(root);
  const logged: string[] = [];
  const envFile = `${root}/secrets/my.env`;
  const log = (source: string, line: string) => logged.push(`${source}: ${line}`);
  using _watch = await watchSources({ project, functions, envFile, read: () => readFunctions(project), log });
  await Deno.writeTextFile(envFile, "A=2");
  await eventually(() => logged.length === 1, "the first reload");
  await Deno.writeTextFile(`${root}/secrets/other.txt`, "not a secret");
  await Deno.writeTextFile(`${envFile}.new`, "A=3");
  await Deno.rename(`${envFile}.new`, envFile);
  await eventually(() => logged.length === 2, "the second reload");
  assertEquals(logged, ["one: reloaded", "one: reloaded"]);
});
