/**
 * Programs that some tests need and not every machine has.
 *
 * @module
 */

/** The Debian packages of the programs. */
const PACKAGES = {
  ps: "procps",
  setpriv: "util-linux",
  curl: "curl",
  pgbouncer: "pgbouncer",
  chromium: "chromium",
  "redis-server": "redis-server",
  openssl: "openssl",
  pgbench: "postgresql",
  sshd: "openssh-server",
  promtool: "prometheus",
  script: "bsdutils",
} as const;

/** The search path for programs, including folders that Debian omits for ordinary users. */
export const PROGRAM_PATH: string = `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin`;

/** The name of a program that a test may need. */
export type ComponentName = keyof typeof PACKAGES;

/** The Debian packages that the tests can use. */
export const COMPONENT_PACKAGES: readonly string[] = [...new Set(Object.values(PACKAGES))];

/** The availability of a component, for the options of a test. */
export interface Component {
  /** `true` if the program is missing. */
  readonly ignore: boolean;
  /** A suffix for the name of the test: empty, or how to install the program. */
  readonly note: string;
}

function isExecutable(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && (mode === null || (mode & 0o111) !== 0);
  } catch {
    return false;
  }
}

/**
 * Looks for a program.
 *
 * @example
 * ```ts
 * const ps = component("ps");
 * Deno.test({ name: `leaves no process behind${ps.note}`, ignore: ps.ignore, fn });
 * ```
 *
 * @throws {Error} If it is missing and `REQUIRE_COMPONENTS` is set, as in CI, where no test may be ignored.
 */
export function component(
  name: ComponentName,
  { path = PROGRAM_PATH, required = Deno.env.get("REQUIRE_COMPONENTS") === "1" } = {},
): Component {
  const folders = path.split(":").filter((folder) => folder !== "");
  if (folders.some((folder) => isExecutable(`${folder}/${name}`))) return { ignore: false, note: "" };
  const fix = `apt-get install ${PACKAGES[name]}`;
  if (required) throw new Error(`${name} is missing and REQUIRE_COMPONENTS is set: ${fix}`);
  return { ignore: true, note: ` (${name} is missing: ${fix})` };
}

/**
 * Looks for a program that is an npm package, such as `deno@2.1.4`, in the cache of
 * `npx`. It is not downloaded, which could be a hundred megabytes.
 *
 * @throws {Error} If it is missing and `REQUIRE_COMPONENTS` is set.
 */
export async function npmProgram(
  name: string,
  { env = {}, required = Deno.env.get("REQUIRE_COMPONENTS") === "1" }: {
    readonly env?: Record<string, string>;
    readonly required?: boolean;
  } = {},
): Promise<Component> {
  const args = ["--no", "--", name, "--version"];
  const npx = new Deno.Command("npx", { args, env, stdin: "null", stdout: "null", stderr: "null" });
  const found = await npx.output().then(({ success }) => success, () => false);
  if (found) return { ignore: false, note: "" };
  const fix = `npx -y ${name} --version`;
  if (required) throw new Error(`${name} is missing and REQUIRE_COMPONENTS is set: ${fix}`);
  return { ignore: true, note: ` (${name} is missing: ${fix})` };
}

/** Names of npm packages with versions. The first one has a program of its name. */
export type NpmPackageList = readonly [string, ...string[]];

/** The availability of npm packages, and their folder. */
export interface NpmPackages extends Component {
  /** The `node_modules` that has them; `undefined` if they are missing. */
  readonly folder: string | undefined;
}

function programOf([first]: NpmPackageList): string {
  return first.replace(/@[^@]*$/, "");
}

/**
 * Looks for npm packages in the cache of `npx`, into which one command installs them together.
 *
 * @throws {Error} If one is missing and `REQUIRE_COMPONENTS` is set.
 */
export async function npmPackages(
  packages: NpmPackageList,
  { env = {}, required = Deno.env.get("REQUIRE_COMPONENTS") === "1" }: {
    readonly env?: Record<string, string>;
    readonly required?: boolean;
  } = {},
): Promise<NpmPackages> {
  const program = programOf(packages);
  const options = [...packages.flatMap((name) => ["-p", name]), "-c", `command -v ${program}`];
  const npx = new Deno.Command("npx", { args: ["--no", "--offline", ...options], env, stdin: "null", stderr: "null" });
  const found = await npx.output().then(({ stdout }) => new TextDecoder().decode(stdout).trim(), () => "");
  const end = `/.bin/${program}`;
  if (found.endsWith(end)) return { ignore: false, note: "", folder: found.slice(0, -end.length) };
  const fix = npmPackagesInstall(packages);
  if (required) throw new Error(`${program} is missing and REQUIRE_COMPONENTS is set: ${fix}`);
  return { ignore: true, note: ` (${program} is missing: ${fix})`, folder: undefined };
}

/** Returns the command that installs npm packages for {@linkcode npmPackages}. It runs none of their scripts. */
export function npmPackagesInstall(packages: NpmPackageList): string {
  return `npx -y --ignore-scripts ${packages.map((name) => `-p ${name}`).join(" ")} -c "command -v ${
    programOf(packages)
  }"`;
}

/**
 * Returns the availability of root, for tests that change users.
 *
 * @throws {Error} If this process does not run as root and `REQUIRE_COMPONENTS` is set.
 */
export function root(
  { uid = Deno.uid(), required = Deno.env.get("REQUIRE_COMPONENTS") === "1" } = {},
): Component {
  if (uid === 0) return { ignore: false, note: "" };
  if (required) throw new Error("This user is not root and REQUIRE_COMPONENTS is set: run the tests as root");
  return { ignore: true, note: " (needs root: run the tests as root)" };
}
