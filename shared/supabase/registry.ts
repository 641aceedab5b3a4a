/**
 * One pool for each project, key and set of client options.
 *
 * @module
 */
import { ConfigError } from "../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "./config.ts";

/** A registered pool. */
interface Registered {
  readonly config: Readonly<SupabasePoolConfig>;
}

type Options = readonly (keyof SupabasePoolConfig)[];

/** The options that all calls of a pool share. */
const OF_CALLS: Options = ["schema", "headers"];

/** The options of clients. Pools that differ in one of these are different pools. */
const OF_CLIENTS: Options = [...OF_CALLS, "requestTimeoutMs", "retryReads", "fetch"];

/** Pools by URL, key and client options. */
export class Registry<P extends Registered> {
  /** By URL and key; the oldest first. */
  readonly #pools = new Map<string, P[]>();

  /**
   * Returns the existing pool, or the one that `create` returns. Without a
   * `config` that is the oldest pool whose clients have the schema `public` and no
   * headers of their own.
   *
   * @throws {ConfigError} when `config` is bad, or differs from that of the existing
   * pool in an option that does not concern its clients; it names the options
   * that differ.
   */
  get(
    url: string,
    key: string,
    config: Partial<SupabasePoolConfig> | undefined,
    create: (config: Readonly<SupabasePoolConfig>) => P,
  ): P {
    const wanted = parseSupabasePoolConfig(config);
    const name = JSON.stringify([url, key]);
    const all = this.#pools.get(name) ?? [];
    const asked = config === undefined ? OF_CALLS : OF_CLIENTS;
    const there = all.find((pool) => asked.every((option) => same(option, wanted, pool.config)));
    if (!there) {
      const pool = create(wanted);
      this.#pools.set(name, [...all, pool]);
      return pool;
    }
    if (config !== undefined) checkSame(wanted, there.config);
    return there;
  }

  /** Removes `pool`. */
  delete(pool: P): void {
    for (const [name, pools] of this.#pools) {
      const others = pools.filter((other) => other !== pool);
      if (others.length > 0) this.#pools.set(name, others);
      else this.#pools.delete(name);
    }
  }
}

/** Returns headers in a form in which their order and the case of their names make no difference. */
function sorted(headers: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]).sort());
}

/** Throws a `ConfigError` that names the options in which `wanted` differs from the config of an existing pool. */
function checkSame(wanted: Readonly<SupabasePoolConfig>, existing: Readonly<SupabasePoolConfig>): void {
  const issues = (Object.keys(wanted) as (keyof SupabasePoolConfig)[])
    .filter((option) => !same(option, wanted, existing))
    .map((option) => ({
      path: option,
      message: "differs from the config of the existing pool: shut that pool down first, or omit the config",
    }));
  if (issues.length > 0) throw new ConfigError(issues);
}

/** Returns the value of an option that is a switch or a record of numbers, in a form in which order makes no difference. */
function flat(value: boolean | Readonly<Record<string, unknown>>): string {
  return JSON.stringify(typeof value === "boolean" ? value : Object.entries(value).sort());
}

/** Returns whether `option` means the same in two configurations. */
function same(
  option: keyof SupabasePoolConfig,
  one: Readonly<SupabasePoolConfig>,
  other: Readonly<SupabasePoolConfig>,
): boolean {
  if (option === "headers") return one.headers === other.headers || sorted(one.headers) === sorted(other.headers);
  if (option === "userRoles") {
    const roles = new Set(one.userRoles);
    return new Set(other.userRoles).size === roles.size && other.userRoles.every((role) => roles.has(role));
  }
  if (option === "readReplicas") return one.readReplicas.join() === other.readReplicas.join();
  if (option === "circuitBreaker" || option === "retryBudget") return flat(one[option]) === flat(other[option]);
  return Object.is(one[option], other[option]);
}
