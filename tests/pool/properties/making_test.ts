import { testGroup } from "./group.ts";

testGroup({
  name: "resources that cannot be made",
  weights: {
    ask: 30,
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
    listen: 2,
    resize: 2,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 5, 10, 11, 12, 13, 14, 19],
  looks: 50,
});
