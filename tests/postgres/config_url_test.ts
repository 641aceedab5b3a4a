import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, type ConfigIssue } from "../../shared/pool/mod.ts";
import { readUrl } from "../../shared/postgres/config/config_url.ts";
import { postgresConfigShape } from "../../shared/postgres/config/config.ts";
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
    ["postgres://h?target_session_attrs=read-write", { host: "h", targetSessionAttrs: "read-write" }],
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
    // An empty authority, with the folder of a Unix socket as a parameter.
    ["postgresql://user:pw@/db?host=/cloudsql/p:r:i", {
      host: "/cloudsql/p:r:i",
      user: "user",
      password: "pw",
      database: "db",
    }],
    ["postgresql://user@/db?host=/tmp&port=5433", { host: "/tmp", port: 5433, user: "user", database: "db" }],
    ["postgresql://?host=h&dbname=d", { host: "h", database: "d" }],
    ["postgresql://:5433/", { port: 5433 }],
    ["postgresql://h:/d", { host: "h", database: "d" }],
    ["postgres:///d?host=/run/pg&port=5433&user=u", { host: "/run/pg", port: 5433, database: "d", user: "u" }],
    ["POSTGRES://h/d", { host: "h", database: "d" }],
    // Only percent-encoding: + is a plus sign, everywhere.
    ["postgres://u+v:p+w@h/d+e?password=p%2Bw&application_name=a+b", {
      host: "h",
      user: "u+v",
      password: "p+w",
      database: "d+e",
      applicationName: "a+b",
    }],
    ["postgres://h?password=a+b", { host: "h", password: "a+b" }],
    ["postgres://u:a%09b%0Ac@h", { host: "h", user: "u", password: "a\tb\nc" }],
    ["postgres://u:p@ss:w=rd;$,!&*@h", { host: "h", user: "u", password: "p@ss:w=rd;$,!&*" }],
    ["postgres://u:p w@h", { host: "h", user: "u", password: "p w" }],
    ["postgres://u:p\u00e4\u20ac@h", { host: "h", user: "u", password: "p\u00e4\u20ac" }],
    ["postgres://H.Example/d", { host: "H.Example", database: "d" }],
    ["postgres://h/d?options=-c search_path=a", { host: "h", database: "d", options: "-c search_path=a" }],
    ["postgres://h/d?host=h&dbname=d", { host: "h", database: "d" }],
    // Parameters of libpq that change nothing here.
    [
      "postgres://h?target_session_attrs=any&gssencmode=disable&channel_binding=prefer&client_encoding=UTF8" +
      "&sslnegotiation=postgres&keepalives=0&keepalives_idle=30&fallback_application_name=f",
      { host: "h", keepAlive: false, keepAliveDelayMs: 30_000, applicationName: "f" },
    ],
    ["postgres://h?ssl=true", { host: "h", ssl: true }],
    ["postgres://h?ssl=false", { host: "h", ssl: false }],
    // The name of a Kerberos service: there is none without GSSAPI.
    ["postgres://h?krbsrvname=postgres&keepalives=1", { host: "h", keepAlive: true }],
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
    ["postgres://user:hunter2@a:1,b:2/db", "several hosts"],
    ["postgres://user:hunter2@a,b/db", "several hosts"],
    ["postgres://user:hunter2@host:99999/db", "1 to 65535"],
    ["postgres://user:hun?ter2@host/db", "? is %3F"],
    ["postgres://user:hun/ter2@host/db", "/ is %2F"],
    ["postgres://user:123?hunter2@host/db", "without ="],
    ["postgres://user:hun\tter2@host/db", "control character"],
    ["postgres://user:hunter2@host/db\n", "control character"],
    ["postgres://user:hun%00ter2@host/db", "without NUL"],
    ["postgres://user:hunter2@host/db?password=%zz", "percent-encoded"],
    ["postgres://user:hunter2@host/db?hunter2", "without ="],
    ["postgres://user:hunter2@host/db?hunter2=1", "unknown parameter"],
    ["postgres://user:hunter2@[::1/db", "must be a URL such as"],
    ["host=localhost password=hunter2", "must be a URL such as"],
    ["postgres://user:hunter2@real/db?host=other", "two values of host"],
    ["postgres://user:hunter2@/db?host=a&host=b", "more than once"],
    ["postgres://user:hunter2@real:5432/db?port=5433", "two values of port"],
    ["postgres://user:hunter2@h/db?password=hunter22", "two values of password"],
    ["postgres://user:hunter2@h/db?user=other", "two values of user"],
    ["postgres://user:hunter2@h/db?dbname=other", "two values of dbname"],
    ["postgres://user:[YOUR-PASSWORD]@db.example.com/db", "placeholder [YOUR-PASSWORD]"],
    ["postgres://user:<password>@db.example.com/db", "placeholder <password>"],
    ["postgres://user:{{password}}@db.example.com/db", "placeholder {{password}}"],
    ["postgres://user:your-password@db.example.com/db", "placeholder your-password"],
    ["postgres://user:%5BYOUR-PASSWORD%5D@db.example.com/db", "placeholder [YOUR-PASSWORD]"],
    ["postgres://user:hunter2@db.your-project-ref.supabase.co/db", "placeholder your-project-ref"],
    ["postgres://user:hunter2@db.[YOUR-PROJECT-REF].supabase.co/db", "placeholder [YOUR-PROJECT-REF]"],
    ["postgres://user:hunter2@aws-0-<region>.pooler.supabase.com/db", "placeholder <region>"],
    ["postgres://postgres.[project-ref]:hunter2@pooler.example.com/db", "placeholder [project-ref]"],
    ["postgres://user:hunter2@h/db?channel_binding=require", "channel_binding"],
    ["postgres://user:hunter2@h/db?service=x", "service, which is not supported"],
    ["postgres://user:hunter2@h/db?hostaddr=10.0.0.1", "hostaddr, which is not supported"],
    ["postgres://user:hunter2@h/db?connection_limit=1", '"connection_limit"'],
    ["postgres://user:hunter2@host/db?sslmode=sometimes", "sslmode, which must be one of"],
    ["postgres://user:hunter2@host/db?sslmode=prefer", "fall back to plaintext"],
    ["postgres://user:hunter2@host/db?sslmode=require&sslmode=disable", "more than once"],
    ["postgres://user:hunter2@host/db?sslrootcert=/nowhere/hunter2", "sslrootcert, which must be the path"],
    [
      "postgres://user:hunter2@host/db?target_session_attrs=prefer-standby",
      "target_session_attrs, which must be one of any, read-write",
    ],
    ["postgres://user:hunter2@host/db?connect_timeout=soon", "number of seconds"],
    ["postgres://user:hunter2@host/db?port=soon", "port, which must be a number"],
    ["postgres://user:hunter2@host/db?pgbouncer=1", "must be true or false"],
    ["postgres://user:hunter2@host/db?ssl=yes", "ssl, which must be true or false"],
    ["postgres://user:hunter2@host/db?keepalives=on", "keepalives, which must be 0 or 1"],
    ["postgres://user:hunter2@host/db?keepalives_idle=soon", "keepalives_idle, which must be a number of seconds"],
    ["postgres://user:hunter2@host/db?requirepeer=postgres", "requirepeer, which is not supported"],
    ["postgres://user:hunter2@host:0/db", "1 to 65535"],
    ["postgres://user:hunter2@/db?host=a,b", "must be one host name"],
  ] as const;
  for (const [url, says] of bad) {
    const error = assertThrows(() => new PostgresConnectionManager(url), ConfigError);
    assertEquals(error.issues.length, 1, url);
    assert(error.message.includes(says), `${url}: ${error.message}`);
    assert(!/hun.?.?.?ter2/.test(error.message), error.message);
  }
});

Deno.test("PostgresConnectionManager throws ConfigError for placeholders in options and variables", () => {
  const placeholders: readonly Partial<PostgresConfig>[] = [
    { password: "[YOUR-PASSWORD]" },
    { password: "<db-password>" },
    { password: "YOUR_PASSWORD" },
    { host: "db.<project-ref>.supabase.co" },
    { host: "db.yourproject.supabase.co" },
    { user: "postgres.[YOUR-PROJECT-REF]" },
    { database: "<database>" },
  ];
  for (const options of placeholders) {
    const error = assertThrows(() => new PostgresConnectionManager(options), ConfigError);
    assert(error.message.includes("must not contain the placeholder"), error.message);
  }
  const error = assertThrows(() => PostgresConnectionManager.fromEnv({ DB_PASSWORD: "[YOUR-PASSWORD]" }), ConfigError);
  assert(error.message.includes("placeholder [YOUR-PASSWORD]"), error.message);
  // What only looks like one is a password.
  for (const password of ["[x]", "<3 passwords", "my-password-1", "{a}", "[YOUR-PASSWORD]1"]) {
    assertEquals(readUrl(`postgres://u:${encodeURIComponent(password)}@h`, "url", []).password, password);
    postgresConfigShape.password().parse(password);
  }
});
