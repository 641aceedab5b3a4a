import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { curlLines } from "../../local/cli/banner.ts";
import { readSecrets, strayLines } from "../../local/functions/environment.ts";
import { projectAt } from "../../local/project.ts";
import { createProject } from "./fixture.ts";

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

Deno.test("strayLines() accepts every line that is part of NAME=value", () => {
  const cases: [string, number[]][] = [
    ["", []],
    ["A=1\r\n\r\nexport B = 'x'\r\n  # note\r\nC=\r\n", []],
    ['KEY="-----BEGIN\nabc def\n-----END"\nD=1\nstray', [5]],
    ["E=it's\nstray\nF='open\nstray", [2, 4]],
    ["G: 1\n=2\n{}", [1, 2, 3]],
  ];
  for (const [text, expected] of cases) assertEquals(strayLines(text), expected, text);
});

Deno.test("curlLines() offers only commands that the functions of the project can serve", () => {
  const offered = (names: string[]) =>
    curlLines({ url: "http://127.0.0.1:1", publishableKey: "k", functions: { names } }).map(([what]) => what);
  assertEquals(offered(["budgets", "health"]), ["sign up", "create a budget", "look at the pool"]);
  assertEquals(offered(["health", "notes"]), ["sign up", "look at the pool"]);
  assertEquals(offered([]), ["sign up"]);
});
