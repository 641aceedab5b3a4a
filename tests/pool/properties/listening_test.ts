import { runBeside, testGroup } from "./group.ts";

testGroup({
  name: "listeners that throw",
  weights: {
    ask: 30,
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
});
