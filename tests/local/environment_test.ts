import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { curlLines } from "../../local/cli/banner.ts";
import { parseEnvFile } from "../../local/env_file.ts";
import { readSecrets } from "../../local/functions/environment.ts";
import { projectAt } from "../../local/project.ts";
import { StackError } from "../../local/stack_error.ts";
import { createProject } from "./fixture.ts";
import { writeProject } from "./serve.ts";

Deno.test("readSecrets() names an invalid line of .env by its number, not by its text", async () => {
  await using fixture = await createProject();
  await fixture.write("functions/.env", "# keys\nA=1\nsesame-open\nhush hush=2\n");
  await fixture.write("supabase/functions/.env", "SUPABASE_URL=x\nB=2\n");
  const { secrets, warnings } = await readSecrets(projectAt(fixture.root));
  assertEquals({ ...secrets }, { A: "1", B: "2" });
  assertEquals(warnings.length, 3);
  for (const line of [3, 4]) {
    assert(
      warnings.some((text) => text.startsWith(`functions/.env, line ${line} is ignored, because it is not NAME=value`)),
      warnings.join(),
    );
  }
  assertStringIncludes(warnings[0] ?? "", "SUPABASE_URL is ignored");
  assert(!/sesame|hush/.test(warnings.join("\n")));
});

Deno.test("parseEnvFile() accepts every line that is part of NAME=value, and returns the numbers of the others", () => {
  const cases: [string, number[]][] = [
    ["", []],
    ["A=1\r\n\r\nexport B = 'x'\r\n  # note\r\nC=\r\n", []],
    ['KEY="-----BEGIN\nabc def\n-----END"\nD=1\nstray', [5]],
    ["E=it's\nstray\nF='open\nstray", [2, 4]],
    ["G: 1\n=2\n{}", [1, 2, 3]],
  ];
  for (const [text, expected] of cases) assertEquals(parseEnvFile(text).strayLines, expected, text);
});

Deno.test("parseEnvFile() returns the numbers of the lines whose quote is not closed", () => {
  const { variables, unclosedLines } = parseEnvFile('A=\'open\nB=x\nC="x\\"\nD=`a\nb`\n');
  assertEquals([variables, unclosedLines], [{ A: "'open", B: "x", C: '"x\\"', D: "a\nb" }, [1, 3]]);
});

Deno.test("readSecrets() ignores values that no process can have, and names each with the remedy", async () => {
  await using project = await writeProject({
    "supabase/functions/.env": `A=a\0b\nB=${"x".repeat(131_001)}\nC=1\nD="open`,
  });
  const { secrets, warnings } = await readSecrets(projectAt(project.root));
  assertEquals(secrets, { C: "1", D: '"open' });
  assertEquals(warnings, [
    "supabase/functions/.env, line 4: the value keeps its quote, because the quote is not closed: close it.",
    "supabase/functions/.env: A is ignored, because it contains a null byte: encode the value, for example as base64.",
    "supabase/functions/.env: B is ignored, because it has 131001 bytes, of which a process can have 131000: read it " +
    "from a file.",
  ]);
});

Deno.test("readSecrets() says why a file cannot be read, and what to do", async () => {
  await using project = await writeProject({ "supabase/functions/.env/x": "", "file": "" });
  const at = projectAt(project.root);
  const folder = await assertRejects(() => readSecrets(at), StackError);
  assertEquals(
    [folder.code, folder.message],
    ["CONFIG_INVALID", "Cannot read the secrets in supabase/functions/.env, because it is a folder: name a file."],
  );
  const nothing = await writeProject({ "supabase/config.toml": "" });
  await using _removed = nothing;
  const below = `${project.root}/file/.env`;
  const missing = await assertRejects(() => readSecrets(projectAt(nothing.root), { envFile: below }), StackError);
  assertEquals(missing.message, `File not found: ${below}, the file of --env-file.`);
});

Deno.test("parseEnvFile() reads and expands values as the Supabase CLI does", () => {
  const cases: [string, Record<string, string>][] = [
    ["BASE=foo\nA=${BASE}/bar\nB=$BASE-x", { BASE: "foo", A: "foo/bar", B: "foo-x" }],
    ["BASE=foo\nA=\"${BASE} x\"\nB='${BASE}'", { BASE: "foo", A: "foo x", B: "${BASE}" }],
    ["A=x${UNSET}y", { A: "xy" }],
    ["A=\\$B\nC=pa$$lower$", { A: "$B", C: "pa$$lower$" }],
    ['A=1 # note\nB=a#b\nC= # only\nD="x # y" # z', { A: "1", B: "a#b", C: "", D: "x # y" }],
    ['A="x\\ny\\"z"\nB=\'x\\ny\'', { A: 'x\ny"z', B: "x\\ny" }],
    ['A="-----BEGIN\nabc\n-----END"\r\nexport B = 2', { A: "-----BEGIN\nabc\n-----END", B: "2" }],
    ["A=1\nA=2", { A: "2" }],
    ["\uFEFFA=a=b", { A: "a=b" }],
  ];
  for (const [text, expected] of cases) assertEquals(parseEnvFile(text).variables, expected, text);
});

Deno.test("readSecrets() reads config.toml, .env.local and .env; later ones win", async () => {
  await using project = await writeProject({
    ".env.local": "A=root\nB=root\nSUPABASE_URL=x\n",
    "supabase/.env.local": "B=supabase\nC=supabase\n",
    "supabase/functions/.env": "C=functions\nD=functions\n",
    "supabase/functions/.env.local": "D=local\n",
    "more.env": "E=more\n",
  });
  const at = projectAt(project.root);
  const { secrets, warnings } = await readSecrets(at, {
    configured: { A: "config", F: "config" },
    envFile: `${project.root}/more.env`,
  });
  assertEquals(secrets, { A: "root", B: "supabase", C: "functions", D: "local", E: "more", F: "config" });
  assertEquals(warnings, []);
  await assertRejects(() => readSecrets(at, { envFile: "/nowhere/.env" }), StackError, "--env-file");
});

Deno.test("curlLines() offers only commands that the functions of the project can serve", () => {
  const linesFor = (names: string[], failed: string[] = []) =>
    curlLines({
      url: "http://127.0.0.1:1",
      publishableKey: "k",
      jwtSecret: "a secret of at least thirty-two characters",
      functions: { names, failures: new Map(failed.map((name) => [name, "reason"])) },
    });
  const offered = (...args: Parameters<typeof linesFor>) => linesFor(...args).map(([what]) => what);
  assertEquals(offered(["budgets", "health"]), ["sign up", "create a budget", "look at the pool"]);
  assertEquals(offered(["health", "notes"]), ["sign up", "call notes", "look at the pool"]);
  assertEquals(offered(["a", "b"], ["a"]), ["sign up", "call b"]);
  assertEquals(offered(["a"], ["a"]), ["sign up"]);
  assertEquals(offered([]), ["sign up"]);
  const [, [, command = ""] = []] = linesFor(["hello"]);
  assertMatch(command, /^curl -i http:\/\/127\.0\.0\.1:1\/functions\/v1\/hello -H 'Authorization: Bearer ey[\w.-]+' /);
});
