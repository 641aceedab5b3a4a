/**
 * The pool core on resources that cost nothing.
 *
 * @module
 */
import { heapUsed, tidy } from "../support/heap.ts";
import type { Checkout } from "./checkout.ts";
import type { OpenCase } from "./work.ts";

const SLOTS = 10;
const CALLERS = 100;
const WAITERS = 2_000;

/** The acquire timeout of the waiters that expire, in ms. */
const EXPIRY_MS = 10;

function ignore(): void {}

/** Opens the pools. */
export function open({ shared }: Checkout): OpenCase {
  const { ResourcePool } = shared;
  const create = (maxConnections: number, acquireTimeoutMs: number) => {
    let id = 0;
    return new ResourcePool(
      { create: () => ({ id: id++ }), destroy: () => {} },
      { maxConnections, minConnections: maxConnections, acquireTimeoutMs, maxWaiters: 10_000_000 },
    );
  };
  const [free, contended] = [create(SLOTS, 120_000), create(SLOTS, 120_000)];
  const [expiring, queueing] = [create(1, EXPIRY_MS), create(1, 120_000)];
  return {
    work: [
      {
        id: "lease",
        title: "lease() and release(), a slot is free",
        unit: "ns",
        run: async (ops) => {
          for (let op = 0; op < ops; op++) (await free.lease()).release();
        },
      },
      {
        id: "try_lease",
        title: "tryLease() and release()",
        unit: "ns",
        run: (ops) => {
          for (let op = 0; op < ops; op++) free.tryLease()?.release();
        },
      },
      {
        id: "acquire",
        title: "acquire() and release(resource)",
        unit: "ns",
        run: async (ops) => {
          for (let op = 0; op < ops; op++) free.release(await free.acquire());
        },
      },
      {
        id: "callers",
        title: `${CALLERS} callers on ${SLOTS} slots`,
        unit: "ns",
        run: async (ops) => {
          let left = ops;
          const caller = async () => {
            while (left-- > 0) (await contended.lease()).release();
          };
          await Promise.all(Array.from({ length: CALLERS }, caller));
        },
      },
      {
        id: "expiry",
        title: "a waiter that expires",
        unit: "ns",
        run: async (ops) => {
          const held = await expiring.lease();
          // The pool's timer does not keep the process alive.
          const awake = setTimeout(() => {}, 60_000);
          const { promise, resolve } = Promise.withResolvers<void>();
          let left = ops;
          const expired = () => {
            if (--left === 0) resolve();
          };
          for (let op = 0; op < ops; op++) expiring.lease().then(expired, expired);
          await promise;
          clearTimeout(awake);
          held.release();
        },
      },
      {
        id: "waiter_bytes",
        title: "heap of a waiter",
        unit: "bytes",
        bytes: async () => {
          const held = await queueing.lease();
          tidy();
          tidy();
          const before = heapUsed();
          const waiting = Array.from({ length: WAITERS }, () => queueing.lease());
          // Only what survives a collection counts: the waiters.
          tidy();
          tidy();
          const bytes = (heapUsed() - before) / WAITERS;
          held.release();
          for (const lease of waiting) (await lease).release();
          return bytes;
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      await Promise.all([free, contended, expiring, queueing].map((pool) => pool.shutdown(0).catch(ignore)));
    },
  };
}
