/** Prints what the driver would connect with; see `driver_environment_test.ts`. */
import { parsePostgresConfig } from "../../shared/postgres/config.ts";
import { createClient } from "../../shared/postgres/driver.ts";
import { driverOptions } from "../../shared/postgres/session_factory.ts";

const client = createClient(driverOptions(parsePostgresConfig({ applicationName: "ours", options: undefined })));
const parameters: object = Reflect.get(client, "connectionParameters");
console.log(JSON.stringify({ ...parameters, password: String(Reflect.get(client, "password")) }));
