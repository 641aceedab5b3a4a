import { testGroup } from "./group.ts";

testGroup({
  name: "sizes and reservations that change",
  weights: {
    ask: 30,
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
    listen: 2,
    resize: 16,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 5, 7, 8, 10, 19, 21],
  looks: 50,
});
