/** Tests `.ci/run` with stand-ins for the commands that it runs. */
import { fileURLToPath } from "node:url";
import { assertEquals } from "@std/assert";

const SCRIPT = fileURLToPath(new URL("../../.ci/run", import.meta.url));

interface Commands {
  readonly fmt?: string;
  readonly lint?: string;
  readonly check?: string;
  readonly docs?: string;
  readonly test?: string;
  readonly "test:postgres"?: string;
  readonly "test:2.1"?: string;
}

const OK = 'echo "ok | 5 passed (2 steps) | 0 failed | 1 ignored (3s)"';
const OK_POSTGRES = 'echo "ok | 2 passed | 0 failed (1s)"';
const OK_2_1 = 'echo "ok | 3 passed | 0 failed (1s)"';

/** Runs the script with a `npx` that runs `commands` instead. Returns the exit status and the last line. */
async function run(commands: Commands): Promise<[code: number, lastLine: string | undefined]> {
  const {
    fmt = "true",
    lint = "true",
    check = "true",
    docs = "true",
    test = OK,
    "test:postgres": old = OK_POSTGRES,
    "test:2.1": hosted = OK_2_1,
  } = commands;
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
      "-y deno task docs:lint") ${docs};;
      "-y deno task test") ${test};;
      "-y deno task test:postgres 14") ${old};;
      "-y deno task test:2.1") ${hosted};;
      "-y supabase@"*" --version" | "-y deno@"*" --version" | "-y node@"*" --version") true;;
      "-y --ignore-scripts -p prisma@"*) true;;
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

const CASES: Record<string, readonly [Commands, code: number, lastLine: string]> = {
  "adds the counts of all runs": [{}, 0, "10 passed, 0 failed"],
  "reads a summary with colors": [
    { test: "printf '\\033[0m\\033[32mok\\033[0m | 5 passed | 0 failed (1s)\\n'" },
    0,
    "10 passed, 0 failed",
  ],
  "counts the last summary, not one that a test printed": [
    { test: `echo "ok | 99 passed | 0 failed (1s)"; ${OK}` },
    0,
    "10 passed, 0 failed",
  ],
  "fails when tests fail, after the second run": [
    { test: 'echo "FAILED | 4 passed | 2 failed (1s)"; exit 1' },
    1,
    "9 passed, 2 failed",
  ],
  "fails when tests fail on the oldest Postgres": [
    { "test:postgres": 'echo "FAILED | 1 passed | 1 failed (1s)"; exit 1' },
    1,
    "9 passed, 1 failed",
  ],
  "fails when tests fail on the older Deno": [
    { "test:2.1": 'echo "FAILED | 2 passed | 1 failed (1s)"; exit 1' },
    1,
    "9 passed, 1 failed",
  ],
  "fails when a run ends without a summary": [{ test: "exit 3" }, 3, "5 passed, 1 failed"],
  "fails when a run fails after a good summary": [{ test: `${OK}; exit 1` }, 1, "10 passed, 1 failed"],
  "fails when a run succeeds without a summary": [{ test: "true" }, 1, "5 passed, 1 failed"],
  "fails on bad format": [{ fmt: "exit 1" }, 1, "0 passed, 1 failed"],
  "fails on lint": [{ lint: "exit 1" }, 1, "0 passed, 1 failed"],
  "fails on type errors": [{ check: "exit 1" }, 1, "0 passed, 1 failed"],
  "fails on missing docs": [{ docs: "exit 1" }, 1, "0 passed, 1 failed"],
};

for (const [name, [commands, code, lastLine]] of Object.entries(CASES)) {
  Deno.test(`.ci/run ${name}`, async () => assertEquals(await run(commands), [code, lastLine]));
}
