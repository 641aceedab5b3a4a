/**
 * The Data API and Auth, for as long as there is a database, and the answers
 * that Supabase gives while there is none.
 *
 * @module
 */
import { type DataApiConfig, Generation } from "./generation.ts";

const DRAIN_MS = 5_000;
const WARM_MS = 5_000;
// A server that shuts down says so in an answer to the statement, and closes the connection a moment later.
const CLOSING_MS = 50;

function isAuth(request: Request): boolean {
  return new URL(request.url).pathname.startsWith("/auth/");
}

/** As PostgREST and GoTrue put it. `PGRST000`: nothing was done; `PGRST001`: it is not known what was done. */
function unavailable(request: Request, code: "PGRST000" | "PGRST001"): Response {
  const message = code === "PGRST000"
    ? "Database connection error. Retrying the connection."
    : "Database client error. Retrying the connection.";
  const body = isAuth(request)
    ? { code: 503, error_code: "unexpected_failure", msg: message }
    : { code, message, details: "The database does not take connections.", hint: null };
  return Response.json(body, { status: 503, headers: { "retry-after": "1", "access-control-allow-origin": "*" } });
}

/** Answers `/rest/v1` and `/auth/v1`. */
export class DataApiService {
  readonly #config: DataApiConfig;
  readonly #database: { hostname: string; port: number };
  #generation: Generation | undefined;
  #fresh: Generation | undefined;
  #connecting: Promise<Generation | undefined> | undefined;

  /** Connects with the first request. */
  constructor(config: DataApiConfig) {
    this.#config = config;
    const url = new URL(config.databaseUrl);
    this.#database = { hostname: url.hostname, port: Number(url.port) };
  }

  /** Answers a request; never rejects. */
  async fetch(request: Request): Promise<Response> {
    const generation = this.#generation ?? await this.#connect();
    if (!generation) return unavailable(request, "PGRST000");
    let answer: Response | "lost";
    try {
      answer = await generation.fetch(request);
    } catch (error) {
      console.error(error);
      answer = Response.json({ code: "XX000", message: "Internal error", details: null, hint: null }, { status: 500 });
    }
    if (answer === "lost") return unavailable(request, "PGRST001");
    // Lite answers 500 for a broken connection; only then do we know better.
    if (answer.status < 500 || !(await this.#broken(generation))) return answer;
    await answer.body?.cancel();
    this.#retire(generation);
    return unavailable(request, "PGRST001");
  }

  /** Takes an error that nobody caught: it comes from a broken connection, whose requests would wait for ever. */
  recover(): void {
    this.#fresh?.abandon();
    if (this.#generation) this.#retire(this.#generation);
  }

  async #broken(generation: Generation): Promise<boolean> {
    if (!generation.retired) await new Promise((resolve) => setTimeout(resolve, CLOSING_MS));
    return generation.retired || !(await this.#reachable());
  }

  #connect(): Promise<Generation | undefined> {
    return this.#connecting ??= this.#make().finally(() => this.#connecting = undefined);
  }

  async #make(): Promise<Generation | undefined> {
    if (!(await this.#reachable())) return undefined;
    const generation: Generation = new Generation(this.#config, () => this.#retire(generation));
    // Not in use yet, and nobody waits on it but us.
    this.#fresh = generation;
    const timer = setTimeout(() => generation.abandon(), WARM_MS);
    const warm = await generation.warm();
    clearTimeout(timer);
    this.#fresh = undefined;
    if (warm) return this.#generation = generation;
    generation.abandon();
    return undefined;
  }

  /** New requests go to a new generation; the old one's have a while, or none at all if the database has gone. */
  #retire(generation: Generation): void {
    if (this.#generation === generation) this.#generation = undefined;
    this.#reachable().then((reachable) => setTimeout(() => generation.abandon(), reachable ? DRAIN_MS : 0));
  }

  async #reachable(): Promise<boolean> {
    try {
      (await Deno.connect(this.#database)).close();
      return true;
    } catch {
      return false;
    }
  }
}
