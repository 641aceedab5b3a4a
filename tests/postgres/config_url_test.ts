import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, type ConfigIssue } from "../../shared/pool/mod.ts";
import { readUrl } from "../../shared/postgres/config/config_url.ts";
import { type PostgresConfig, PostgresConnectionManager } from "../../shared/postgres/mod.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

function readFile(path: string): string {
  if (path.startsWith("/pem/")) return `${PEM}${path}`;
  throw new Error("not found");
}

Deno.test("readUrl() reads every part of a URL, percent-encoding included", () => {
  const cases: readonly (readonly [url: string, config: Partial<PostgresConfig>])[] = [
    [
      "postgresql://us%40er:p%3Ass%23%2F@db.example:6543/my%20db?sslmode=verify-full&application_name=app" +
      "&connect_timeout=7&pgbouncer=true",
      {
        host: "db.example",
        port: 6543,
        user: "us@er",
        password: "p:ss#/",
        database: "my db",
        ssl: true,
        applicationName: "app",
        connectionTimeoutMs: 7_000,
        poolMode: "transaction",
      },
    ],
    ["postgres://[::1]/", { host: "::1" }],
    ["postgres://[2001:db8::1]:7/d", { host: "2001:db8::1", port: 7, database: "d" }],
    ["postgresql://", {}],
    ["postgresql:///db", { database: "db" }],
    ["postgres://u@h", { host: "h", user: "u" }],
    ["postgres://h?sslmode=no-verify", { host: "h", ssl: { rejectUnauthorized: false } }],
    ["postgres://h?sslmode=disable", { host: "h", ssl: false }],
    ["postgres://%2Frun%2Fpg/d", { host: "/run/pg", database: "d" }],
    ["postgres:///d?host=/run/pg&port=5433", { host: "/run/pg", port: 5433, database: "d" }],
    ["postgres://h?user=u&password=p%26&dbname=d", { host: "h", user: "u", password: "p&", database: "d" }],
    ["postgres://h?options=-c%20search_path%3Da", { host: "h", options: "-c search_path=a" }],
    [
      "postgres://h?sslkey=/pem/k&sslcert=/pem/c&sslrootcert=/pem/a&sslmode=verify-full",
      { host: "h", ssl: { ca: `${PEM}/pem/a`, cert: `${PEM}/pem/c`, key: `${PEM}/pem/k` } },
    ],
    ["postgres://h?sslmode=verify-full&sslrootcert=system", { host: "h", ssl: true }],
    ["postgres://h?sslmode=disable&sslrootcert=/pem/a", { host: "h", ssl: false }],
  ];
  for (const [url, config] of cases) {
    const issues: ConfigIssue[] = [];
    assertEquals(readUrl(url, "url", issues, readFile), config, url);
    assertEquals(issues, [], url);
  }
});

Deno.test("PostgresConnectionManager throws ConfigError for a bad URL, without its content", () => {
  const bad = [
    ["mysql://user:hunter2@host/db", "must be a URL such as"],
    ["hunter2", "must be a URL such as"],
    ["postgres://user:%zzhunter2@host/db", "percent-encoded"],
    ["postgres://user:hun#ter2@host/db", "%23"],
    ["postgres://user:p@host/db#hunter2", "%23"],
    ["postgres://user:hunter2@a:1,b:2/db", "of one host"],
    ["postgres://user:hunter2@a,b/db", "of one host"],
    ["postgres://user:hunter2@host:99999/db", "must be a URL such as"],
    ["postgres://user:hunter2@host/db?sslmode=sometimes", "sslmode must be one of"],
    ["postgres://user:hunter2@host/db?sslmode=prefer", "fall back to plaintext"],
    ["postgres://user:hunter2@host/db?sslmode=require&sslmode=disable", "more than once"],
    ["postgres://user:hunter2@host/db?sslrootcert=/nowhere/hunter2", "sslrootcert must be the path"],
    ["postgres://user:hunter2@host/db?target_session_attrs=any", '"target_session_attrs"'],
    ["postgres://user:hunter2@host/db?connect_timeout=soon", "number of seconds"],
    ["postgres://user:hunter2@host/db?port=soon", "port must be a number"],
    ["postgres://user:hunter2@host/db?pgbouncer=1", "must be true or false"],
    ["postgres://user:hunter2@host:0/db", "1 to 65535"],
    ["postgres://user:hunter2@h/db?host=a,b", "must be one host name"],
  ] as const;
  for (const [url, says] of bad) {
    const error = assertThrows(() => new PostgresConnectionManager(url), ConfigError);
    assertEquals(error.issues.length, 1, url);
    assert(error.message.includes(says), `${url}: ${error.message}`);
    assert(!/hun.?ter2/.test(error.message), error.message);
  }
});
