/**
 * What our child processes tell us: single lines of their output, marked with
 * a token that nothing else they print can hold.
 *
 * @module
 */

/** The header by which a child knows that a request comes from the gateway, not past it. */
export const TOKEN_HEADER = "x-stack-token";

/** The environment variable that hands a child its token. It is gone before other code runs there. */
export const TOKEN_VARIABLE = "STACK_TOKEN";

/** What a child may say about itself. */
export type ControlMessage =
  /** It serves on this loopback port. */
  | { readonly type: "ready"; readonly port: number }
  /** It could not load its code. */
  | { readonly type: "failed"; readonly error: string };

/** A new token. */
export function makeToken(): string {
  return crypto.randomUUID();
}

/** Says `message` to the parent. */
export function say(token: string, message: ControlMessage): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`\n${token} ${JSON.stringify(message)}\n`));
}

/** The message in `line`, if it is one. */
export function hear(token: string, line: string): ControlMessage | undefined {
  if (!line.startsWith(`${token} `)) return undefined;
  const message: unknown = JSON.parse(line.slice(token.length + 1));
  if (typeof message !== "object" || message === null) return undefined;
  if ("port" in message && typeof message.port === "number") return { type: "ready", port: message.port };
  if ("error" in message && typeof message.error === "string") return { type: "failed", error: message.error };
  return undefined;
}

/** This process's token, taken out of the environment. */
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
];

/** What Deno itself needs of our environment: caches, certificates, proxies. */
export function runtimeEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) =>
      RUNTIME_VARIABLES.includes(name) || name.startsWith("DENO_")
    ),
  );
}

/** Takes out of the environment what only Deno itself needed, for code that is to see a hosted one. */
export function hideRuntimeEnvironment(keep: ReadonlySet<string>): void {
  // Proxies and certificates are read again with each new connection.
  for (const name of ["HOME", "TMPDIR", "XDG_CACHE_HOME", "DENO_DIR", "NO_COLOR"]) {
    if (!keep.has(name)) Deno.env.delete(name);
  }
}
