/** RedisConnection with a real server: logins, TLS, deadlines, and processes that end by themselves. */
import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import {
  CacheConfigError,
  CacheUnavailableError,
  closeCache,
  getCache,
  LayeredCache,
  RedisCache,
  redisCache,
  RedisConnection,
  RedisReplyError,
} from "../../shared/cache/mod.ts";
import { parseRedisUrl } from "../../shared/cache/redis/redis_url.ts";
import { component } from "../support/components.ts";
import { denoArgs } from "../support/deno_process.ts";
import { freePort, redisServer, TestRedis } from "../support/redis.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/until.ts";

function stateOf(connection: RedisConnection): string {
  return connection.state.circuit.state;
}

function withServer(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `RedisConnection ${name}${redisServer.note}`, ignore: redisServer.ignore, fn });
}

Deno.test("parseRedisUrl() reads host, port, login, database and TLS", () => {
  const address = { host: "h", port: 6_379, username: undefined, password: undefined, db: 0, isTls: false };
  assertEquals(parseRedisUrl("redis://h"), address);
  assertEquals(parseRedisUrl(" redis://h:1/7 "), { ...address, port: 1, db: 7 });
  assertEquals(parseRedisUrl("redis://:p%40%3A%2F@h/"), { ...address, password: "p@:/" });
  assertEquals(parseRedisUrl("rediss://user:pass@h:2"), {
    ...address,
    port: 2,
    username: "user",
    password: "pass",
    isTls: true,
  });
  assertEquals(parseRedisUrl("redis://[::1]:3").host, "::1");
});

Deno.test("parseRedisUrl() rejects what is not a URL of Redis, without showing a part of it", () => {
  for (
    const url of [
      "",
      "localhost:6379",
      "http://:secret@h",
      "redis://",
      "redis://:secret@h/db",
      "redis://:secret@h/1/2",
      "redis://:secret%ZZ@h",
      "redis://:secret@h:70000",
      "redis:///secret",
      "redis://%zz",
    ]
  ) {
    const error = assertThrows(() => parseRedisUrl(url), CacheConfigError, "redis://host:6379");
    assert(!error.message.includes("secret"), error.message);
  }
});

withServer("logs in with a password and as a user of the ACL, and selects the database", async () => {
  await using redis = await TestRedis.start();
  await redis.cli("ACL", "SETUSER", "app", "on", ">p@ss/word", "~*", "&*", "+@all");
  await redis.cli("CONFIG", "SET", "requirepass", "default-pass");
  using user = new RedisConnection({ url: `redis://app:p%40ss%2Fword@127.0.0.1:${redis.port}/3` });
  using standard = new RedisConnection({ url: `redis://:default-pass@127.0.0.1:${redis.port}` });
  using wrong = new RedisConnection({ url: `redis://app:wrong@127.0.0.1:${redis.port}` });
  assertEquals(await user.send([["ACL", "WHOAMI"], ["SET", "a", "1"], ["GET", "a"]]), ["app", "OK", "1"]);
  assertEquals(await standard.send([["GET", "a"]]), [null]);
  assertEquals(await standard.send([["SELECT", 3], ["GET", "a"]]), ["OK", "1"]);
  const error = await assertRejects(() => wrong.send([["GET", "a"]]), CacheUnavailableError, "WRONGPASS");
  assert(!/wrong@|p@ss/.test(error.message));
});

withServer("returns the errors of replies in their places", async () => {
  await using redis = await TestRedis.start();
  using connection = new RedisConnection({ url: redis.url });
  const replies = await connection.send([["SET", "a", "text"], ["INCR", "a"], ["NONSENSE"], ["GET", "a"]]);
  assertEquals([replies[0], replies[3]], ["OK", "text"]);
  for (const reply of [replies[1], replies[2]]) assert(reply instanceof RedisReplyError);
  const [alone] = await connection.send([["INCR", "a"]]);
  assert(alone instanceof RedisReplyError && !alone.isFull);
  assertEquals(connection.state.circuit, { state: "closed" });
});

/** Creates a key and a certificate. */
async function certify(...args: string[]): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  const command = new Deno.Command("openssl", {
    args: ["req", "-x509", ...key, ...args],
    stdout: "null",
    stderr: "null",
  });
  assert((await command.output()).success);
}

const openssl = component("openssl");

async function trustsCertificates(): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const [caKey, caCert, key, cert] = ["ca_key", "ca", "key", "cert"].map((name) => `${folder}/${name}.pem`);
    assert(caKey && caCert && key && cert);
    await certify("-keyout", caKey, "-out", caCert, "-subj", "/CN=authority");
    const ofServer = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const isServer = ["-addext", "basicConstraints=critical,CA:FALSE"];
    await certify("-CA", caCert, "-CAkey", caKey, "-keyout", key, "-out", cert, ...ofServer, ...isServer);
    const port = freePort();
    const tls = [
      "--tls-port",
      String(port),
      "--tls-cert-file",
      cert,
      "--tls-key-file",
      key,
      "--tls-auth-clients",
      "no",
    ];
    await using _redis = await TestRedis.start(...tls, "--tls-ca-cert-file", caCert);
    const ca = await Deno.readTextFile(caCert);
    const url = `rediss://localhost:${port}`;
    using trusted = new RedisConnection({ url, tls: { ca } });
    using untrusted = new RedisConnection({ url });
    using otherName = new RedisConnection({ url, tls: { ca, servername: "example.com" } });
    assertEquals(await trusted.send([["PING"]]), ["PONG"]);
    await assertRejects(() => untrusted.send([["PING"]]), CacheUnavailableError);
    await assertRejects(() => otherName.send([["PING"]]), CacheUnavailableError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name:
    `RedisConnection speaks TLS, and rejects a certificate that it does not trust${openssl.note}${redisServer.note}`,
  ignore: openssl.ignore || redisServer.ignore,
  fn: trustsCertificates,
});

withServer("ends a command at its deadline, then fails fast, and comes back by itself", async () => {
  await using redis = await TestRedis.start();
  await using proxy = await TcpProxy.start({ host: "127.0.0.1", port: redis.port });
  const url = `redis://127.0.0.1:${proxy.port}`;
  using connection = new RedisConnection({ url, commandTimeoutMs: 100, connectTimeoutMs: 200 });
  await connection.send([["PING"]]);
  proxy.stall();
  const start = performance.now();
  await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError, "within 100 ms");
  assertLess(performance.now() - start, 400);
  for (let turn = 0; turn < 20; turn++) {
    const before = performance.now();
    await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError);
    assertLess(performance.now() - before, 90);
  }
  assert(stateOf(connection) !== "closed");
  proxy.resume();
  await until("it is connected", () => connection.send([["PING"]]).then(() => true, () => false));
  assertEquals(stateOf(connection), "closed");
});

withServer("keeps no process alive, and lets one wait for its command", async () => {
  await using redis = await TestRedis.start();
  const code = `
    import { LayeredCache } from ${JSON.stringify(new URL("../../shared/cache/mod.ts", import.meta.url).href)};
    const cache = new LayeredCache({ redis: ${JSON.stringify(redis.url)} });
    await cache.subscribe("c", () => {});
    await cache.set("a", { b: 1 }, 60);
    console.log(JSON.stringify(await cache.get("a")));
    const away = new LayeredCache({ redis: "redis://127.0.0.1:1", name: "away" });
    console.log(await away.getOrLoad("a", () => "loaded"));
  `;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, code);
    const own = denoArgs();
    const config = own.length > 0 ? own : ["--config", new URL("../../deno.json", import.meta.url).pathname];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", ...config, file],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const kill = setTimeout(() => child.kill("SIGKILL"), 20_000);
    const { stdout, stderr, code: exit } = await child.output();
    clearTimeout(kill);
    const output = new TextDecoder().decode(stdout);
    assertEquals([output.trim().split("\n"), exit], [['{"b":1}', "loaded"], 0], new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("fromEnvironment(), getCache() and redisCache read REDIS_URL", async () => {
  using memory = LayeredCache.fromEnvironment({}, {});
  assertEquals(memory.stats().redis, undefined);
  using both = LayeredCache.fromEnvironment({}, { REDIS_URL: "redis://127.0.0.1:1" });
  assert(both.stats().redis);
  assertThrows(() => LayeredCache.fromEnvironment({}, { REDIS_URL: "nonsense" }), CacheConfigError);
  assertThrows(() => RedisCache.fromEnvironment({}, {}), CacheConfigError, "REDIS_URL is not set");
  const before = Deno.env.get("REDIS_URL");
  Deno.env.delete("REDIS_URL");
  try {
    // Reading a member opens nothing, nor does closing what is not open.
    assertEquals([Reflect.get(redisCache, "then"), Reflect.get(redisCache, "toJSON"), typeof redisCache.get], [
      undefined,
      undefined,
      "function",
    ]);
    redisCache.close();
    await assertRejects(async () => await redisCache.get("a"), CacheConfigError, "REDIS_URL is not set");
    assertEquals(getCache(), getCache());
    await getCache().set("a", 1);
    assertEquals(await getCache().get("a"), 1);
    closeCache();
    assertEquals(await getCache().get("a"), undefined);
    closeCache();
  } finally {
    if (before !== undefined) Deno.env.set("REDIS_URL", before);
  }
});

withServer(
  "does not use a server that replies too slowly, and makes no caller wait for it again and again",
  async () => {
    await using redis = await TestRedis.start();
    await using proxy = await TcpProxy.start({ host: "127.0.0.1", port: redis.port });
    const url = `redis://127.0.0.1:${proxy.port}`;
    using connection = new RedisConnection({ url, commandTimeoutMs: 100, connectTimeoutMs: 2_000 });
    await connection.send([["PING"]]);
    proxy.latencyMs = 120;
    await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError, "within 100 ms");
    // Long enough for attempts to connect: each finds that the server is too slow.
    const end = performance.now() + 1_500;
    let slowestMs = 0;
    while (performance.now() < end) {
      const start = performance.now();
      await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assertLess(slowestMs, 90);
    assert(stateOf(connection) !== "closed");
    proxy.latencyMs = 0;
    await until("it is connected", () => connection.send([["PING"]]).then(() => true, () => false));
    assertEquals(stateOf(connection), "closed");
  },
);

withServer("closes its circuit with the connection, also one that opened while it connected", async () => {
  await using redis = await TestRedis.start();
  await using proxy = await TcpProxy.start({ host: "127.0.0.1", port: redis.port });
  using connection = new RedisConnection({ url: `redis://127.0.0.1:${proxy.port}`, commandTimeoutMs: 500 });
  await connection.send([["PING"]]);
  proxy.stall();
  await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError);
  // The attempt to connect is under way: it began in a closed circuit.
  await new Promise((resolve) => setTimeout(resolve, 120));
  assertEquals(stateOf(connection), "closed");
  for (let turn = 0; turn < 5; turn++) {
    await assertRejects(() => connection.send([["PING"]]), CacheUnavailableError);
  }
  assertEquals(stateOf(connection), "open");
  proxy.resume();
  await until("it is connected", () => connection.state.isConnected);
  assertEquals([stateOf(connection), await connection.send([["PING"]])], ["closed", ["PONG"]]);
});

withServer("counts from 0 where the value is no longer fresh", async () => {
  await using redis = await TestRedis.start();
  using cache = new LayeredCache({ redis: redis.url, memory: false });
  await cache.set("n", 5, { ttlSeconds: 0.05, graceSeconds: 60 });
  await cache.set("fresh", 5, 60);
  await new Promise((resolve) => setTimeout(resolve, 80));
  assertEquals([await cache.increment("n"), await cache.get("n"), await cache.increment("n", 2)], [1, 1, 3]);
  assertEquals(await cache.increment("fresh"), 6);
});

withServer("connects again when a server has become a replica, which rejects writes", async () => {
  await using redis = await TestRedis.start();
  using cache = new LayeredCache({ redis: redis.url, memory: false });
  await cache.set("a", "old");
  await redis.cli("REPLICAOF", "127.0.0.1", "1");
  await cache.set("a", "new");
  await cache.delete("b");
  assertEquals(await cache.get("a"), undefined);
  await redis.cli("REPLICAOF", "NO", "ONE");
  await until("all was sent", async () => {
    await cache.get("c");
    return cache.stats().redis?.pendingInvalidations === 0;
  });
  assertEquals(await cache.get("a"), undefined);
});

withServer("does not connect to a database that the server does not have", async () => {
  await using redis = await TestRedis.start();
  for (const url of [`${redis.url}/99`, `${redis.url}/15`]) {
    using connection = new RedisConnection({ url });
    const reply = await connection.send([["SET", "a", url]]).catch((error) => error);
    if (url.endsWith("15")) assertEquals(reply, ["OK"]);
    else assert(reply instanceof CacheUnavailableError && reply.message.includes("DB index is out of range"));
  }
  assertEquals(await redis.cli("DBSIZE"), "0");
});

withServer("ignores what its listeners throw, and calls the others", async () => {
  await using redis = await TestRedis.start();
  using connection = new RedisConnection({ url: redis.url });
  const calls: string[] = [];
  const throws = (): never => {
    throw new Error("of a listener");
  };
  const rejects = (): Promise<never> => Promise.reject(new Error("of a listener"));
  for (const listener of [throws, rejects, (message = "") => void calls.push(message)]) {
    connection.onUp(listener);
    connection.onResubscribed(listener);
    await connection.subscribe("c", listener);
  }
  assertEquals(await connection.send([["PUBLISH", "c", "1"], ["PUBLISH", "c", "2"]]), [1, 1]);
  await until("both messages have arrived", () => calls.includes("2"));
  assertEquals(calls.filter((call) => call !== ""), ["1", "2"]);
  assert(calls.length >= 3 && connection.state.isConnected && connection.state.isSubscribed);
});

withServer("is replaced at most once per second while the server has become a replica, and reads go on", async () => {
  await using redis = await TestRedis.start();
  using cache = new LayeredCache({ redis: redis.url, memory: false });
  await cache.set("kept", "value", 3_600);
  await redis.cli("REPLICAOF", "127.0.0.1", "1");
  const connections = async () =>
    Number(/total_connections_received:(\d+)/.exec(await redis.cli("INFO", "stats"))?.[1]);
  const before = await connections();
  const end = performance.now() + 1_800;
  let [reads, found] = [0, 0];
  while (performance.now() < end) {
    assertEquals(await cache.getOrLoad(`key:${reads++}`, () => "loaded"), "loaded");
    if (await cache.get("kept") === "value") found++;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // One of redis-cli, and those of the cache.
  assertLess(await connections() - before, 5);
  assert(found > reads * 0.8, `${found} of ${reads} reads`);
});
