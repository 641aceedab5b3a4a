/**
 * Messages of child processes: single lines of their output, marked with a token
 * that no other output contains.
 *
 * @module
 */

/** The header that proves to a child that a request comes from the gateway. */
export const TOKEN_HEADER = "x-stack-token";

/** The environment variable with the token of a child. The child deletes it before other code runs. */
export const TOKEN_VARIABLE = "STACK_TOKEN";

/** A message of a child about itself. */
export type ControlMessage =
  /** It serves on this loopback port. */
  | { readonly type: "ready"; readonly port: number; readonly pid?: number }
  /** It could not load its code. */
  | { readonly type: "failed"; readonly error: string }
  /** Its code ends it with `Deno.exit`. */
  | { readonly type: "exit"; readonly code: number };

/** Creates a token. */
export function createToken(): string {
  return crypto.randomUUID();
}

/** Sends `message` to the parent process. */
export function sendMessage(token: string, message: ControlMessage): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`\n${token} ${JSON.stringify(message)}\n`));
}

/** Parses a line of output; `undefined` if it is not a message. */
export function parseMessage(token: string, line: string): ControlMessage | undefined {
  if (!line.startsWith(`${token} `)) return undefined;
  const message: unknown = JSON.parse(line.slice(token.length + 1));
  if (typeof message !== "object" || message === null) return undefined;
  const { port, pid, error, code }: { port?: unknown; pid?: unknown; error?: unknown; code?: unknown } = message;
  if (typeof port === "number") return { type: "ready", port, ...(typeof pid === "number" ? { pid } : {}) };
  if (typeof error === "string") return { type: "failed", error };
  return typeof code === "number" ? { type: "exit", code } : undefined;
}

/** Removes this process's token from the environment and returns it. */
export function takeToken(): string {
  const token = Deno.env.get(TOKEN_VARIABLE);
  if (!token) throw new Error(`${TOKEN_VARIABLE} is not set: the local stack starts this program`);
  Deno.env.delete(TOKEN_VARIABLE);
  return token;
}

const RUNTIME_VARIABLES = [
  "HOME",
  "PATH",
  "TMPDIR",
  "XDG_CACHE_HOME",
  "NO_COLOR",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "npm_config_registry",
  "NPM_CONFIG_REGISTRY",
  "JSR_URL",
];

/** Returns the variables that Deno itself needs: caches, certificates, proxies. */
export function runtimeEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) =>
      RUNTIME_VARIABLES.includes(name) || name.startsWith("DENO_")
    ),
  );
}

/** Deletes the variables that only Deno itself needs, so that code sees an environment like the hosted one. */
export function hideRuntimeEnvironment(keep: ReadonlySet<string>): void {
  // Proxies and certificates are kept: each new connection reads them.
  for (const name of ["HOME", "TMPDIR", "XDG_CACHE_HOME", "DENO_DIR", "NO_COLOR"]) {
    if (!keep.has(name)) Deno.env.delete(name);
  }
}
