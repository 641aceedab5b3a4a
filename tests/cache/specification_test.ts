/** The calls of the specification, as they are written there. */
import { assertEquals, assertThrows } from "@std/assert";
import { CacheConfigError, redisCache } from "../../shared/cache/mod.ts";
import { redisServer, TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";

/** Runs `body` with a server that `REDIS_URL` names. */
async function withRedis(body: () => Promise<void>): Promise<void> {
  await using redis = await TestRedis.start();
  const before = Deno.env.get("REDIS_URL");
  Deno.env.set("REDIS_URL", redis.url);
  try {
    await body();
  } finally {
    redisCache.close();
    if (before === undefined) Deno.env.delete("REDIS_URL");
    else Deno.env.set("REDIS_URL", before);
  }
}

Deno.test({
  name: `redisCache has the calls of the specification${redisServer.note}`,
  ignore: redisServer.ignore,
  fn: () =>
    withRedis(async () => {
      // Set a value in the cache
      await redisCache.set("user:1", { id: 1, name: "John" }, 3600);

      // Get a value from the cache
      const user = await redisCache.get("user:1");
      assertEquals(user, { id: 1, name: "John" });

      // Delete a key from the cache
      await redisCache.delete("user:1");
      assertEquals(await redisCache.get("user:1"), undefined);

      // Check if a key exists in the cache
      const exists = await redisCache.exists("user:1");
      assertEquals(exists, false);

      // Set multiple values in the cache
      await redisCache.mset(
        {
          "user:1": { id: 1, name: "John" },
          "user:2": { id: 2, name: "Jane" },
        },
        3600,
      );

      // Get multiple values from the cache
      const values = await redisCache.mget(["user:1", "user:2", "user:3"]);
      assertEquals(values, [{ id: 1, name: "John" }, { id: 2, name: "Jane" }, undefined]);

      // Increment a counter in the cache
      const newValue = await redisCache.increment("visits", 1);
      assertEquals(newValue, 1);
      assertEquals(await redisCache.increment("visits", 2), 3);
      assertEquals(await redisCache.get("visits"), 3);

      // Subscribe to a channel
      const received: unknown[] = [];
      await redisCache.subscribe("user-updates", (message, channel) => {
        received.push(channel, message);
      });

      // Publish a message to a channel
      await redisCache.publish("user-updates", { id: 1, action: "updated" });
      await until("the message arrives", () => received.length > 0);
      assertEquals(received, ["user-updates", { id: 1, action: "updated" }]);
    }),
});

Deno.test("redisCache opens nothing when it is shown, compared or awaited", async () => {
  const before = Deno.env.get("REDIS_URL");
  Deno.env.delete("REDIS_URL");
  try {
    assertEquals(`${redisCache} ${JSON.stringify(redisCache)}`, "[object Object] {}");
    assertEquals([Object.hasOwn(redisCache, "get"), await redisCache === redisCache], [false, true]);
    assertEquals([Deno.inspect(redisCache).length > 0, redisCache.valueOf() === redisCache], [true, true]);
    assertThrows(() => redisCache.stats(), CacheConfigError, "REDIS_URL is not set");
  } finally {
    if (before !== undefined) Deno.env.set("REDIS_URL", before);
  }
});
