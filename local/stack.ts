/**
 * The local stack: a database, the Data API and Auth, the functions, and a
 * gateway in front of them.
 *
 * @module
 */
import { jwksOf } from "./auth/tokens.ts";
import { readConfig } from "./config/mod.ts";
import { DataApi } from "./data_api/mod.ts";
import { StackError } from "./stack_error.ts";
import { type FunctionConfig, functionWarnings, readFunctions } from "./functions/config.ts";
import { hostedEnvironment, readSecrets } from "./functions/environment.ts";
import { Functions } from "./functions/mod.ts";
import type { Limits } from "./functions/limits.ts";
import { watchSources } from "./functions/watcher.ts";
import { Gateway } from "./gateway/mod.ts";
import { createJwtCheck } from "./gateway/verify_jwt.ts";
import { generateKeys, loadKeys } from "./keys.ts";
import { lockProject, type ProjectLock } from "./lock.ts";
import { startBackground } from "./postgres/background.ts";
import { createBuckets, storeSecrets } from "./postgres/configured.ts";
import { migrate, readSqlFiles } from "./postgres/migrations/mod.ts";
import { projectLocation, temporaryLocation } from "./postgres/data_location.ts";
import { prepareDatabase } from "./postgres/platform/mod.ts";
import { PostgresServer, SUPERUSER } from "./postgres/server.ts";
import { supervise } from "./postgres/supervisor.ts";
import { printable } from "./printable.ts";
import { prepareState, projectAt } from "./project.ts";

/** Options for {@linkcode startStack}. */
export interface StackOptions {
  /** The folder of the project. Default: the project of this file. */
  readonly root?: string;
  /** Creates data and keys for this stack and deletes them when it stops. Default: `false`, they are kept in `.local/`. */
  readonly ephemeral?: boolean;
  /** The port of the gateway; 0 for a free one. Default: 0. */
  readonly port?: number;
  /** The port of Postgres; 0 for a free one. Default: 0. */
  readonly databasePort?: number;
  /** Flushes each commit to disk, so that it survives a crash of the machine. Default: `true` unless `ephemeral`. */
  readonly fsync?: boolean;
  /** Reloads functions when their sources change. Default: `false`. */
  readonly watch?: boolean;
  /** Names that requests may use for the gateway, beside those of this machine. Default: none. */
  readonly allowedHosts?: readonly string[];
  /** The limits of each function, as `HOSTED_LIMITS` has them. Default: none. */
  readonly limits?: Limits | undefined;
  /** The path of a file with secrets of the functions, beside those that are read anyway. Default: none. */
  readonly envFile?: string | undefined;
  /** Environment variables of the functions, which override the hosted ones. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each line that a part prints, and the name of the part. Default: output is ignored. */
  readonly log?: (source: string, line: string) => void;
  /** Called with each of {@linkcode Stack.warnings} as it is found. Default: nothing is called. */
  readonly warn?: (line: string) => void;
  /** Called after each step of the start, with the time since the start in ms. */
  readonly progress?: (step: string, elapsedMs: number) => void;
}

/** A running stack. */
export interface Stack extends AsyncDisposable {
  /** The folder of the project. */
  readonly root: string;
  /** The URL of the gateway, without a trailing slash. Pass it to `createClient`. */
  readonly url: string;
  /** The URL of the Data API, without a trailing slash. */
  readonly restUrl: string;
  /** The URL of Auth, without a trailing slash. */
  readonly authUrl: string;
  /** The key for browsers. */
  readonly publishableKey: string;
  /** The key that bypasses row-level security. */
  readonly secretKey: string;
  /** The secret of HS256 tokens, such as the legacy API keys. Auth signs its own with ES256. */
  readonly jwtSecret: string;
  /** The URL of the database for the role `postgres`, which owns it but is not a superuser. */
  readonly dbUrl: string;
  /** The URL of the database for the role `authenticator`, which may only become `anon`, `authenticated` or `service_role`. */
  readonly authenticatorUrl: string;
  /** Files of the project that are ignored or no longer match the database: one line each, with the fix. */
  readonly warnings: readonly string[];
  /** Stops and starts only the database, on the same port. */
  readonly database: {
    /** Stops it. */
    stop(): Promise<void>;
    /** Stops it as a crash would. */
    kill(): Promise<void>;
    /** Starts it again. */
    start(): Promise<void>;
  };
  /** The functions. */
  readonly functions: {
    /** The names of the functions. */
    readonly names: readonly string[];
    /** Their configuration. */
    readonly configs: readonly FunctionConfig[];
    /** The reason why each of those that could not be loaded at the start failed, by name. */
    readonly failures: ReadonlyMap<string, string>;
    /** Reloads one function, or all of them. Rejects if its sources cannot be loaded. */
    reload(name?: string): Promise<void>;
  };
  /** Resolves when the stack has failed. It must still be stopped. */
  readonly broken: Promise<StackError>;
  /** Stops the stack. A second call waits for the first. */
  stop(): Promise<void>;
}

/** The settings of a hosted database that SQL depends on. */
const HOSTED_SETTINGS = { wal_level: "logical", shared_preload_libraries: "pg_stat_statements" };

/**
 * Starts a stack. If that fails, the parts that have started are stopped.
 *
 * @throws {StackError} A message of one line that says what to do.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { ephemeral = false, progress = () => {} } = options;
  const log = (source: string, line: string) => options.log?.(source, printable(line));
  const startedAt = performance.now();
  const reportStep = (step: string) => progress(step, performance.now() - startedAt);
  const project = projectAt(options.root);
  await using parts = new AsyncDisposableStack();

  let lock: ProjectLock | undefined;
  if (!ephemeral) {
    await prepareState(project.state);
    lock = parts.use(await lockProject(project.state));
  }
  const keys = ephemeral ? generateKeys() : await loadKeys(`${project.state}/keys.json`);
  const config = await readConfig(project);
  const found = await readFunctions(project, config);
  const { edgeRuntime } = config;
  const configs = edgeRuntime.enabled ? found.functions : [];
  const warnings: string[] = [];
  const warn = (text: string) => {
    const line = printable(text);
    if (warnings.includes(line)) return;
    warnings.push(line);
    options.warn?.(line);
  };
  const secrets = async () => {
    const read = await readSecrets(project, { configured: edgeRuntime.secrets, envFile: options.envFile });
    read.warnings.forEach(warn);
    return read.secrets;
  };
  config.warnings.forEach(warn);
  found.warnings.forEach(warn);
  functionWarnings(project, configs).forEach(warn);
  // A file that cannot be read fails the start at once.
  await secrets();
  const gateway = new Gateway(options.port ?? 0, options.allowedHosts);
  parts.defer(() => gateway.stop());

  const version = String(config.db.majorVersion);
  const location = ephemeral ? await temporaryLocation(version) : await projectLocation(project.state, version);
  if (!ephemeral && location.major !== version) {
    warn(
      `The local data was created by PostgreSQL ${location.major}, but supabase/config.toml names ${version} in ` +
        "db.major_version: run with --reset to create the database again.",
    );
  }
  const server = await PostgresServer.open({
    location,
    checkOwner: lock?.check,
    settings: { ...HOSTED_SETTINGS, ...config.db.settings },
    port: options.databasePort ?? 0,
    fsync: options.fsync ?? !ephemeral,
    superuserPassword: keys.superuserPassword,
    log: (line) => log("postgres", line),
  });
  parts.defer(() => server.close());
  reportStep("Postgres");

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
    limits: options.limits,
  });

  const prepare = async () => {
    const files = readSqlFiles(project.supabase, config.db);
    const fresh = await server.asSuperuser((sql) =>
      prepareDatabase(sql, keys, { autoExposeNewTables: config.api.autoExposeNewTables })
    );
    // A connection of its own has the settings that the database has by now.
    const report = await server.asSuperuser(async (sql) => {
      await storeSecrets(sql, config.db.vault);
      const report = await migrate(sql, await files);
      // A migration may create one of them as well.
      await createBuckets(sql, config.storage.buckets);
      return report;
    });
    reportStep(
      fresh || report.applied.length > 0 ? `Database: applied ${report.applied.join(", ") || "nothing"}` : "Database",
    );
    report.warnings.forEach(warn);
  };
  const serveData = async () => {
    const storageFolder = ephemeral ? await Deno.makeTempDir({ prefix: "local-storage-" }) : `${project.state}/storage`;
    if (ephemeral) parts.defer(() => Deno.remove(storageFolder, { recursive: true }));
    const dataApi = await DataApi.start({
      project,
      config: {
        url: gateway.url,
        databaseUrl: server.url(SUPERUSER, keys.superuserPassword),
        signingKey: keys.signingKey,
        jwtSecret: keys.jwtSecret,
        publishableKey: keys.publishableKey,
        secretKey: keys.secretKey,
        authenticatorUrl,
        storageFolder,
        api: config.api,
        auth: config.auth,
        storage: config.storage,
      },
      log: (line) => log("data api", line),
    });
    parts.defer(() => dataApi.stop());
    reportStep("Data API and Auth");
    return dataApi;
  };
  const loadFunctions = async () => {
    parts.defer(() => functions.stop());
    const failures = await functions.start();
    const loaded = functions.names.filter((name) => !failures.has(name));
    reportStep(
      `Functions: ${loaded.join(", ") || "none"}${
        failures.size > 0 ? `; failed: ${[...failures.keys()].join(", ")}` : ""
      }`,
    );
    return failures;
  };
  // All of them settle before any part is stopped, so that nothing starts afterwards.
  const outcomes = await Promise.allSettled([prepare(), serveData(), loadFunctions()]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  const [, dataApi, failures] = outcomes;
  if (dataApi.status !== "fulfilled" || failures.status !== "fulfilled") {
    throw new StackError("SERVICE_FAILED", "The Data API did not start.");
  }
  const checkJwt = createJwtCheck({ ...keys, jwks: jwksOf(keys.signingKey) });
  gateway.connect({ functions, checkJwt, dataApi: dataApi.value });
  await lock?.publish(gateway.url);

  const background = await startBackground({
    superuserUrl: server.url(SUPERUSER, keys.superuserPassword),
    postgresUrl: dbUrl,
    gatewayUrl: gateway.url,
    warn,
  });
  if (background) parts.use(background);

  if (options.watch) {
    const read = async () => {
      const config = await readConfig(project);
      const found = await readFunctions(project, config);
      return config.edgeRuntime.enabled ? found : { ...found, functions: [] };
    };
    parts.use(await watchSources({ project, functions, envFile: options.envFile, read, log }));
  }

  const { promise: broken, resolve: onFailure } = Promise.withResolvers<StackError>();
  parts.use(supervise(server, { log: (line) => log("postgres", line), onGiveUp: onFailure }));

  const running = parts.move();
  let stopping: Promise<void> | undefined;
  const stop = () => stopping ??= running.disposeAsync();
  return {
    root: project.root,
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
    functions: {
      get names() {
        return functions.names;
      },
      get configs() {
        return functions.configs;
      },
      failures: failures.value,
      reload: (name) => functions.reload(name),
    },
    broken,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
