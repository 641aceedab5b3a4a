/**
 * Runs `deno task deploy` against the stand-in.
 *
 * @module
 */
import type { ManagementApi } from "./management_api.ts";
import { PROJECT } from "./project_copy.ts";

/** The result of a run. */
export interface DeployRun {
  /** Its exit status. */
  readonly code: number;
  /** Its output, of both streams. */
  readonly output: string;
}

/** Options for {@linkcode runDeploy}. */
export interface DeployOptions {
  /** The stand-in for the Management API. */
  readonly api: Pick<ManagementApi, "url" | "token">;
  /** The command line. */
  readonly args: readonly string[];
  /** The arguments of Deno that start it. Default: the task of this checkout. */
  readonly command?: readonly string[];
  /** The working folder. Default: this project. */
  readonly cwd?: string;
  /** Variables to set; `undefined` removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The environment without the variables of a developer's own projects. */
function neutralEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("SUPABASE_")));
}

/** Runs the command to its end. */
export async function runDeploy(
  { api, args, command = ["task", "deploy"], cwd = PROJECT, env = {} }: DeployOptions,
): Promise<DeployRun> {
  const home = await Deno.makeTempDir({ prefix: "deploy-home-" });
  try {
    const profile = `${home}/profile.yaml`;
    const address = { api_url: api.url, dashboard_url: api.url, project_host: "supabase.test" };
    // JSON is YAML.
    await Deno.writeTextFile(profile, JSON.stringify({ name: "stand-in", ...address }));
    const variables = {
      ...neutralEnvironment(),
      NO_COLOR: "1",
      // Without the login and the telemetry settings of this machine's user.
      SUPABASE_HOME: home,
      SUPABASE_NO_KEYRING: "1",
      SUPABASE_NO_UPDATE_NOTIFIER: "1",
      DO_NOT_TRACK: "1",
      NO_PROXY: "127.0.0.1,localhost",
      no_proxy: "127.0.0.1,localhost",
      SUPABASE_ACCESS_TOKEN: api.token,
      ...env,
    };
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...command, "--profile", profile, ...args],
      cwd,
      clearEnv: true,
      env: Object.fromEntries(
        Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
