/**
 * Checks of direct Postgres: its address, its login role, and what the Data API exposes.
 *
 * @module
 */
import { codeOf, messageOf } from "../../shared/resilience/mod.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { PostgresConnectionManager, readPostgresEnvironment } from "../../shared/postgres/mod.ts";
import { LOGIN_ROLE_STRENGTH } from "../../shared/postgres/caller/login_role.ts";
import { isIpv6Only } from "../../shared/postgres/errors/connection_error.ts";
import { Findings, listed } from "./finding.ts";
import { projectRefOf } from "./keys.ts";
import type { ProjectFiles } from "./project_files.ts";
import type { ProjectVariables } from "./variables.ts";

/** The time for the whole of the checks, in ms. */
const TIMEOUT_MS = 8_000;

/** The variables that configure direct Postgres; a hosted function has the first without being asked. */
const VARIABLE = /^(?:SUPABASE_DB_URL|(?:DB|POSTGRES)_(?:HOST|URL|USER|PASSWORD|PORT|NAME))$/;

const POOLER = /\.pooler\.supabase\.com$/i;

/** The tables of the schemas of the Data API: whether row-level security is on, and how many policies there are. */
const TABLES = `
select n.nspname as schema, c.relname as name, c.relrowsecurity as secured,
  (select count(*)::int from pg_policy p where p.polrelid = c.oid) as policies,
  exists (
    select from unnest(array['anon', 'authenticated']) r
    where exists (select from pg_roles o where o.rolname = r)
      and has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
  ) as exposed
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname = any($1) and not exists (
  select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
)
order by 1, 2`;

/** A table of the Data API. */
interface ExposedTable {
  readonly schema: string;
  readonly name: string;
  readonly secured: boolean;
  readonly policies: number;
  readonly exposed: boolean;
}

/** A call that names a table: `.from("notes")`. What comes before excludes those of Storage and of arrays. */
const FROM = /(?<!storage\s{0,20}|Array|Buffer|Object)\.from\(\s{0,20}["'`]([a-z_]\w{0,62})["'`]/g;

function checkAddress(
  findings: Findings,
  { host, port, user }: { readonly host: string; readonly port: number; readonly user: string },
  ref: string | undefined,
): void {
  const pooler = "use the address of the pooler, *.pooler.supabase.com, port 6543, with the user <role>.<ref>.";
  if (isIpv6Only(host)) {
    findings.fail("ipv6", `${host} has only an IPv6 address, and hosted functions have no IPv6`, pooler);
  } else if (POOLER.test(host)) {
    const [, owner] = /\.([a-z]{20})$/.exec(user) ?? [];
    if (owner === undefined) {
      findings.fail(
        "user",
        `the user ${user} names no project, as the pooler requires`,
        "use <role>.<ref>, such as authenticator.<ref>.",
      );
    } else if (ref !== undefined && owner !== ref) {
      findings.fail(
        "user",
        `the user ${user} belongs to another project than SUPABASE_URL (${ref})`,
        `use ${user.split(".")[0]}.${ref}.`,
      );
    } else findings.ok("user", `the user ${user} belongs to the project`);
    if (port === 5432) {
      findings.warn(
        "port",
        "port 5432 of the pooler is session mode: each connection of each isolate holds a connection of the server",
        "use port 6543, transaction mode.",
      );
    } else findings.ok("port", `port ${port} of the pooler is transaction mode`);
  } else findings.ok("address", `${host}:${port}`);
}

function checkTables(findings: Findings, tables: readonly ExposedTable[], files: ProjectFiles): void {
  const named = (some: readonly ExposedTable[]) => listed(some.map(({ schema, name }) => `${schema}.${name}`));
  const open = tables.filter(({ secured, exposed }) => exposed && !secured);
  if (open.length > 0) {
    findings.fail(
      "rls",
      `anyone with the publishable key may read or change ${named(open)}: row-level security is off`,
      "alter table … enable row level security, and create policies.",
    );
  }
  const closed = tables.filter(({ secured, exposed, policies }) => exposed && secured && policies === 0);
  if (closed.length > 0) {
    findings.warn(
      "policies",
      `${named(closed)} have row-level security and no policy: only the secret key reads them`,
      "create policies, unless that is what you want.",
    );
  }
  if (open.length + closed.length === 0) findings.ok("rls", `${tables.length} tables of the Data API have policies`);
  const wanted = new Set<string>();
  for (const [path, text] of files.sources) {
    if (/\.[cm]?[jt]sx?$/.test(path)) { for (const [, name = ""] of text.matchAll(FROM)) wanted.add(name); }
  }
  const missing = [...wanted].filter((name) => !tables.some((table) => table.name === name));
  if (missing.length > 0) {
    findings.warn(
      "missing",
      `the functions name ${listed(missing)}, which are not tables of the Data API`,
      "apply the migrations (npx -y supabase@3 db push), unless these are views, or of another schema.",
    );
  }
}

/**
 * Checks direct Postgres, if the variables configure it.
 *
 * @param offline Open no connection.
 */
export async function checkDatabase(
  { values }: ProjectVariables,
  files: ProjectFiles,
  offline: boolean,
): Promise<Findings> {
  const findings = new Findings("database");
  if (!Object.keys(values).some((name) => VARIABLE.test(name))) {
    findings.skip(
      "config",
      "direct Postgres is not configured",
      "to check tables, policies and the login role, set SUPABASE_DB_URL or DB_*.",
    );
    return findings;
  }
  let config;
  try {
    ({ config } = readPostgresEnvironment(values));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { path, message } of error.issues) {
      findings.fail("config", `${path} ${message}`, "correct the variable: docs/configuration.md.");
    }
    return findings;
  }
  const manager = new PostgresConnectionManager({
    ...config,
    maxConnections: 1,
    minConnections: 0,
    acquireTimeoutMs: TIMEOUT_MS,
    queryTimeoutMs: TIMEOUT_MS,
    healthCheckIntervalMs: 0,
  });
  try {
    checkAddress(findings, manager.config, projectRefOf(values.SUPABASE_URL));
    if (offline) return findings;
    const { rows: [server] } = await manager.query<{ version: string; number: number }>(
      "select current_setting('server_version') as version, current_setting('server_version_num')::int as number",
    );
    if (server && server.number < 140000) {
      findings.fail("version", `PostgreSQL ${server.version} is too old`, "upgrade to PostgreSQL 14 or later.");
    } else findings.ok("version", `the database responds: PostgreSQL ${server?.version}`);
    const { rows: [role] } = await manager.query<{ name: string; strength: string | null }>(LOGIN_ROLE_STRENGTH);
    if (role && role.strength !== null && role.name !== config.trustedLogin) {
      findings.warn(
        "login_role",
        `the login role ${role.name} ${role.strength}: work on behalf of callers is rejected`,
        "set DB_USER and DB_PASSWORD to a role like authenticator (docs/deploying.md), or use this one for admin work only.",
      );
    } else findings.ok("login_role", `the login role ${role?.name} may act for callers`);
    const schemas = files.config?.api.schemas ?? ["public"];
    const { rows: tables } = await manager.query<ExposedTable>(TABLES, [
      schemas.filter((name) => name !== "graphql_public"),
    ]);
    checkTables(findings, tables, files);
  } catch (error) {
    // Messages of the library never contain passwords.
    const code = codeOf(error);
    const reason = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
    findings.fail("connect", reason, `check DB_* or SUPABASE_DB_URL${code ? `; docs/errors.md#${code}` : ""}.`);
  } finally {
    await manager.shutdown(1_000);
  }
  return findings;
}
