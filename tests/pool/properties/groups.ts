/**
 * The groups of random scripts, each with an emphasis and the invariants that it
 * tests.
 *
 * @module
 */
import { type Group, runBeside } from "./group.ts";

/** Mostly acquires, releases and aborts. */
const queue: Group = {
  name: "waiters, and their order",
  weights: {
    ask: 48,
    probe: 2,
    tamper: 1,
    tryLease: 6,
    release: 24,
    misuse: 2,
    abort: 10,
    advance: 14,
    freeze: 2,
    create: 1,
    hooks: 1,
    finish: 1,
    invalidate: 1,
    listen: 3,
    resize: 1,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17],
  looks: 50,
};

/** Flows that share the lanes. */
const fair: Group = {
  name: "flows that share the lanes",
  fair: true,
  weights: {
    ask: 52,
    probe: 1,
    tamper: 1,
    tryLease: 4,
    release: 26,
    misuse: 1,
    abort: 8,
    advance: 10,
    freeze: 1,
    create: 1,
    hooks: 1,
    finish: 1,
    invalidate: 1,
    listen: 2,
    resize: 1,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 28, 29],
  looks: 50,
};

/** Factories that fail, hang and settle late. */
const creation: Group = {
  name: "resources that cannot be created",
  weights: {
    ask: 30,
    probe: 4,
    tamper: 2,
    tryLease: 2,
    release: 16,
    misuse: 0,
    abort: 3,
    advance: 16,
    freeze: 2,
    create: 14,
    hooks: 2,
    finish: 8,
    invalidate: 2,
    listen: 6,
    resize: 2,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 5, 10, 11, 12, 13, 14, 19],
  looks: 50,
};

/** Expiry, validation, resets and closing. */
const expiry: Group = {
  name: "resources that age, die and are closed",
  weights: {
    ask: 24,
    probe: 4,
    tamper: 2,
    tryLease: 6,
    release: 24,
    misuse: 2,
    abort: 2,
    advance: 20,
    freeze: 4,
    create: 2,
    hooks: 12,
    finish: 6,
    invalidate: 5,
    listen: 5,
    resize: 2,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 5, 14, 15, 16, 17, 18, 19, 20],
  looks: 50,
};

/** Limits that change often. */
const resizing: Group = {
  name: "sizes and reservations that change",
  weights: {
    ask: 34,
    probe: 1,
    tamper: 1,
    tryLease: 4,
    release: 20,
    misuse: 0,
    abort: 2,
    advance: 14,
    freeze: 2,
    create: 3,
    hooks: 3,
    finish: 4,
    invalidate: 2,
    listen: 3,
    resize: 16,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 5, 7, 8, 10, 19, 21],
  looks: 50,
};

/** Shutdowns at any moment. */
const shutdown: Group = {
  name: "pools that are shut down",
  weights: {
    ask: 24,
    probe: 4,
    tamper: 2,
    tryLease: 4,
    release: 12,
    misuse: 3,
    abort: 3,
    advance: 12,
    freeze: 2,
    create: 8,
    hooks: 8,
    finish: 6,
    invalidate: 3,
    listen: 3,
    resize: 2,
    shutdown: 2,
  },
  steps: 40_000,
  invariants: [2, 3, 4, 14, 15, 16, 17, 22, 23],
  looks: 50,
};

/** Mostly probes, and holders that tamper with their leases. */
const probes: Group = {
  name: "probes, and holders that tamper",
  weights: {
    ask: 20,
    probe: 30,
    tamper: 12,
    tryLease: 2,
    release: 14,
    misuse: 2,
    abort: 2,
    advance: 16,
    freeze: 2,
    create: 8,
    hooks: 6,
    finish: 8,
    invalidate: 4,
    listen: 4,
    resize: 3,
    shutdown: 1,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 4, 10, 15, 16, 21, 22, 27],
  looks: 50,
};

/** Each script twice: with listeners that do nothing, and with listeners that throw. */
const listeners: Group = {
  name: "listeners that throw",
  weights: {
    ask: 30,
    probe: 4,
    tamper: 2,
    tryLease: 4,
    release: 20,
    misuse: 1,
    abort: 4,
    advance: 16,
    freeze: 2,
    create: 4,
    hooks: 4,
    finish: 4,
    invalidate: 4,
    listen: 4,
    resize: 2,
    shutdown: 1,
  },
  steps: 20_000,
  invariants: [24],
  looks: 100,
  run: runBeside,
};

/** All groups. Each has a test file of its own, so that they run beside each other. */
export const GROUPS = Object.freeze({ queue, fair, creation, expiry, resizing, shutdown, probes, listeners });
