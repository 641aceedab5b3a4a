import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BUSY_TIMEOUT_MS, SqliteConnection, SqlitePool } from "../../examples/sqlite_pool.ts";
import type { PoolConfig } from "../../shared/pool/mod.ts";

/** Runs a test with a pool on a database of its own, in a folder of its own. */
function test(
  name: string,
  body: (pool: SqlitePool, path: string) => Promise<void>,
  config?: Partial<PoolConfig>,
): void {
  Deno.test(`sqlite_pool: ${name}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "sqlite_pool_" });
    try {
      const path = `${folder}/test.db`;
      await using pool = new SqlitePool(path, { maxConnections: 3, minConnections: 0, ...config });
      await pool.use((db) => db.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"));
      await body(pool, path);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const texts = (db: SqliteConnection) => db.all("SELECT text FROM notes ORDER BY id").map(({ text }) => text);
const add = (db: SqliteConnection, text: string) => db.run("INSERT INTO notes (text) VALUES (?)", text);

test("use() reuses connections, at most maxConnections", async (pool) => {
  let most = 0;
  let open = 0;
  await Promise.all(Array.from({ length: 50 }, (_, i) =>
    pool.use(async (db) => {
      most = Math.max(most, ++open);
      assertEquals(add(db, `note ${i}`), 1);
      await Promise.resolve();
      open--;
    })));
  assertEquals(most, 3);
  assertEquals(pool.getStats().totalCreated, 3);
  assertEquals(await pool.use((db) => texts(db).length), 50);
});

test("transaction() commits, or rolls back as a whole", async (pool) => {
  await pool.use((db) => db.transaction(() => (add(db, "kept"), add(db, "too"))));
  await assertRejects(
    () =>
      pool.use((db) =>
        db.transaction(() => {
          add(db, "undone");
          throw new Error("changed my mind");
        })
      ),
    Error,
    "changed my mind",
  );
  assertEquals(await pool.use(texts), ["kept", "too"]);
});

test("transaction() rolls back a nested transaction alone", async (pool) => {
  await pool.use((db) =>
    db.transaction(() => {
      add(db, "outer");
      assertThrows(
        () =>
          db.transaction(() => {
            add(db, "inner");
            db.transaction(() => add(db, "innermost"));
            add(db, "outer");
          }),
        Error,
        "UNIQUE",
      );
      assertEquals(texts(db), ["outer"]);
      db.transaction(() => add(db, "second"));
    })
  );
  assertEquals(await pool.use(texts), ["outer", "second"]);
});

test("use() keeps the connection after a failed statement", async (pool) => {
  await assertRejects(() => pool.use((db) => db.run("INSERT INTO nowhere VALUES (1)")), Error, "nowhere");
  assertEquals(pool.getStats().totalDestroyed, 0);
});

test("use() removes, closes and replaces a broken connection", async (pool, path) => {
  await pool.use((db) => {
    add(db, "in the file");
    db.all("PRAGMA wal_checkpoint(TRUNCATE)");
  });
  const first = await pool.lease();
  const second = await pool.lease();
  const broken = second.resource;
  second.release();
  first.release({ destroy: true });

  // The table's page is spoilt behind the back of a connection that has not read it.
  const file = await Deno.readFile(path);
  const spoilt = file.slice();
  spoilt.fill(0x5a, 4_096);
  await Deno.writeFile(path, spoilt);
  await assertRejects(() => pool.use((db) => texts(db)), Error, "malformed");
  assertThrows(() => broken.all("SELECT 1"), Error, "not open");
  assertEquals(pool.getStats().totalConnections, 0);

  await Deno.writeFile(path, file);
  assertEquals(await pool.use(texts), ["in the file"]);
  assertEquals(pool.getStats().totalCreated, 3);
});

test("use() replaces a connection that broke while it was idle", async (pool) => {
  await pool.use((db) => db.close());
  assertEquals(await pool.use(texts), []);
  assertEquals(pool.getStats().totalDestroyed, 1);
}, { validateAfterIdleMs: 0 });

test("use() waits for the lock of another connection, but not forever", async (pool, path) => {
  const [{ timeout } = { timeout: 0 }] = await pool.use((db) => db.all("PRAGMA busy_timeout"));
  assertEquals(timeout, BUSY_TIMEOUT_MS);
  assertEquals(BUSY_TIMEOUT_MS, 3_000);
  const other = new SqliteConnection(path);
  try {
    // The lock is held in this thread, so nothing could end the wait: it is shortened here.
    await pool.use((db) => {
      db.all("PRAGMA busy_timeout = 30");
      const started = performance.now();
      other.transaction(() => {
        assertThrows(() => add(db, "late"), Error, "locked");
        assert(performance.now() - started >= 25);
      });
      add(db, "in time");
    });
    assertEquals(pool.getStats().totalDestroyed, 0, "a busy database is no broken connection");
  } finally {
    other.close();
  }
});

Deno.test("sqlite_pool: use() rejects at once if the file cannot be opened", async () => {
  await using pool = new SqlitePool("/nowhere/at/all.db", { minConnections: 0 });
  await assertRejects(() => pool.use(texts), Error, "unable to open");
  assertEquals(pool.getStats().totalConnections, 0);
});

test("use() rolls back a transaction that the previous holder left open", async (pool, path) => {
  await assertRejects(() =>
    pool.use((db) => {
      db.run("BEGIN");
      throw new Error("forgotten");
    })
  );
  await pool.use((db) => add(db, "kept"));
  const other = new SqliteConnection(path);
  assertEquals(texts(other), ["kept"]);
  other.close();
}, { maxConnections: 1 });

test("shutdown() closes the connection of work that still runs", async (pool) => {
  const afterShutdown = Promise.withResolvers<void>();
  const work = pool.use(async (db) => {
    await afterShutdown.promise;
    return texts(db);
  });
  await pool.use(() => {});
  await pool.shutdown(0);
  afterShutdown.resolve();
  await assertRejects(() => work, Error, "not open");
});

test("use() rejects asynchronous work in a transaction, and rolls it back", async (pool) => {
  const work = (db: SqliteConnection) =>
    db.transaction(async () => {
      add(db, "undone");
      await Promise.resolve();
      throw new Error("too late");
    });
  await assertRejects(() => pool.use(work), TypeError, "synchronous");
  assertEquals(await pool.use(texts), []);
});

Deno.test("sqlite_pool: SqliteConnection closes a file that is not a database", async () => {
  const folder = await Deno.makeTempDir({ prefix: "sqlite_pool_" });
  try {
    await Deno.writeTextFile(`${folder}/text.db`, "this is no database at all ".repeat(100));
    assertThrows(() => new SqliteConnection(`${folder}/text.db`), Error, "not a database");
    if (Deno.build.os !== "linux") return;
    const open = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return "";
      }
    });
    assertEquals(open.filter((file) => file.startsWith(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
