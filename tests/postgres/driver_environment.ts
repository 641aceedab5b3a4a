/** Prints what the driver would connect with; see `driver_environment_test.ts`. */
import { parsePostgresConfig } from "../../shared/postgres/config/config.ts";
import type { PostgresConfig } from "../../shared/postgres/config/options.ts";
import { createClient } from "../../shared/postgres/wire/driver.ts";
import { driverOptions } from "../../shared/postgres/connection/connection_factory.ts";

/** Returns the parameters of a client, and its password. */
function shown(config: Partial<PostgresConfig>): object {
  const client = createClient(driverOptions(parsePostgresConfig(config)));
  const parameters: object = Reflect.get(client, "connectionParameters");
  return { ...parameters, password: String(Reflect.get(client, "password")) };
}

const tls = [true, {}, { rejectUnauthorized: undefined }, { rejectUnauthorized: false }];
console.log(JSON.stringify([
  shown({ applicationName: "ours", options: undefined }),
  ...tls.map((ssl) => shown({ applicationName: "ours", ssl })),
]));
