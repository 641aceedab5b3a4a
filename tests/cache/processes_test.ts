import { assert, assertEquals } from "@std/assert";
import { denoArgs } from "../support/deno_process.ts";
import { redisServer, TestRedis } from "../support/redis.ts";

Deno.test({
  name: `getOrLoad() makes at most 2 loads for 1,000 concurrent misses in 8 processes${redisServer.note}`,
  ignore: redisServer.ignore,
  async fn() {
    await using redis = await TestRedis.start();
    // All have started and connected by then.
    const at = String(Date.now() + 4_000);
    const script = new URL("isolate.ts", import.meta.url).pathname;
    const runs = Array.from({ length: 8 }, () =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", ...denoArgs(), script, redis.url, at],
        stdout: "piped",
        stderr: "inherit",
      }).output());
    const outputs = (await Promise.all(runs)).map(({ stdout }) => new TextDecoder().decode(stdout).trim().split(" "));
    assertEquals(outputs.map(([, values]) => values), Array(8).fill("125"));
    const loads = outputs.reduce((sum, [count]) => sum + Number(count), 0);
    assert(loads >= 1 && loads <= 2, `${loads} loads`);
  },
});
