import { testGroup } from "./group.ts";

testGroup({
  name: "resources that age, die and are closed",
  weights: {
    ask: 24,
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
    listen: 3,
    resize: 2,
    shutdown: 0,
  },
  steps: 40_000,
  invariants: [1, 2, 3, 5, 14, 15, 16, 17, 18, 19, 20],
  looks: 50,
});
