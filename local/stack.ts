/**
 * The whole local stack: a database, the Data API and Auth on it, the
 * functions, and the gateway before them.
 *
 * @module
 */
import postgres from "postgres";
import { DataApi } from "./data_api/mod.ts";
import { StackFault } from "./fault.ts";
import { readFunctions } from "./functions/config.ts";
import { hostedEnvironment, readSecrets } from "./functions/environment.ts";
import { Functions } from "./functions/mod.ts";
import { unservedFolders } from "./functions/unserved.ts";
import { watchSources } from "./functions/watcher.ts";
import { Gateway } from "./gateway/mod.ts";
import { generateKeys, type Keys, loadKeys } from "./keys.ts";
import { lockProject } from "./lock.ts";
import { migrate, readMigrations, readSeed } from "./postgres/migrations.ts";
import { projectPlace, temporaryPlace } from "./postgres/place.ts";
import { prepareDatabase } from "./postgres/roles.ts";
import { PostgresServer, SUPERUSER } from "./postgres/server.ts";
import { supervise } from "./postgres/supervisor.ts";
import { prepareState, type Project, projectAt } from "./project.ts";

/** How to run a stack. */
export interface StackOptions {
  /** The project's folder. Default: the one that this file is part of. */
  readonly root?: string;
  /** Whether data and keys are new and go with the stack. Default: `false`, they are kept in `.local/`. */
  readonly ephemeral?: boolean;
  /** The gateway's port; 0: one that is free. Default: 0. */
  readonly port?: number;
  /** Postgres's port; 0: one that is free. Default: 0. */
  readonly databasePort?: number;
  /** Whether a commit survives a crash of the machine. Default: only what is kept does. */
  readonly fsync?: boolean;
  /** Whether functions are loaded anew when their sources change. Default: `false`. */
  readonly watch?: boolean;
  /** Variables that the functions see beside the hosted ones, or instead of them. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gets what the parts print: which part, and one line. Default: nobody does. */
  readonly log?: (source: string, line: string) => void;
  /** Told of each of {@linkcode Stack.warnings} as soon as it is known. Default: nobody is. */
  readonly warn?: (line: string) => void;
  /** Told of each step that is done, and how long after the start, in ms. */
  readonly progress?: (step: string, elapsedMs: number) => void;
}

/** A running stack. */
export interface Stack extends AsyncDisposable {
  /** The gateway, without a slash at the end. Give it to `createClient`. */
  readonly url: string;
  /** The Data API, without a slash at the end. */
  readonly restUrl: string;
  /** The Auth API, without a slash at the end. */
  readonly authUrl: string;
  /** The key that a browser may hold. */
  readonly publishableKey: string;
  /** The key that passes row-level security. */
  readonly secretKey: string;
  /** What Auth signs its HS256 tokens with. */
  readonly jwtSecret: string;
  /** The database as the role `postgres`, which owns it and is no superuser. */
  readonly dbUrl: string;
  /** The database as the role `authenticator`, which may only become `anon`, `authenticated` or `service_role`. */
  readonly authenticatorUrl: string;
  /** What in the project's files is left out, or no longer agrees with the database: one line each, with the remedy. */
  readonly warnings: readonly string[];
  /** The database alone: takes it away from under the rest, and brings it back on the same port. */
  readonly database: {
    /** Stops it in order. */
    stop(): Promise<void>;
    /** Stops it as a crash would. */
    kill(): Promise<void>;
    /** Starts it again. */
    start(): Promise<void>;
  };
  /** The functions. */
  readonly functions: {
    /** Their names. */
    readonly names: readonly string[];
    /** Loads one, or all, anew; rejects if its sources cannot be loaded. */
    reload(name?: string): Promise<void>;
  };
  /** Resolves when the stack can no longer do its work; it is then still to be stopped. */
  readonly broken: Promise<StackFault>;
  /** Ends everything, in order. A second call waits for the same. */
  stop(): Promise<void>;
}

/** Migrates and seeds, as the role that migrations have on the hosted platform. */
async function applyMigrations(server: PostgresServer, project: Project, keys: Keys) {
  const [migrations, seed] = await Promise.all([readMigrations(project.supabase), readSeed(project.supabase)]);
  const sql = postgres(server.url("postgres", keys.databasePassword), { max: 1, onnotice: () => {} });
  try {
    return await migrate(sql, migrations, seed);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function authSchema(): Promise<string> {
  // Heavy, and needed once per database.
  const { getAuthSchemaSql } = await import("@supabase/lite");
  return getAuthSchemaSql();
}

/**
 * Brings up a stack. When it fails, what had started is taken down again.
 *
 * @throws {StackFault} in one line, with the remedy.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { ephemeral = false, log = () => {}, progress = () => {} } = options;
  const startedAt = performance.now();
  const done = (step: string) => progress(step, performance.now() - startedAt);
  const project = projectAt(options.root);
  await using parts = new AsyncDisposableStack();

  if (!ephemeral) {
    await prepareState(project.state);
    parts.use(await lockProject(project.state));
  }
  const keys = ephemeral ? generateKeys() : await loadKeys(`${project.state}/keys.json`);
  const configs = await readFunctions(project);
  const warnings: string[] = [];
  const warn = (line: string) => {
    if (warnings.includes(line)) return;
    warnings.push(line);
    options.warn?.(line);
  };
  const secrets = async () => {
    const read = await readSecrets(project);
    read.warnings.forEach(warn);
    return read.secrets;
  };
  (await unservedFolders(project)).forEach(warn);
  // One that cannot be read is said before anything is started.
  await secrets();
  const gateway = new Gateway(options.port ?? 0);
  parts.defer(() => gateway.stop());

  const server = await PostgresServer.open({
    place: ephemeral ? await temporaryPlace() : await projectPlace(project.state),
    port: options.databasePort ?? 0,
    fsync: options.fsync ?? !ephemeral,
    superuserPassword: keys.superuserPassword,
    log: (line) => log("postgres", line),
  });
  parts.defer(() => server.close());
  done("Postgres");

  const [dbUrl, authenticatorUrl] = [
    server.url("postgres", keys.databasePassword),
    server.url("authenticator", keys.authenticatorPassword),
  ];
  const functions = new Functions({
    project,
    configs,
    env: async () => ({
      ...hostedEnvironment({ ...keys, url: gateway.url, databaseUrl: dbUrl }),
      ...await secrets(),
      ...options.env,
    }),
    log,
  });

  const prepare = async () => {
    const fresh = await server.asSuperuser((sql) => prepareDatabase(sql, keys, authSchema));
    const report = await applyMigrations(server, project, keys);
    done(
      fresh || report.applied.length > 0 ? `Database: applied ${report.applied.join(", ") || "nothing"}` : "Database",
    );
    report.warnings.forEach(warn);
  };
  const serveData = async () => {
    const dataApi = await DataApi.start({
      project,
      config: {
        databaseUrl: server.url(SUPERUSER, keys.superuserPassword),
        jwtSecret: keys.jwtSecret,
        publishableKey: keys.publishableKey,
        secretKey: keys.secretKey,
        siteUrl: gateway.url,
      },
      log: (line) => log("data api", line),
    });
    parts.defer(() => dataApi.stop());
    done("Data API and Auth");
    return dataApi;
  };
  const loadFunctions = async () => {
    parts.defer(() => functions.stop());
    const failures = await functions.start();
    const loaded = functions.names.filter((name) => !failures.has(name));
    done(
      `Functions: ${loaded.join(", ") || "none"}${
        failures.size > 0 ? `; failed: ${[...failures.keys()].join(", ")}` : ""
      }`,
    );
  };
  // All of them settle before anything is taken down, so that nothing starts afterwards.
  const outcomes = await Promise.allSettled([prepare(), serveData(), loadFunctions()]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  if (outcomes[1].status !== "fulfilled") throw new StackFault("SERVICE_FAILED", "The Data API did not start.");
  gateway.connect({ functions, dataApi: outcomes[1].value });

  if (options.watch) {
    const reload = (names: string[]) => {
      for (const name of names) {
        // Why not, the function's own output says.
        functions.reload(name).then(
          () => log(name, "loaded anew"),
          () => log(name, "could not be loaded; answers 503"),
        );
      }
    };
    parts.use(await watchSources(project, configs, reload, (line) => log("watch", line)));
  }

  const { promise: broken, resolve: breakDown } = Promise.withResolvers<StackFault>();
  parts.use(supervise(server, { log: (line) => log("postgres", line), onGivenUp: breakDown }));

  const running = parts.move();
  let stopping: Promise<void> | undefined;
  const stop = () => stopping ??= running.disposeAsync();
  return {
    url: gateway.url,
    restUrl: `${gateway.url}/rest/v1`,
    authUrl: `${gateway.url}/auth/v1`,
    publishableKey: keys.publishableKey,
    secretKey: keys.secretKey,
    jwtSecret: keys.jwtSecret,
    dbUrl,
    authenticatorUrl,
    warnings,
    database: { stop: () => server.stop(), kill: () => server.kill(), start: () => server.start() },
    functions: { names: functions.names, reload: (name) => functions.reload(name) },
    broken,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
