/**
 * Serves the functions of a small project behind a gateway, without a database.
 *
 * @module
 */
import { SignJWT } from "jose";
import { readConfig } from "../../local/config/mod.ts";
import { DataApi } from "../../local/data_api/mod.ts";
import { readFunctions } from "../../local/functions/config.ts";
import { readSecrets } from "../../local/functions/environment.ts";
import type { Limits } from "../../local/functions/limits.ts";
import { Functions } from "../../local/functions/mod.ts";
import { Gateway } from "../../local/gateway/mod.ts";
import { createJwtCheck } from "../../local/gateway/verify_jwt.ts";
import { projectAt } from "../../local/project.ts";

/** Files by path. Functions are at `supabase/functions/<name>/index.ts`. */
export type Files = Readonly<Record<string, string>>;

/** The keys of the gateway. */
export const KEYS = {
  publishableKey: "sb_publishable_0123456789",
  secretKey: "sb_secret_0123456789",
  jwtSecret: "a secret of at least thirty-two characters",
};

/** Options for {@linkcode serveProject}. */
export interface ServeOptions {
  /** The files of the project. */
  readonly files: Files;
  /** The limits of the functions. Default: none. */
  readonly limits?: Limits;
  /** More hosts to accept. Default: none. */
  readonly allowedHosts?: readonly string[];
}

/** A project whose functions are served. */
export interface ServedProject extends AsyncDisposable {
  /** Its folder. */
  readonly root: string;
  /** The URL of the gateway. */
  readonly url: string;
  /** The port of the gateway. */
  readonly port: number;
  /** The functions. */
  readonly functions: Functions;
  /** The error of each function that could not be loaded. */
  readonly failures: ReadonlyMap<string, string>;
  /** The lines that the functions printed, each after a name. */
  readonly lines: readonly string[];
  /** Calls a function; verify_jwt is off unless config.toml says otherwise. */
  call(path: string, init?: RequestInit): Promise<Response>;
}

/** Writes a project to a temporary folder. */
export async function writeProject(files: Files): Promise<{ root: string } & AsyncDisposable> {
  const parent = await Deno.makeTempDir({ prefix: "local-functions-test-" });
  const root = `${parent}/a project`;
  for (const [path, text] of Object.entries(files)) {
    const file = `${root}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return { root, [Symbol.asyncDispose]: () => Deno.remove(parent, { recursive: true }) };
}

/** Returns a config file that opens functions to all. */
export function openTo(...names: string[]): string {
  return names.map((name) => `[functions.${name}]\nverify_jwt = false\n`).join("");
}

/** Serves the functions of a project that consists of `files`. */
export async function serveProject({ files, limits, allowedHosts }: ServeOptions): Promise<ServedProject> {
  await using parts = new AsyncDisposableStack();
  const { root } = parts.use(await writeProject(files));
  const project = projectAt(root);
  const config = await readConfig(project);
  const { functions: configs } = await readFunctions(project, config);
  const { secrets } = await readSecrets(project, { configured: config.edgeRuntime.secrets });
  const lines: string[] = [];
  const gateway = new Gateway(0, allowedHosts);
  parts.defer(() => gateway.stop());
  const functions = new Functions({
    project,
    configs,
    limits,
    env: () => Promise.resolve({ SUPABASE_URL: gateway.url, ...secrets }),
    log: (source, line) => lines.push(`${source}: ${line}`),
  });
  parts.defer(() => functions.stop());
  const failures = await functions.start();
  const dataApi = new Proxy(DataApi.prototype, { get: () => undefined });
  gateway.connect({ functions, dataApi, checkJwt: createJwtCheck({ ...KEYS, jwks: { keys: [] } }) });
  const held = parts.move();
  return {
    root,
    url: gateway.url,
    port: gateway.port,
    functions,
    failures,
    lines,
    call: (path, init) => fetch(`${gateway.url}/functions/v1/${path}`, init),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Returns a token of the shared secret. */
export async function sign(claims: Record<string, unknown>, secret = KEYS.jwtSecret): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h")
    .sign(new TextEncoder().encode(secret));
}

/** Sends bytes to the gateway and returns the start of its response. */
export async function raw(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  const buffer = new Uint8Array(4_000);
  return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
}
