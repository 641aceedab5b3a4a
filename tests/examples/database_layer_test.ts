import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  EmailTakenError,
  SCHEMA,
  trackWaits,
  UserRepository,
  UserService,
  watchHealth,
} from "../../examples/database_layer.ts";
import { closeCache } from "../../shared/cache/mod.ts";
import { ConnectionWrapper } from "../../shared/data/mod.ts";
import { TestDatabase } from "../postgres/support.ts";
import { until } from "../support/until.ts";

Deno.test("database_layer: registers both or neither, caches, and is observed", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 2 });
  await manager.transaction(SCHEMA.map((query) => ({ query })));
  const service = new UserService(new ConnectionWrapper(manager));
  const waits: number[] = [];
  using _tracked = trackWaits(manager, waits);

  const john = await service.register("John", "john@example.com", "Hello");
  assertEquals([john.id, john.name, john.active], [1, "John", true]);
  const taken = await assertRejects(
    () => service.register("Jane", "john@example.com", "Hello"),
    EmailTakenError,
    "is taken",
  );
  assert(!Deno.inspect(taken).includes("john@"));
  await assertRejects(() => service.register("Jane", "jane@example.com", null as unknown as string));
  assertEquals(await new UserRepository(manager).count(), 1);

  assertEquals((await service.find(1))?.name, "John");
  const before = manager.getStats().totalAcquired;
  assertEquals((await service.find(1))?.name, "John");
  assertEquals(manager.getStats().totalAcquired, before);
  await service.rename(1, "John Doe");
  assertEquals((await service.find(1))?.name, "John Doe");
  assertEquals(await service.latestNames(10), ["John Doe"]);
  assert(waits.length > 0);
  closeCache();
});

Deno.test("database_layer: tells when the database stops to answer, and when it answers again", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ retries: false });
  const lines: string[] = [];
  using _watched = watchHealth(manager, (line) => lines.push(line));
  await manager.query("select 1");
  await database.server.stop();
  await manager.healthCheck();
  assert(lines[0]?.startsWith("The database does not answer"), lines.join());
  await database.server.start();
  await until("it answers", async () => (await manager.healthCheck()).healthy);
  assert(lines.at(-1)?.startsWith("The database answers again, after"), lines.join());
});

Deno.test("database_layer: runs as a script", async () => {
  await using database = await TestDatabase.start();
  const { host, port, user = "", password } = database.options();
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("../../examples/database_layer.ts", import.meta.url).href],
    env: {
      DB_HOST: host,
      DB_PORT: `${port}`,
      DB_NAME: "postgres",
      DB_USER: user,
      DB_PASSWORD: password,
      NO_COLOR: "1",
    },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  const printed = new TextDecoder().decode(stdout);
  assert(success, new TextDecoder().decode(stderr));
  assert(printed.includes("John Doe") && printed.trimEnd().endsWith("healthy"), printed);
});
