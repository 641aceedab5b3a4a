/**
 * The settings of callers' roles (`ALTER ROLE authenticated SET statement_timeout = '5s'`). The server applies those of
 * the login role only; the Data API applies those of the caller's role to each transaction (PostgREST, "Impersonated
 * Role Settings"), and so does this library.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import { RoleSettingError } from "../errors/caller_error.ts";
import { PostgresError } from "../errors/server_error.ts";
import type { Bounds, StatementRunner } from "../query/statement_runner.ts";
import type { BeginOptions, IsolationLevel } from "../transaction/transaction_options.ts";
import { CANCELED } from "../wire/batch.ts";
import type { Row } from "../wire/query_result.ts";
import { CALLER_ROLES } from "./claims.ts";

/** The settings of a role. */
export interface RoleSettings {
  /** Options of the role's transactions, unless their own say otherwise. */
  readonly begin: BeginOptions;
  /** The name and value of each setting of its transactions. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

const NONE: RoleSettings = Object.freeze({ begin: Object.freeze({}), settings: Object.freeze([]) });

/** The time for which loaded settings are used, in ms. A change of a setting takes effect within it. */
export const ROLE_SETTINGS_LIFETIME_MS = 60_000;

/**
 * The time for which the result of an attempt to set a parameter counts, in ms. `GRANT SET ON PARAMETER` takes effect
 * within it; each attempt that fails is a line in the server's log.
 */
export const ATTEMPT_LIFETIME_MS = 600_000;

/** Lists the settings of all databases first, so that those of this one win. */
const LOAD = `
select r.rolname::text as role, e.name, e.value, p.context
from pg_catalog.pg_db_role_setting d
join pg_catalog.pg_roles r on r.oid = d.setrole
cross join lateral unnest(d.setconfig) as c(entry)
cross join lateral (
  select left(c.entry, strpos(c.entry, '=') - 1) as name, substr(c.entry, strpos(c.entry, '=') + 1) as value
) e
left join pg_catalog.pg_settings p on lower(p.name) = lower(e.name)
where r.rolname in (${CALLER_ROLES.map((role) => `'${role}'`).join(", ")})
  and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
order by d.setdatabase`;

/**
 * Settings that change how values are written or statements are read: results would depend on them. The last three
 * cannot be set in a transaction that has begun; those of its beginning stand for them.
 */
const NOT_APPLIED: ReadonlySet<string> = new Set([
  "datestyle",
  "intervalstyle",
  "client_encoding",
  "bytea_output",
  "extra_float_digits",
  "lc_monetary",
  "standard_conforming_strings",
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

/** A parameter of no module: `app.tenant`. Those of a request belong to the caller. */
const CUSTOM = /^(?!request\.)[a-z_][\w$]*(?:\.[a-z_][\w$]*)+$/i;

const LEVELS: Readonly<Record<string, IsolationLevel>> = {
  "read uncommitted": "read committed",
  "read committed": "read committed",
  "repeatable read": "repeatable read",
  "serializable": "serializable",
};

/** A Boolean as the server reads it: any beginning of these words, in either case. */
const TRUE = /^(?:on|t(?:r(?:ue?)?)?|y(?:es?)?|1)$/i;

/** One setting of one role. */
interface Entry {
  readonly role: string;
  readonly name: string;
  readonly value: string;
  /** False if only an attempt shows whether the login role may set it. */
  readonly certain: boolean;
}

/** Reads a row of {@linkcode LOAD}; `undefined` for a setting that is not applied. */
function entryOf({ role, name, value, context }: Row): Entry | undefined {
  if (typeof role !== "string" || typeof name !== "string" || typeof value !== "string") return undefined;
  if (NOT_APPLIED.has(name.toLowerCase())) return undefined;
  // What is in neither of these contexts cannot be set in a transaction, such as `role`.
  if (context !== "user" && context !== "superuser" && !(context === null && CUSTOM.test(name))) return undefined;
  return { role, name, value, certain: context === "user" };
}

/** Returns the settings of one role. Later entries win. */
function settingsOf(entries: readonly Entry[]): RoleSettings {
  const settings = new Map<string, readonly [string, string]>();
  for (const { name, value } of entries) settings.set(name.toLowerCase(), [name, value]);
  const take = (name: string): string | undefined => {
    const value = settings.get(name)?.[1];
    settings.delete(name);
    return value;
  };
  const level = take("default_transaction_isolation");
  const readOnly = take("default_transaction_read_only");
  const deferrable = take("default_transaction_deferrable");
  const begin: BeginOptions = {
    ...(level === undefined ? {} : { isolationLevel: LEVELS[level.toLowerCase()] }),
    ...(readOnly === undefined ? {} : { readOnly: TRUE.test(readOnly) }),
    ...(deferrable === undefined ? {} : { deferrable: TRUE.test(deferrable) }),
  };
  return { begin, settings: [...settings.values()] };
}

/** Loads the settings of callers' roles, once per database and {@linkcode ROLE_SETTINGS_LIFETIME_MS}. */
export class RoleSettingsCache {
  readonly #clock: Clock;
  readonly #onRefused: (error: RoleSettingError) => void;
  #roles: ReadonlyMap<string, RoleSettings> | undefined = undefined;
  #staleAt = -Infinity;
  /** True while one caller loads: the others go on with what was loaded before. */
  #loading = false;
  /** The results of attempts to set what is not certain, by name and value, and when they expire, in ms of the clock. */
  readonly #attempts = new Map<string, { readonly may: boolean; readonly until: number }>();

  /** @param onRefused Called when a setting cannot be applied. */
  constructor(clock: Clock, onRefused: (error: RoleSettingError) => void) {
    this.#clock = clock;
    this.#onRefused = onRefused;
  }

  /** Returns the settings of a role; `undefined` if they have to be loaded first. */
  current(role: string): RoleSettings | undefined {
    if (!this.#roles || (!this.#loading && this.#clock.now() >= this.#staleAt)) return undefined;
    return this.#roles.get(role) ?? NONE;
  }

  /**
   * Loads the settings of all callers' roles.
   *
   * @param role The role whose settings to return.
   * @param runner Of a connection without a transaction.
   * @throws what `awaitResult` of the runner throws when the connection breaks, or when `bounds` end it.
   */
  async load(role: string, runner: StatementRunner, bounds: Bounds): Promise<RoleSettings> {
    this.#loading = this.#roles !== undefined;
    try {
      const entries: Entry[] = [];
      for (const row of await this.#rows(runner, bounds)) {
        const entry = entryOf(row);
        if (entry && (entry.certain || await this.#mayBeSet(entry, runner, bounds))) entries.push(entry);
      }
      const roles = new Map<string, RoleSettings>();
      for (const [name, own] of Map.groupBy(entries, (entry) => entry.role)) roles.set(name, settingsOf(own));
      this.#roles = roles;
      this.#staleAt = this.#clock.now() + ROLE_SETTINGS_LIFETIME_MS;
      return roles.get(role) ?? NONE;
    } finally {
      this.#loading = false;
    }
  }

  async #rows(runner: StatementRunner, bounds: Bounds): Promise<readonly Row[]> {
    try {
      const [result] = await runner.awaitResult(runner.connection.start([{ text: LOAD, unprepared: true }]), bounds);
      return result?.rows ?? [];
    } catch (error) {
      // A database may hide its catalog. Callers would rather go on than fail.
      if (!(error instanceof PostgresError) || error.code === CANCELED) throw error;
      this.#onRefused(new RoleSettingError(undefined, error));
      return [];
    }
  }

  /** Tries a setting, in a transaction of its own. */
  async #mayBeSet({ name, value }: Entry, runner: StatementRunner, bounds: Bounds): Promise<boolean> {
    const key = `${name}=${value}`;
    const known = this.#attempts.get(key);
    if (known && this.#clock.now() < known.until) return known.may;
    let may = true;
    const attempt = { text: "SELECT set_config($1, $2, true)", values: [name, value], unprepared: true };
    try {
      await runner.awaitResult(runner.connection.start([attempt]), bounds);
    } catch (error) {
      if (!(error instanceof PostgresError) || error.code === CANCELED) throw error;
      may = false;
      if (known?.may !== false) this.#onRefused(new RoleSettingError(name, error));
    }
    if (this.#attempts.size >= MAX_ATTEMPTS) this.#attempts.clear();
    this.#attempts.set(key, { may, until: this.#clock.now() + ATTEMPT_LIFETIME_MS });
    return may;
  }
}

/** The most results of attempts that are kept. */
const MAX_ATTEMPTS = 1_000;
