/**
 * Uploaded functions in isolates like those of the hosted runtime: fresh, with
 * its permissions, and with nothing in their environment but what it gives.
 *
 * @module
 */
import { createToken, parseMessage, TOKEN_VARIABLE } from "../../local/control.ts";
import { certificateEnvironment } from "../../local/deno_2_1/deno.ts";
import { ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE } from "../../local/functions/protocol.ts";
import { SupervisedChild } from "../../local/supervised_child.ts";
import { fromFileUrl, toFileUrl } from "../../local/paths.ts";
import type { UploadedTree } from "./tree.ts";

const BOOTSTRAP = fromFileUrl(new URL("./hosted_bootstrap.ts", import.meta.url));
/** The flags that keep a Deno from reading the config of this project. */
const ALONE = ["--no-config", "--no-lock"];
const START_TIMEOUT_MS = 120_000;

/** A Deno to run functions on. */
export interface HostedRuntime {
  /** Its version. */
  readonly version: string;
  /** The program. */
  readonly path: string;
  /** Its cache folder. */
  readonly cache: string;
}

async function output(command: string, args: readonly string[]): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { ...certificateEnvironment(), NO_COLOR: "1" },
    stdin: "null",
  });
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args[0]}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Describes a Deno: this one, or the one in an npm package such as `deno@2.1.4`. */
export async function hostedRuntime(npmPackage?: string): Promise<HostedRuntime> {
  const find = "console.log(JSON.stringify([Deno.execPath(), Deno.version.deno]))";
  const found = npmPackage === undefined
    ? [Deno.execPath(), Deno.version.deno]
    : JSON.parse(await output("npx", ["--no", "--", npmPackage, "eval", ...ALONE, find]));
  const [path, version]: string[] = found;
  if (path === undefined || version === undefined) throw new Error(`${npmPackage} does not say where it is`);
  const { denoDir }: { denoDir: string } = JSON.parse(await output(path, ["info", ...ALONE, "--json"]));
  return { version, path, cache: denoDir };
}

/** Options for a run of a function. */
export interface HostedIsolateOptions {
  /** The Deno to run it on. */
  readonly runtime: HostedRuntime;
  /** The upload. */
  readonly tree: UploadedTree;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** A running function. */
export class HostedIsolate implements AsyncDisposable {
  readonly #child: SupervisedChild;
  /** Its loopback port. */
  readonly port: number;
  /** The token that a request must carry. */
  readonly token: string;
  /** Its output so far. */
  readonly printed: readonly string[];

  private constructor(child: SupervisedChild, port: number, token: string, printed: readonly string[]) {
    this.#child = child;
    this.port = port;
    this.token = token;
    this.printed = printed;
  }

  /**
   * Loads what the function imports, then starts it with no way to load more.
   *
   * @throws {Error} with what it printed, if it does not come to serve.
   */
  static async start({ runtime, tree, env }: HostedIsolateOptions): Promise<HostedIsolate> {
    // The run gets the versions that were loaded: without a lock file, a new release may resolve otherwise.
    const lock = `${tree.root}/deno-${runtime.version}.lock`;
    const alone = ["--no-config", `--lock=${lock}`, "--node-modules-dir=none", "--import-map", tree.importMap];
    await output(runtime.path, ["cache", ...alone, "--no-check", tree.entrypoint]);
    const token = createToken();
    const printed: string[] = [];
    const ready = Promise.withResolvers<number>();
    const fail = (why: string) => ready.reject(new Error(`${why}: ${printed.join("\n")}`));
    const child = new SupervisedChild({
      command: [
        runtime.path,
        ...["run", "--quiet", "--no-prompt", "--no-check", "--cached-only", ...alone],
        // Those of a user's worker in supabase/edge-runtime, less what a test must not reach.
        ...["--allow-env", "--allow-net=127.0.0.1", "--allow-sys=hostname", `--allow-read=${tree.readable}`],
        BOOTSTRAP,
      ],
      env: {
        ...env,
        NO_COLOR: "1",
        DENO_DIR: runtime.cache,
        [TOKEN_VARIABLE]: token,
        [ENTRYPOINT_VARIABLE]: toFileUrl(tree.entrypoint),
        [VISIBLE_VARIABLE]: Object.keys(env).join(","),
      },
      cwd: tree.root,
      onLine: (line) => {
        const message = parseMessage(token, line);
        if (message && "port" in message) ready.resolve(message.port);
        else if (message) fail("error" in message ? message.error : `exited with status ${message.code}`);
        else if (line !== "") printed.push(line);
      },
    });
    const timer = setTimeout(() => fail(`not ready within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    child.exited.then((status) => fail(`ended with status ${status}`));
    try {
      return new HostedIsolate(child, await ready.promise, token, printed);
    } catch (error) {
      await child.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
  }
}
