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

/** The programs that the release runs, one after the other. */
class Steps implements AsyncDisposable {
  readonly #temporary: string;
  #child: Deno.ChildProcess | undefined;
  #interrupted = false;
  readonly #interrupt = () => {
    this.#interrupted = true;
    // A terminal sends Ctrl-C to the child as well; `kill` reaches this process only.
    try {
      this.#child?.kill("SIGTERM");
    } catch {
      // It has ended.
    }
  };

  private constructor(temporary: string) {
    this.#temporary = temporary;
    for (const signal of SIGNALS) Deno.addSignalListener(signal, this.#interrupt);
  }

  static async start(): Promise<Steps> {
    return new Steps(await Deno.makeTempDir({ prefix: "release-" }));
  }

  /** Runs Deno in this terminal, with a folder for temporary files that is removed at the end. Throws if it fails. */
  async deno(args: readonly string[], purpose: string): Promise<void> {
    this.check();
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: fromFileUrl(ROOT),
      env: { TMPDIR: this.#temporary },
      stdin: "null",
    }).spawn();
    const { code } = await this.#child.status;
    this.check();
    if (code !== 0) throw new Error(`${purpose} failed: see above`);
  }

  /** Throws if the release was interrupted. */
  check(): void {
    if (this.#interrupted) throw new InterruptedError("Interrupted. Nothing was published.");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, this.#interrupt);
    await Deno.remove(this.#temporary, { recursive: true }).catch(() => {});
  }
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

class InterruptedError extends Error {}

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

function instructions({ npm, tarball, jsr }: Artifacts, checked: readonly string[]): string {
  const list = checked.length === 0
    ? "  nothing: --skip-checks and --skip-tests"
    : checked.map((each) => `  ${each}`).join("\n");
  return `
${PACKAGE_NAME} ${PACKAGE_VERSION} is built. Nothing was published.

Checked:

${list}

Built:

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
  await using steps = await Steps.start();
  const checked: string[] = [];
  if (!args.includes("--skip-checks")) {
    progress("Checking the sources");
    await steps.deno(["task", "check"], "The check");
    checked.push("sources    format, lint, types, docstrings");
  }
  progress("Building the packages for npm and JSR");
  const artifacts = await buildArtifacts(ROOT);
  steps.check();
  if (!args.includes("--skip-tests")) {
    progress("Testing the artifacts");
    await steps.deno(["test", "-A", "tests/package/"], "A test of the artifacts");
    checked.push(
      "npm        contents; types under node16, nodenext and bundler; a function and a Node server",
      "JSR        deno publish --dry-run: no slow types, no warning; a function",
      "tools      init, doctor, dev and deploy on a project of the Supabase CLI; a copy by init --vendor",
    );
    progress("Running the tests of the library against the artifacts");
    await steps.deno(["run", "-A", "tests/package/portable_runs.ts"], "A test of the library against an artifact");
    checked.push("library    its tests against npm and JSR on this Deno and Deno 2.1.4, and npm on Node 22.1");
  }
  progress("Finished");
  console.log(instructions(artifacts, checked));
  for (const line of await reminders()) console.log(`Before you publish: ${line}.`);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await release(Deno.args));
  } catch (error) {
    console.error(`Error: ${messageOf(error)}`);
    Deno.exit(error instanceof InterruptedError ? 130 : 1);
  }
}
