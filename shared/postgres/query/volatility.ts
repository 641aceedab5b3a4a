/**
 * Finds out which statements only read: by its text, a read may call a function that writes.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import type { BackendConnection } from "../connection/backend_connection.ts";
import type { Statement } from "../wire/query_result.ts";
import type { SchemaCache } from "../wire/schema_cache.ts";

/** The oids of `text[]` and `text`. */
const PARAM_TYPES = [1009, 25];

/** The time after which what was found out about a statement is checked again, in ms: views can be replaced. */
const CHECK_AFTER_MS = 5_000;

/** The time after which it does not count any more, in ms. */
const EXPIRES_AFTER_MS = 30_000;

/** The number of statements in one generation; there are two. */
const GENERATION = 500;

/**
 * The most characters of a text that the server is asked about. Longer ones are mostly built for one use, and would be kept.
 */
const MAX_LENGTH = 10_000;

/** Names in the body of a function (PostgreSQL, "Identifiers"): every character beyond ASCII belongs to one. */
const WORDS = "(?:[a-zA-Z_]|[^\\u0001-\\u007f])(?:[\\w$]|[^\\u0001-\\u007f])*";

/** Functions in the trees of views and policies (PostgreSQL, `pg_node_tree`): those called, of operators, aggregates and windows. */
const CALLS = ":(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)";

/*
 * `$1` holds the names in a statement, and `$2` its text. A name may be a function, also behind a dot or before a
 * parenthesis, or a table or view: then the views below it and the policies on it count too. An aggregate counts as
 * volatile where one of its functions is. A cast shows in the text by its type, unless it is implicit, and so does the
 * check of a domain, which may be over another one or part of a composite type. Words such as IN, CASE and LIKE stand for
 * operators. A function that is declared stable may call a volatile one, by a default of its parameters or in
 * its body. Views of the system only read.
 */
const CHECK = `
WITH RECURSIVE relation (oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c
  WHERE c.relname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.name[])
    AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,f}'::"char"[])
  UNION
  SELECT d.refobjid FROM relation
  JOIN LATERAL (
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass AS classid, r.oid FROM pg_catalog.pg_rewrite r
    WHERE r.ev_class OPERATOR(pg_catalog.=) relation.oid
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid FROM pg_catalog.pg_policy p
    WHERE p.polrelid OPERATOR(pg_catalog.=) relation.oid
  ) part ON true
  JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) part.classid
    AND d.objid OPERATOR(pg_catalog.=) part.oid
    AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
), tree (body) AS (
  SELECT r.ev_action::pg_catalog.text FROM relation
  JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) relation.oid
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) relation.oid
  WHERE r.ev_type OPERATOR(pg_catalog.=) '1'
    AND c.relnamespace OPERATOR(pg_catalog.<>) ALL
      (ARRAY['pg_catalog'::pg_catalog.regnamespace, 'information_schema'::pg_catalog.regnamespace]::pg_catalog.oid[])
  UNION ALL
  SELECT p.polqual::pg_catalog.text FROM relation
  JOIN pg_catalog.pg_policy p ON p.polrelid OPERATOR(pg_catalog.=) relation.oid
), named (oid) AS (
  SELECT t.oid FROM pg_catalog.pg_type t
  WHERE t.typname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.name[])
  UNION
  SELECT part.oid FROM named JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) named.oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
    WHERE a.attrelid OPERATOR(pg_catalog.=) t.typrelid AND c.relkind OPERATOR(pg_catalog.=) 'c'
  ) part (oid)
), called (oid) AS (
  SELECT p.oid FROM pg_catalog.pg_proc p
  WHERE p.proname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.name[])
  UNION
  SELECT m.match[1]::pg_catalog.oid FROM tree
  CROSS JOIN LATERAL pg_catalog.regexp_matches(tree.body, '${CALLS}', 'g') m (match)
  UNION
  SELECT o.oprcode FROM pg_catalog.pg_operator o
  WHERE o.oid OPERATOR(pg_catalog.>=) 16384
    AND (pg_catalog.strpos($2::pg_catalog.text, o.oprname::pg_catalog.text) OPERATOR(pg_catalog.>) 0
      OR o.oprname OPERATOR(pg_catalog.=) ANY ('{=,<>,<,<=,>,>=,~~,!~~,~~*,!~~*}'::pg_catalog.name[]))
  UNION
  SELECT c.castfunc FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.casttarget
  WHERE c.oid OPERATOR(pg_catalog.>=) 16384 AND (c.castcontext OPERATOR(pg_catalog.=) 'i'
    OR t.typname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.name[]))
  UNION
  SELECT m.match[1]::pg_catalog.oid FROM named
  JOIN pg_catalog.pg_constraint c ON c.contypid OPERATOR(pg_catalog.=) named.oid
  CROSS JOIN LATERAL pg_catalog.regexp_matches(c.conbin::pg_catalog.text, '${CALLS}', 'g') m (match)
), reached (oid) AS (
  SELECT called.oid FROM called
  UNION
  SELECT inside.oid FROM reached JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) reached.oid
  CROSS JOIN LATERAL (
    SELECT m.match[1]::pg_catalog.oid FROM pg_catalog.regexp_matches(
      pg_catalog.concat(p.proargdefaults, p.prosqlbody), '${CALLS}', 'g') m (match)
    UNION ALL
    SELECT q.oid FROM pg_catalog.regexp_matches(p.prosrc, '${WORDS}', 'g') m (match)
    JOIN pg_catalog.pg_proc q ON q.proname OPERATOR(pg_catalog.=) ANY
      (ARRAY[m.match[1], pg_catalog.lower(m.match[1])]::pg_catalog.name[])
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384
  ) inside (oid)
), part (oid) AS (
  SELECT reached.oid FROM reached
  UNION ALL
  SELECT f.oid FROM reached JOIN pg_catalog.pg_aggregate a ON a.aggfnoid OPERATOR(pg_catalog.=) reached.oid
  CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn,
    a.aggmfinalfn]::pg_catalog.oid[]) f (oid)
)
SELECT NOT EXISTS (
  SELECT FROM part JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) part.oid
  WHERE p.provolatile OPERATOR(pg_catalog.=) 'v'
) AS reads`;

/**
 * The planner overrates {@linkcode CHECK}: a server that compiles what is expensive (PostgreSQL, "Just-in-Time
 * Compilation") took a second for it, and kept the next statement waiting. Under one Sync, the setting ends with it.
 */
const UNCOMPILED: Statement = { text: "SELECT pg_catalog.set_config('jit', 'off', true)", unprepared: true };

/** A bare name: every character beyond ASCII belongs to one. */
const NAME = /[a-z_\u0080-\uffff][\w$\u0080-\uffff]*/gi;

/** The server folds the case of ASCII letters alone. */
const CAPITALS = /[A-Z]+/g;

/** More characters than a name has; the server cuts longer ones. */
const MAX_NAME = 64;

/**
 * Returns what may be a name in a text; `undefined` if it may hold others. A quotation mark may be part of a string or a
 * comment, so that what it quotes is not certain: what lies between any two counts, and each word.
 */
function namesIn(text: string): string[] | undefined {
  // A name may be written in escapes, or contain a quotation mark.
  if (/u&"/i.test(text) || text.includes('""')) return undefined;
  const names = new Set<string>();
  for (const [name] of text.matchAll(NAME)) names.add(name.replace(CAPITALS, (letters) => letters.toLowerCase()));
  if (text.includes('"')) { for (const name of text.split('"')) names.add(name.slice(0, MAX_NAME)); }
  return [...names];
}

/** The result of a check of a statement. */
interface Finding {
  /** True if it was met; see {@linkcode Volatility.meet}. */
  met: boolean;
  /** True if it only reads; `undefined` while it is not known. */
  reads: boolean | undefined;
  /** The time of the latest check, in ms of the clock, and whether one is under way. */
  at: number;
  checking: boolean;
  /** The version of the schema that it was checked for. */
  version: number;
}

/** Knowledge of the statements on a database. */
export class Volatility {
  readonly #clock: Clock;
  #recent = new Map<string, Finding>();
  #older = new Map<string, Finding>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Returns whether a statement is known to only read: it calls no volatile function (`pg_proc`), directly, or by a view,
   * an operator, an aggregate or a policy.
   *
   * @param text A statement that reads by its text.
   */
  onlyReads({ version }: SchemaCache, text: string): boolean {
    if (text.length > MAX_LENGTH) return false;
    const finding = this.#find(text);
    return finding.reads === true && finding.version === version &&
      this.#clock.now() - finding.at < EXPIRES_AFTER_MS;
  }

  /** Notes that a statement is about to run. Returns whether it was before: most that come once do not come again. */
  meet(text: string): boolean {
    if (text.length > MAX_LENGTH) return false;
    const finding = this.#find(text);
    const { met } = finding;
    finding.met = true;
    return met;
  }

  /** Asks the server about a statement, behind what is in flight on a connection, unless it was asked lately. */
  async check(connection: BackendConnection, text: string): Promise<void> {
    if (!this.isDue(connection.schema, text)) return;
    await this.#check(this.#find(text), connection, text, connection.schema.version);
  }

  /** Returns whether the server is to be asked about a statement: it was not asked lately, and is not asked now. */
  isDue({ version }: SchemaCache, text: string): boolean {
    if (text.length > MAX_LENGTH) return false;
    const { checking, version: checked, at } = this.#find(text);
    return !checking && (checked !== version || this.#clock.now() - at >= CHECK_AFTER_MS);
  }

  #find(text: string): Finding {
    let finding = this.#recent.get(text);
    if (finding) return finding;
    finding = this.#older.get(text) ?? { met: false, reads: undefined, at: -Infinity, checking: false, version: -1 };
    if (this.#recent.size >= GENERATION) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(text, finding);
    return finding;
  }

  async #check(finding: Finding, connection: BackendConnection, text: string, version: number): Promise<void> {
    const names = namesIn(text);
    finding.checking = true;
    try {
      const statement: Statement = { text: CHECK, values: [names, text], paramTypes: PARAM_TYPES, unprepared: true };
      const [, result] = names ? await connection.start([UNCOMPILED, statement]).results : [];
      finding.reads = result?.rows[0]?.["reads"] === true;
      finding.version = version;
    } catch {
      finding.reads = undefined; // it is not shared, and checked again
    } finally {
      finding.at = this.#clock.now();
      finding.checking = false;
    }
  }
}
