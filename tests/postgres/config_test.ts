import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import {
  DEFAULT_POSTGRES_CONFIG,
  parsePostgresConfig,
  POSTGRES_PRESETS,
  readPostgresEnvironment,
  switchedOffPostgres,
} from "../../shared/postgres/mod.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

Deno.test("parsePostgresConfig() has the defaults of the specification", () => {
  const config = parsePostgresConfig();
  assertEquals(config, DEFAULT_POSTGRES_CONFIG);
  const { host, port, database, user, password, ssl } = config;
  assertEquals([host, port, database, user, password, ssl], ["localhost", 5432, "news_db", "postgres", "", false]);
  const { maxConnections, minConnections, idleTimeoutMs, connectionTimeoutMs, acquireTimeoutMs } = config;
  assertEquals([maxConnections, minConnections, idleTimeoutMs, connectionTimeoutMs, acquireTimeoutMs], [
    20,
    5,
    30_000,
    2_000,
    30_000,
  ]);
  assertEquals([config.maxRetries, config.retryDelayMs, config.keepAlive, config.healthCheckIntervalMs], [
    3,
    1_000,
    true,
    60_000,
  ]);
  const settings = Object.values(POSTGRES_PRESETS).map(parsePostgresConfig);
  assertEquals(
    settings.map((preset) => [preset.maxConnections, preset.idleTimeoutMs, preset.connectionTimeoutMs]),
    [[20, 30_000, 2_000], [100, 30_000, 3_000], [4, 10_000, 3_000]],
  );
  assertEquals(settings.map(({ healthCheckIntervalMs }) => healthCheckIntervalMs), [60_000, 30_000, 0]);
});

Deno.test("parsePostgresConfig() says that the configuration of Postgres is invalid", () => {
  const both = { max: 1, maxConnections: 2 };
  for (const options of [{ port: 0 }, both]) {
    assertThrows(() => parsePostgresConfig(options), ConfigError, "Invalid Postgres configuration:");
  }
});

Deno.test("parsePostgresConfig() lists every bad option, without values that may be secret", () => {
  const bad: Record<string, unknown> = {
    host: "",
    port: 70_000,
    user: "a\0b",
    password: 5,
    ssl: { ca: "hunter2" },
    options: "a\0b",
    applicationName: "x".repeat(64),
    connectionTimeoutMs: 0,
    queryTimeoutMs: -1,
    poolMode: "statement",
    maxPreparedStatements: 1.5,
    hunter: "hunter2",
  };
  const error = assertThrows(() => parsePostgresConfig(bad), ConfigError);
  assertEquals(error.issues.map(({ path }) => path).toSorted(), Object.keys(bad).toSorted());
  assert(!error.message.includes("hunter2"), error.message);
  // The runtime would send U+FFFD in its place.
  for (const part of ["database", "user", "password", "options", "applicationName"]) {
    assertThrows(() => parsePostgresConfig({ [part]: "a\ud800" }), ConfigError, part);
  }
  assertThrows(() => parsePostgresConfig({ maxConnections: 2, minConnections: 3 }), ConfigError, "minConnections");
  assertEquals(parsePostgresConfig({ maxConnections: 2 }).minConnections, 2);
  for (const host of ["localhost:5432", "a,b", "[::1]", "a b", "postgres://h/d", "fe80::1,h"]) {
    assertThrows(() => parsePostgresConfig({ host }), ConfigError, "must be one host name", host);
  }
  for (const host of ["h", "a.b.c", "10.0.0.1", "::1", "2001:DB8::1", "::ffff:10.0.0.1", "fe80::1%eth0", "/run/pg"]) {
    assertEquals(parsePostgresConfig({ host }).host, host);
  }
});

Deno.test("readPostgresEnvironment() reads every variable of the specification and its POSTGRES_ alias", () => {
  const variables = {
    HOST: "db.example",
    PORT: "5433",
    NAME: "app",
    USER: "me",
    PASSWORD: " hunter2 ",
    KEEP_ALIVE: "false",
    KEEP_ALIVE_DELAY: "10",
    MAX_CONNECTIONS: "7",
    MIN_CONNECTIONS: "3",
    IDLE_TIMEOUT: "1000",
    CONNECTION_TIMEOUT: "1001",
    CONNECT_RETRY: "1005",
    ACQUIRE_TIMEOUT: "1002",
    RETRY_ATTEMPTS: "4",
    RETRY_DELAY: "1003",
    HEALTH_CHECK_INTERVAL: "1004",
    QUERY_TIMEOUT: "Infinity",
    POOL_MODE: "session",
    TARGET_SESSION_ATTRS: "read-write",
    TRUSTED_LOGIN: "postgres",
    SSL: "true",
    SSL_CA: "/ca.pem",
    SSL_KEY: PEM.replaceAll("\n", "\\n"),
    SSL_CERT: PEM,
    HIGH_PRIORITY_MAX: "31",
    HIGH_PRIORITY_MIN: "11",
    LOW_PRIORITY_MAX: "9",
    LOW_PRIORITY_MIN: "1",
    ADMIN_MAX: "4",
    ADMIN_MIN: "2",
    ADMIN_USER: "root",
    ADMIN_PASSWORD: "hunter3",
  };
  const expected = {
    config: {
      host: "db.example",
      port: 5433,
      database: "app",
      user: "me",
      password: " hunter2 ",
      keepAlive: false,
      keepAliveDelayMs: 10,
      maxConnections: 7,
      minConnections: 3,
      idleTimeoutMs: 1_000,
      connectionTimeoutMs: 1_001,
      connectRetryMs: 1_005,
      acquireTimeoutMs: 1_002,
      maxRetries: 4,
      retryDelayMs: 1_003,
      healthCheckIntervalMs: 1_004,
      queryTimeoutMs: Infinity,
      poolMode: "session",
      targetSessionAttrs: "read-write",
      trustedLogin: "postgres",
      ssl: { ca: `${PEM}of /ca.pem`, key: PEM, cert: PEM.trim() },
    },
    highPriority: { maxConnections: 31, minConnections: 11 },
    lowPriority: { maxConnections: 9, minConnections: 1 },
    admin: { maxConnections: 4, minConnections: 2, user: "root", password: "hunter3" },
  };
  const readFile = (path: string) => `${PEM}of ${path}`;
  for (const prefix of ["DB_", "POSTGRES_"]) {
    const named = Object.fromEntries(Object.entries(variables).map(([end, value]) => [prefix + end, value]));
    assertEquals(
      readPostgresEnvironment(named, readFile),
      expected as unknown as ReturnType<typeof readPostgresEnvironment>,
    );
  }
});

Deno.test("readPostgresEnvironment() prefers DB_ to POSTGRES_, variables to the URL, and the URL to the preset", () => {
  const read = (variables: Record<string, string>) => readPostgresEnvironment(variables).config;
  assertEquals(read({ DB_HOST: "a", POSTGRES_HOST: "b" }).host, "a");
  assertEquals(read({ DB_HOST: " ", POSTGRES_HOST: "b" }).host, "b");
  assertEquals(read({ POSTGRES_DB: "d" }).database, "d");
  const SUPABASE_DB_URL = "postgresql://u:p@h:1/d?connect_timeout=9";
  assertEquals(read({ SUPABASE_DB_URL, DB_PORT: "2", DB_PRESET: "edge" }), {
    ...POSTGRES_PRESETS.edge,
    host: "h",
    port: 2,
    user: "u",
    password: "p",
    database: "d",
    connectionTimeoutMs: 9_000,
  });
  assertEquals(read({}), {});
  assertEquals(read({ DB_SSL: "true" }).ssl, true);
  assertEquals(read({ DB_SSL_CA: PEM }).ssl, { ca: PEM.trim() });
  assertEquals(read({ DB_SSL: "false", DB_SSL_CA: PEM }).ssl, false);
  assertEquals(read({ DB_SSL_REJECT_UNAUTHORIZED: "false" }).ssl, { rejectUnauthorized: false });
});

Deno.test("readPostgresEnvironment() lists every bad variable and its value, without secrets", () => {
  const variables = {
    SUPABASE_DB_URL: "http://user:hunter2@host",
    DB_PORT: "port",
    POSTGRES_MAX_CONNECTIONS: "0",
    DB_KEEP_ALIVE: "maybe",
    DB_POOL_MODE: "statement",
    DB_SSL: "perhaps",
    DB_SSL_CA: "/nowhere/ca.pem",
    DB_SSL_KEY: "/etc/hostname",
    DB_ADMIN_MAX: "-1",
    DB_PRESET: "huge",
    DB_PASSWORD: "hun\0ter2",
  };
  const readFile = (path: string) => {
    if (path.startsWith("/nowhere")) throw new Error("not found");
    return "hunter2";
  };
  const error = assertThrows(() => readPostgresEnvironment(variables, readFile), ConfigError);
  assertEquals(error.issues.map(({ path }) => path).toSorted(), Object.keys(variables).toSorted());
  assert(!/hun.?ter/.test(error.message), error.message);
  assert(error.message.includes('DB_PORT: is "port", must be a whole number from 1 to 65535'), error.message);
  const together = assertThrows(
    () => readPostgresEnvironment({ DB_MIN_CONNECTIONS: "9", POSTGRES_MAX_CONNECTIONS: "8" }),
    ConfigError,
  );
  assertEquals(together.issues.map(({ path }) => path), ["DB_MIN_CONNECTIONS"]);
});

Deno.test("parsePostgresConfig() accepts the option names of pg and of the specification", () => {
  const aliases = {
    max: 7,
    min: 3,
    idleTimeoutMillis: 1_000,
    connectionTimeoutMillis: 1_001,
    acquireTimeoutMillis: 1_002,
    retryAttempts: 4,
    retryDelay: 1_003,
    keepAliveInitialDelayMillis: 1_004,
  };
  const names = {
    maxConnections: 7,
    minConnections: 3,
    idleTimeoutMs: 1_000,
    connectionTimeoutMs: 1_001,
    acquireTimeoutMs: 1_002,
    maxRetries: 4,
    retryDelayMs: 1_003,
    keepAliveDelayMs: 1_004,
  };
  assertEquals(parsePostgresConfig(aliases), parsePostgresConfig(names));
  assertEquals(parsePostgresConfig({ max: undefined, maxConnections: 7, min: 3 }).maxConnections, 7);
  const both = assertThrows(() => parsePostgresConfig({ max: 7, maxConnections: 7 }), ConfigError);
  assertEquals(both.issues.map(({ path }) => path), ["max"]);
  const bad = assertThrows(() => parsePostgresConfig({ max: -1 }), ConfigError);
  assertEquals(bad.issues.map(({ path }) => path), ["maxConnections"]);
});

Deno.test("switchedOffPostgres() lists each part that is off, as the variable that does it", () => {
  const off = { enabled: false, retries: false, priorities: false, circuitBreaker: false, healthChecks: false };
  assertEquals(switchedOffPostgres({ ...off, adaptiveLimit: "off" }), [
    "DB_POOL_ENABLED=off",
    "DB_RETRIES=off",
    "DB_PRIORITIES=off",
    "DB_CIRCUIT_BREAKER=off",
    "DB_HEALTH_CHECKS=off",
    "DB_ADAPTIVE_LIMIT=off",
  ]);
  assertEquals(switchedOffPostgres({ ...DEFAULT_POSTGRES_CONFIG, adaptiveLimit: "dry-run" }), [
    "DB_ADAPTIVE_LIMIT=dry-run",
  ]);
});
