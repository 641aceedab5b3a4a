import { assertEquals } from "@std/assert";
import type { PoolRecorder } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { testPool } from "../support/pool.ts";

/** A recorder and what it was given. */
function notebook() {
  const notes: string[] = [];
  const recorder: PoolRecorder = {
    waitTime: (ms) => notes.push(`waited ${ms}`),
    useTime: (ms) => notes.push(`used ${ms}`),
  };
  return { notes, recorder };
}

Deno.test("a recorder is given how long each lease was waited for and held", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const { notes, recorder } = notebook();
  pool.record(recorder);
  const first = await pool.lease();
  const waiter = pool.lease();
  await clock.advance(30);
  first.release();
  assertEquals(notes, ["waited 0", "waited 30", "used 30"]);
  const second = await waiter;
  await clock.advance(7);
  second.release();
  assertEquals(notes.slice(3), ["used 7"]);
  await pool.shutdown(0);
});

Deno.test("a recorder is given nothing once its subscription is disposed of, others still are", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const one = notebook();
  const two = notebook();
  const subscription = pool.record(one.recorder);
  pool.record(two.recorder);
  (await pool.lease()).release();
  subscription[Symbol.dispose]();
  subscription[Symbol.dispose]();
  (await pool.lease()).release();
  assertEquals([one.notes.length, two.notes.length], [2, 4]);
  await pool.shutdown(0);
});

Deno.test("a recorder that records only one of the times is asked for nothing else", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const waits: number[] = [];
  pool.record({ waitTime: (ms) => waits.push(ms) });
  (await pool.lease()).release();
  assertEquals(waits, [0]);
  await pool.shutdown(0);
});

Deno.test("a recorder that throws is reported, and its lease is granted and given back", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const { notes, recorder } = notebook();
  const errors: string[] = [];
  pool.on("error", ({ error, source }) => errors.push(`${source}: ${error}`));
  pool.record({
    waitTime() {
      throw "bad wait";
    },
    useTime() {
      throw "bad use";
    },
  });
  pool.record(recorder);
  (await pool.lease()).release();
  await settle();
  assertEquals(errors, ["listener: bad wait", "listener: bad use"]);
  assertEquals(notes, ["waited 0", "used 0"]);
  assertEquals(pool.getStats().idleConnections, 1);
  await pool.shutdown(0);
});
