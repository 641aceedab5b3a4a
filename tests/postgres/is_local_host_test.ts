import { assertEquals } from "@std/assert";
import { isLocalHost } from "../../shared/postgres/config/config.ts";
import { parsePostgresConfig, readPostgresEnvironment } from "../../shared/postgres/mod.ts";

const LOCAL = [
  ...["localhost", "LOCALHOST.", "db", "supabase_db_project", "/var/run/postgresql", "host.docker.internal"],
  ...["postgres.default.svc.cluster.local", "a.localhost", "127.0.0.1", "127.1", "10.0.0.7", "192.168.1.2"],
  ...["172.16.0.1", "172.31.255.255", "169.254.1.1", "::1", "fd12:3456::1", "fe80::1%eth0"],
];

const REMOTE = [
  ...["db.abcdefghijklmnopqrst.supabase.co", "aws-0-eu-central-1.pooler.supabase.com", "localhost.example.com"],
  ...["internal.example", "local.net", "8.8.8.8", "11.0.0.1", "172.32.0.1", "192.169.0.1", "2001:db8::1"],
  ...["10.example.com", "127.0.0.1.example.com", "::ffff:10.0.0.1"],
];

Deno.test("isLocalHost() recognizes names and addresses of the machine and its network", () => {
  assertEquals(LOCAL.filter((host) => !isLocalHost(host)), []);
  assertEquals(REMOTE.filter(isLocalHost), []);
});

Deno.test("parsePostgresConfig() enables TLS with verification for remote hosts", () => {
  for (const host of LOCAL) assertEquals(parsePostgresConfig({ host }).ssl, false, host);
  for (const host of REMOTE) assertEquals(parsePostgresConfig({ host }).ssl, true, host);
  assertEquals(parsePostgresConfig({ host: "db.example.com", ssl: false }).ssl, false);
  const ca = "-----BEGIN CERTIFICATE-----\n";
  assertEquals(parsePostgresConfig({ host: "db.example.com", ssl: { ca } }).ssl, { ca });

  const sslOf = (variables: Record<string, string>) =>
    parsePostgresConfig(readPostgresEnvironment(variables).config).ssl;
  const hosted = "postgresql://postgres:x@db.abcdefghijklmnopqrst.supabase.co:5432/postgres";
  const local = "postgresql://postgres:postgres@supabase_db_project:5432/postgres";
  assertEquals(sslOf({ SUPABASE_DB_URL: hosted }), true);
  assertEquals(sslOf({ SUPABASE_DB_URL: `${hosted}?sslmode=disable` }), false);
  assertEquals(sslOf({ SUPABASE_DB_URL: hosted, DB_SSL: "false" }), false);
  assertEquals(sslOf({ SUPABASE_DB_URL: local }), false);
  assertEquals(sslOf({ SUPABASE_DB_URL: local, DB_HOST: "aws-0-eu-central-1.pooler.supabase.com" }), true);
  assertEquals(sslOf({ DB_HOST: "localhost" }), false);
  assertEquals(sslOf({ DB_HOST: "localhost", DB_SSL: "true" }), true);
});
