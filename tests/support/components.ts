/**
 * Programs of the machine that some tests need and not every machine has.
 *
 * @module
 */

/** The Debian package of each program. */
const PACKAGES = {
  ps: "procps",
  setpriv: "util-linux",
  curl: "curl",
  pgbouncer: "pgbouncer",
} as const;

/** Where programs are, those that Debian keeps out of the way of ordinary users included. */
export const PROGRAM_PATH: string = `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin`;

/** The name of a program a test may need. */
export type ComponentName = keyof typeof PACKAGES;

/** The Debian packages the tests can use. */
export const COMPONENT_PACKAGES: readonly string[] = [...new Set(Object.values(PACKAGES))];

/** Whether a test that needs a component runs, and what to add to its name. */
export interface Component {
  /** Whether the program is missing. */
  readonly ignore: boolean;
  /** Empty, or how to install what is missing. */
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
 * Looks for a program:
 *
 * ```ts
 * const ps = component("ps");
 * Deno.test({ name: `leaves no process behind${ps.note}`, ignore: ps.ignore, fn });
 * ```
 *
 * @throws {Error} when it is missing and `REQUIRE_COMPONENTS` is set, as in CI:
 * a test nobody runs proves nothing.
 */
export function component(
  name: ComponentName,
  { path = PROGRAM_PATH, required = Deno.env.get("REQUIRE_COMPONENTS") === "1" } = {},
): Component {
  const folders = path.split(":").filter((folder) => folder !== "");
  if (folders.some((folder) => isExecutable(`${folder}/${name}`))) return { ignore: false, note: "" };
  const remedy = `apt-get install ${PACKAGES[name]}`;
  if (required) throw new Error(`${name} is missing and REQUIRE_COMPONENTS is set: ${remedy}`);
  return { ignore: true, note: ` (${name} is missing: ${remedy})` };
}

/**
 * What {@linkcode component} says of a program that is an npm package, such as
 * `deno@2.1.4`: whether `npx` has it, for one that it had to load first could
 * be a hundred megabytes that nobody asked for.
 *
 * @throws {Error} when it is missing and `REQUIRE_COMPONENTS` is set.
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
  const remedy = `npx -y ${name} --version`;
  if (required) throw new Error(`${name} is missing and REQUIRE_COMPONENTS is set: ${remedy}`);
  return { ignore: true, note: ` (${name} is missing: ${remedy})` };
}

/**
 * What {@linkcode component} says of tests that change users, and so need root.
 *
 * @throws {Error} when this is not root and `REQUIRE_COMPONENTS` is set.
 */
export function root(
  { uid = Deno.uid(), required = Deno.env.get("REQUIRE_COMPONENTS") === "1" } = {},
): Component {
  if (uid === 0) return { ignore: false, note: "" };
  if (required) throw new Error("This is not root and REQUIRE_COMPONENTS is set: run the tests as root");
  return { ignore: true, note: " (needs root: run the tests as root)" };
}
