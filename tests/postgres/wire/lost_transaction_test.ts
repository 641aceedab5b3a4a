/** A transaction that the server ends by itself, as a pooler in statement mode does. */
import { assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  PostgresConnectionManager,
  TransactionEndedError,
  TransactionRolledBackError,
} from "../../../shared/postgres/mod.ts";
import { type Peer, reply, startFakeServer } from "./fake_server.ts";

/** Answers each message of a request without rows; `status` is that after it. */
async function answer(peer: Peer, types: string, status: string, fails = false): Promise<void> {
  const parts: Buffer[] = [];
  for (const type of types) {
    if (type === "P") parts.push(reply.parseComplete);
    if (type === "B") parts.push(reply.bindComplete);
    if (type === "D") parts.push(reply.parameters(), reply.noData);
    if (type === "C") parts.push(reply.closeComplete);
    if (type === "E" && fails) parts.push(reply.error());
    if (type === "E" && fails) break;
    if (type === "E") parts.push(reply.tag("SET"));
  }
  await peer.send(Buffer.concat([...parts, reply.ready(status)]));
}

/** Runs `test` with a manager of a server whose first request of a transaction leaves it in no transaction. */
async function withServer(
  fails: boolean,
  test: (manager: PostgresConnectionManager, requests: string[]) => Promise<void>,
): Promise<void> {
  const requests: string[] = [];
  await using server = startFakeServer({
    onRequest: async (peer, types) => {
      requests.push(types);
      await answer(peer, types, "I", fails);
    },
  });
  const manager = new PostgresConnectionManager({
    ...server.options,
    maxConnections: 1,
    minConnections: 0,
    healthCheckIntervalMs: 0,
    poolMode: "session",
  });
  manager.on("error", () => {});
  try {
    await test(manager, requests);
  } finally {
    await manager.shutdown(0);
  }
}

Deno.test("transaction() sends nothing more once the server has ended it, and rejects", async () => {
  await withServer(false, async (manager, requests) => {
    let sent = 0;
    const work = manager.transaction(async (tx) => {
      await tx.query("set local x to 1");
      sent = requests.length;
      await assertRejects(() => tx.query("set local x to 2"), TransactionEndedError);
      return "done";
    });
    await assertRejects(() => work, TransactionEndedError);
    assertEquals(requests.slice(sent).filter((types) => types.includes("P")).length, 0, requests.join(" "));
  });
});

Deno.test("transaction() rejects as rolled back when a statement failed and the server has ended it", async () => {
  await withServer(true, async (manager, requests) => {
    let sent = 0;
    const work = manager.transaction(async (tx) => {
      await tx.query("set local x to 1").catch(() => {});
      sent = requests.length;
      await assertRejects(() => tx.query("set local x to 2"), TransactionRolledBackError);
      return "done";
    });
    await assertRejects(() => work);
    assertEquals(requests.slice(sent).filter((types) => types.includes("P")).length, 0, requests.join(" "));
  });
});
