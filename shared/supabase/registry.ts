/**
 * One pool for each project, key and set of client options.
 *
 * @module
 */
import { ConfigError } from "../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "./config.ts";

/** A pool, as the registry sees it. */
interface Registered {
  readonly config: Readonly<SupabasePoolConfig>;
}

/** Pools by address, key and client options (schema, headers). */
export class Registry<P extends Registered> {
  readonly #pools = new Map<string, P>();

  /**
   * The pool that is there, or the one that `make` makes.
   *
   * @throws {ConfigError} when `config` is bad, or differs from the one of the
   * pool that is there; it names the options that differ.
   */
  get(
    url: string,
    key: string,
    config: Partial<SupabasePoolConfig> | undefined,
    make: (config: Readonly<SupabasePoolConfig>) => P,
  ): P {
    const wanted = parseSupabasePoolConfig(config);
    const name = nameOf(url, key, wanted);
    const there = this.#pools.get(name);
    if (!there) {
      const pool = make(wanted);
      this.#pools.set(name, pool);
      return pool;
    }
    if (config === undefined) return there;
    const issues = (Object.keys(wanted) as (keyof SupabasePoolConfig)[])
      .filter((option) => !same(option, wanted, there.config))
      .map((option) => ({
        path: option,
        message: "differs from that of the pool that is there; shut that one down first, or ask without a config",
      }));
    if (issues.length > 0) throw new ConfigError(issues);
    return there;
  }

  /** Forgets `pool`. */
  delete(pool: P): void {
    for (const [name, registered] of this.#pools) if (registered === pool) this.#pools.delete(name);
  }
}

function nameOf(url: string, key: string, { schema, headers }: Readonly<SupabasePoolConfig>): string {
  // The order of headers and the case of their names mean nothing.
  const sorted = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]).sort();
  return JSON.stringify([url, key, schema, sorted]);
}

/** Whether `option` means the same in two configurations under one name. */
function same(
  option: keyof SupabasePoolConfig,
  one: Readonly<SupabasePoolConfig>,
  other: Readonly<SupabasePoolConfig>,
): boolean {
  if (option === "headers") return true; // part of the name, in their one form
  if (option === "userRoles") {
    const roles = new Set(one.userRoles);
    return new Set(other.userRoles).size === roles.size && other.userRoles.every((role) => roles.has(role));
  }
  return Object.is(one[option], other[option]);
}
