/**
 * Whether the runtime sends the client certificates it is given.
 *
 * @module
 */
import { ConfigError } from "../../pool/mod.ts";
import type { PostgresConfig } from "./config.ts";

/** Deno does since 2.5: before, `node:tls` takes them and leaves them out. */
const SINCE = { major: 2, minor: 5 };

/**
 * Refuses a client certificate that would not be sent: the server would take us for nobody, or let us in unproven.
 *
 * @param runtime The version of Deno; that of the hosted runtime says what it is compatible with.
 * @throws {ConfigError} when `ssl.cert` or `ssl.key` is set and the runtime would leave it out.
 */
export function checkClientCertificate({ ssl }: Pick<PostgresConfig, "ssl">, runtime = Deno.version.deno): void {
  if (typeof ssl === "boolean" || (ssl.cert === undefined && ssl.key === undefined)) return;
  const [, major, minor] = /(?:^|Deno v?)(\d+)\.(\d+)/i.exec(runtime) ?? [];
  const known = major !== undefined && minor !== undefined;
  if (known && (Number(major) > SINCE.major || (Number(major) === SINCE.major && Number(minor) >= SINCE.minor))) return;
  const message = "this runtime sends no client certificate, Deno does since 2.5: log in with a password there";
  throw new ConfigError([{ path: "ssl.cert", message }], "Postgres configuration");
}
