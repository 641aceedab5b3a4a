import { testGroup } from "./group.ts";

testGroup({
  name: "pools that are shut down",
  weights: {
    ask: 24,
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
});
