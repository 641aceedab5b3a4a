import { testGroup } from "./group.ts";

testGroup({
  name: "who waits, and who is served",
  weights: {
    ask: 40,
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
    listen: 2,
    resize: 1,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17],
  looks: 50,
});
