/** What `.ci/run` makes of what the commands it runs say, with stand-ins for them. */
import { fileURLToPath } from "node:url";
import { assertEquals } from "@std/assert";

const SCRIPT = fileURLToPath(new URL("../../.ci/run", import.meta.url));

interface Answers {
  fmt?: string;
  lint?: string;
  check?: string;
  test?: string;
  "test:2.1"?: string;
}

const OK = 'echo "ok | 5 passed (2 steps) | 0 failed | 1 ignored (3s)"';
const OK_2_1 = 'echo "ok | 3 passed | 0 failed (1s)"';

/** Runs the script with a `npx` that does what `answers` say; gives the exit status and the last line. */
async function run(answers: Answers): Promise<[code: number, lastLine: string | undefined]> {
  const { fmt = "true", lint = "true", check = "true", test = OK, "test:2.1": hosted = OK_2_1 } = answers;
  const folder = await Deno.makeTempDir();
  const program = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}\n`);
    await Deno.chmod(`${folder}/${name}`, 0o755);
  };
  try {
    await program("dpkg-query", 'echo "install ok installed"');
    await program(
      "npx",
      `case "$*" in
      "-y deno fmt --check") ${fmt};;
      "-y deno lint") ${lint};;
      "-y deno check .") ${check};;
      "-y deno task test") ${test};;
      "-y deno task test:2.1") ${hosted};;
      "-y supabase@"*" --version" | "-y deno@"*" --version") true;;
      *) echo "unexpected: $*"; exit 99;;
      esac`,
    );
    const { code, stdout } = await new Deno.Command("bash", {
      args: [SCRIPT],
      env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    return [code, new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CASES: Record<string, readonly [Answers, code: number, lastLine: string]> = {
  "all is well": [{}, 0, "8 passed, 0 failed"],
  "a summary in colours": [
    { test: "printf '\\033[0m\\033[32mok\\033[0m | 5 passed | 0 failed (1s)\\n'" },
    0,
    "8 passed, 0 failed",
  ],
  "the last summary counts, not one a test printed": [
    { test: `echo "ok | 99 passed | 0 failed (1s)"; ${OK}` },
    0,
    "8 passed, 0 failed",
  ],
  "tests that fail, and the other run still made": [
    { test: 'echo "FAILED | 4 passed | 2 failed (1s)"; exit 1' },
    1,
    "7 passed, 2 failed",
  ],
  "tests that fail on the older Deno": [
    { "test:2.1": 'echo "FAILED | 2 passed | 1 failed (1s)"; exit 1' },
    1,
    "7 passed, 1 failed",
  ],
  "a run that ends without a summary": [{ test: "exit 3" }, 3, "3 passed, 1 failed"],
  "a run that fails after a good summary": [{ test: `${OK}; exit 1` }, 1, "8 passed, 1 failed"],
  "a run that says nothing and succeeds": [{ test: "true" }, 1, "3 passed, 1 failed"],
  "bad format": [{ fmt: "exit 1" }, 1, "0 passed, 1 failed"],
  "lint": [{ lint: "exit 1" }, 1, "0 passed, 1 failed"],
  "types": [{ check: "exit 1" }, 1, "0 passed, 1 failed"],
};

for (const [name, [answers, code, lastLine]] of Object.entries(CASES)) {
  Deno.test(`CI, ${name}`, async () => assertEquals(await run(answers), [code, lastLine]));
}
