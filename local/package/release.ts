/**
 * `deno task release`: checks, builds and tests the package, and prints how to publish it. It publishes nothing.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { fromFileUrl } from "../paths.ts";
import { type Artifacts, buildArtifacts } from "./artifacts.ts";
import { DOCUMENTED_NAME, PACKAGE_NAME, PACKAGE_VERSION } from "./identity.ts";

const HELP = `Usage: deno task release [options]

Checks the sources, builds the package for npm and JSR, tests both artifacts, and
prints the commands that publish them. Publishes nothing.

  --skip-checks   Do not run the checks of the sources (deno task check)
  --skip-tests    Do not test the artifacts
  --help          Print this

The name and the version are in local/package/identity.ts.
`;

const ROOT = new URL("../../", import.meta.url);

/** Writes a step and the time since the start. */
function progress(step: string): void {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${step}`);
}

/** Runs Deno in this terminal. Throws if it fails. */
async function deno(args: readonly string[], purpose: string): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd: fromFileUrl(ROOT) }).spawn().status;
  if (code !== 0) throw new Error(`${purpose} failed: see above`);
}

/** Returns what to settle before the first publication. */
async function reminders(): Promise<string[]> {
  const lines: string[] = [];
  if (PACKAGE_NAME === DOCUMENTED_NAME) {
    lines.push(`${PACKAGE_NAME} is a placeholder: set the name in local/package/identity.ts`);
  }
  const changes = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  if (!changes.includes(`## ${PACKAGE_VERSION}`) && !changes.includes(`## [${PACKAGE_VERSION}]`)) {
    lines.push(`CHANGELOG.md has no section ${PACKAGE_VERSION}: rename Unreleased`);
  }
  return lines;
}

function kilobytes(path: string): string {
  return `${Math.round(Deno.statSync(path).size / 1000)} kB`;
}

function instructions({ npm, tarball, jsr }: Artifacts): string {
  return `
${PACKAGE_NAME} ${PACKAGE_VERSION} is ready.

  npm   ${tarball} (${kilobytes(tarball)}), unpacked in ${npm}
  JSR   ${jsr}

To publish:

  npm login
  npm publish ${tarball} --access public
  (cd ${jsr} && npx -y deno publish --allow-dirty)
  git tag v${PACKAGE_VERSION} && git push --tags
`;
}

/** Runs the task and returns its exit status. */
async function release(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !["--help", "--skip-checks", "--skip-tests"].includes(arg));
  if (unknown !== undefined) {
    console.error(`Error: Unknown option ${unknown}: --help lists the options.`);
    return 2;
  }
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  if (!args.includes("--skip-checks")) {
    progress("Checking the sources");
    await deno(["task", "check"], "The check");
  }
  progress("Building the packages for npm and JSR");
  const artifacts = await buildArtifacts(ROOT);
  if (!args.includes("--skip-tests")) {
    progress("Testing the artifacts");
    await deno(["test", "-A", "tests/package/"], "A test of the artifacts");
    progress("Running the tests of the library against the artifacts");
    await deno(["run", "-A", "tests/package/portable_runs.ts"], "A test of the library against an artifact");
  }
  progress("Finished");
  console.log(instructions(artifacts));
  for (const line of await reminders()) console.log(`Before you publish: ${line}.`);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await release(Deno.args));
  } catch (error) {
    console.error(`Error: ${messageOf(error)}`);
    Deno.exit(1);
  }
}
