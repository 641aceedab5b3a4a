/**
 * Sends the requests of `pg_net`, and keeps the responses in `net._http_response`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Sql } from "postgres";
import { messageOf } from "../../shared/resilience/mod.ts";

interface QueuedRequest {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string> | null;
  readonly body: string | null;
  readonly timeout: number;
}

interface Outcome {
  readonly status: number | null;
  readonly headers: Record<string, string> | null;
  readonly content: string | null;
  readonly timedOut: boolean | null;
  readonly error: string | null;
}

const FAILED = { status: null, headers: null, content: null };

/** Names of the gateway in projects that run with the Supabase CLI, where the database is in a container. */
const GATEWAY_HOST = /^(kong|supabase_kong_.*|api\.supabase\.internal|host\.docker\.internal)$/;
const LOCAL_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|.*\.localhost)$/;
const BATCH = 50;

/** Returns the address that a request is sent to; `undefined` if it is not one of this machine. */
export function localAddress(url: string, gatewayUrl: string): URL | undefined {
  const address = URL.parse(url);
  if (!address || !/^https?:$/.test(address.protocol)) return undefined;
  if (!GATEWAY_HOST.test(address.hostname)) return LOCAL_HOST.test(address.hostname) ? address : undefined;
  const { host } = new URL(gatewayUrl);
  return new URL(`http://${host}${address.pathname}${address.search}`);
}

/** Options for {@linkcode NetRequests}. */
export interface NetRequestsOptions {
  /** The URL of the gateway. */
  readonly gatewayUrl: string;
  /** Called with a line for the first request that is not sent. */
  readonly warn: (line: string) => void;
}

/** Sends requests. Those to other machines are refused: the URL in a migration is often that of a hosted project. */
export class NetRequests {
  readonly #options: NetRequestsOptions;
  readonly #controller = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #warned = false;

  /** @param options The options. */
  constructor(options: NetRequestsOptions) {
    this.#options = options;
  }

  /** Sends the requests of the queue. @param sql A connection of a superuser. */
  async tick(sql: Sql): Promise<void> {
    const requests = await sql<QueuedRequest[]>`
      with picked as (
        delete from net.http_request_queue
        where id in (select id from net.http_request_queue order by id limit ${BATCH} for update skip locked)
        returning *
      )
      select id::text, method, url, headers, encode(body, 'base64') as body, timeout_milliseconds as timeout
      from picked order by picked.id`;
    for (const request of requests) {
      const sent = this.#respond(sql, request).catch(() => {}).finally(() => this.#running.delete(sent));
      this.#running.add(sent);
    }
  }

  /** Ends the requests that wait. */
  async stop(): Promise<void> {
    this.#controller.abort();
    await Promise.all(this.#running);
  }

  async #respond(sql: Sql, request: QueuedRequest): Promise<void> {
    const { status, headers, content, timedOut, error } = await this.#send(request);
    await sql`insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
      values (${request.id}, ${status}, ${headers?.["content-type"] ?? null}, ${
      headers === null ? null : sql.json(headers)
    },
        ${content}, ${timedOut}, ${error})`;
  }

  async #send({ method, url, headers, body, timeout }: QueuedRequest): Promise<Outcome> {
    const address = localAddress(url, this.#options.gatewayUrl);
    if (!address) {
      const { host } = URL.parse(url) ?? { host: url };
      const error = `The local stack sends requests of pg_net to this machine only, not to ${host}`;
      if (!this.#warned) this.#options.warn(`${error}: read the URL of functions from a setting or the vault.`);
      this.#warned = true;
      return { ...FAILED, timedOut: false, error };
    }
    const deadline = AbortSignal.timeout(timeout);
    try {
      const response = await fetch(address, {
        method,
        headers: headers ?? {},
        ...(body === null ? {} : { body: Buffer.from(body, "base64") }),
        redirect: "manual",
        signal: AbortSignal.any([deadline, this.#controller.signal]),
      });
      const content = (await response.text()).replaceAll("\0", "");
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        content,
        timedOut: false,
        error: null,
      };
    } catch (error) {
      return deadline.aborted
        ? { ...FAILED, timedOut: true, error: `Timeout of ${timeout} ms reached` }
        : { ...FAILED, timedOut: false, error: messageOf(error) };
    }
  }
}
