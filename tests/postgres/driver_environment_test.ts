import { assert, assertEquals } from "@std/assert";
import { startDeno } from "../support/deno_process.ts";

/** Variables of libpq and of the driver, none of which is ours. */
const FOREIGN = {
  PGHOST: "evil.example",
  PGPORT: "666",
  PGDATABASE: "evil",
  PGUSER: "evil",
  PGPASSWORD: "evil",
  PGOPTIONS: "-c search_path=evil",
  PGAPPNAME: "evil",
  PGREPLICATION: "evil",
  PGSSLMODE: "no-verify",
  PGSSLNEGOTIATION: "direct",
  NODE_TLS_REJECT_UNAUTHORIZED: "0",
};

Deno.test("driverOptions() leaves no option to PG* variables", async () => {
  await using child = startDeno(new URL("driver_environment.ts", import.meta.url), FOREIGN);
  const line = await child.line() ?? "";
  assert(!/evil|666|direct/.test(line), line);
  const [{ host, port, application_name: name, ssl }, ...withTls] = JSON.parse(line);
  assertEquals([host, port, name, ssl], ["localhost", 5432, "ours", false]);
  assertEquals(
    withTls.map(({ ssl }: { ssl: { rejectUnauthorized: unknown } }) => ssl.rejectUnauthorized),
    [true, true, true, false],
  );
});
