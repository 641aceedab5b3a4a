/**
 * Sends what no server should to a connection, from a seed: `PROPERTY_SEED` (a number) replays or varies it, and
 * `PROPERTY_SCALE` multiplies the number of cases.
 */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { BackendConnection } from "../../../shared/postgres/connection/backend_connection.ts";
import { systemClock } from "../../../shared/resilience/mod.ts";
import { COLUMNS, GREETING, int16, int32, message, ONE_ROW, reply } from "./fake_server.ts";
import { FakeStream } from "./fake_stream.ts";

const SCALE = Number(Deno.env.get("PROPERTY_SCALE") ?? 1);
const SEED = Number(Deno.env.get("PROPERTY_SEED") ?? 20_260_824);

/** Numbers from a seed (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296 * limit);
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }
}

/** Three requests in flight: one that returns rows, one that fails, and one that returns nothing. */
const STATEMENTS = [
  { text: "select id, name from item where id = $1", values: ["7"] },
  { text: "insert into item values ($1, $2)", values: ["7", null] },
  { text: "update item set name = 'x'", values: [] },
] as const;

const LONG = "long ".repeat(4_000);

/** The responses to {@linkcode STATEMENTS}, message by message. */
const RESPONSES: readonly Buffer[] = [
  reply.notice("hello"),
  reply.parseComplete,
  reply.parameters(23),
  reply.columns(...COLUMNS),
  reply.bindComplete,
  reply.row("7", "seven"),
  reply.setting("TimeZone", "UTC"),
  reply.row("8", LONG),
  reply.row(null, "Gr\u00fc\u00dfe, \u4e16\u754c \ud83d\udc4b"),
  reply.tag("SELECT 3"),
  reply.ready(),
  reply.parseComplete,
  reply.parameters(23, 25),
  reply.noData,
  reply.error("23505"),
  reply.notification,
  reply.ready(),
  reply.parseComplete,
  reply.parameters(),
  reply.noData,
  reply.bindComplete,
  reply.tag("UPDATE 2"),
  reply.ready(),
];

/** The whole of what the server sends. */
const CONVERSATION = Buffer.concat([GREETING, ...RESPONSES]);

/** The results of {@linkcode STATEMENTS}: rows, or the code of an error. */
const OUTCOME: readonly unknown[] = [
  [{ id: 7, name: "seven" }, { id: 8, name: LONG }, { id: null, name: "Gr\u00fc\u00dfe, \u4e16\u754c \ud83d\udc4b" }],
  "23505",
  [],
];

/** Messages of every type, right and wrong, to put where they do not belong. */
const STRAY: readonly Buffer[] = [
  ...RESPONSES,
  GREETING,
  ONE_ROW,
  reply.closeComplete,
  reply.emptyQuery,
  reply.portalSuspended,
  reply.backendKey,
  reply.parameters(23, 25),
  reply.error("57P01", "FATAL"),
  reply.ready("T"),
  reply.ready("?"),
  reply.setting("client_encoding", "LATIN1"),
  ...[0, 2, 3, 5, 7, 8, 9, 10, 11, 12, 99].map((code) => reply.authentication(code, "SCRAM-SHA-256\0\0")),
  ..."GHW".split("").map((type) => message(type, "\0", int16(1), int16(0))),
  ..."cdVvA?\0".split("").map((type) => message(type)),
  ..."RKSTDCEZtN".split("").map((type) => message(type)),
  message("D", int16(2), int32(-2), int32(5)),
  message("T", int16(-1)),
  message("E", "SERROR\0Mno terminator"),
  message("C", "no terminator"),
];

/** Unwraps the outcome of a statement: its rows, or the code of its error. */
async function outcomeOf(result: Promise<{ rows: unknown[] }[]>): Promise<unknown> {
  try {
    return (await result)[0]?.rows;
  } catch (error) {
    assert(error instanceof Error, `rejected with ${error}`);
    return "code" in error ? error.code : String(error);
  }
}

/** Lets everything that is due run. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The turns in which everything must have settled once the server has closed the connection. */
const TURNS = 20;

/**
 * Runs {@linkcode STATEMENTS} against a server that sends `chunks` and closes the connection.
 *
 * @returns what each resulted in, or what rejected the login.
 */
async function converse(chunks: readonly Uint8Array[]): Promise<unknown> {
  const stream = new FakeStream();
  let sent = false;
  const feed = (async () => {
    await turn();
    for (const chunk of chunks) {
      stream.deliver(chunk);
      if (stream.destroyed) break;
      // The client sends its statements once the greeting is complete.
      if (!sent) await turn();
    }
  })();
  const run = async () => {
    const { signal } = new AbortController();
    const options = {
      host: "127.0.0.1",
      user: "test",
      password: () => "secret",
      ssl: false,
      stream,
      maxResultBytes: 1e6,
    };
    const connection = await BackendConnection.open(options, systemClock, signal, { onDeath: () => {} });
    connection.enableSessionState(10, 10);
    const outcomes = STATEMENTS.map((statement) => outcomeOf(connection.start([statement]).results));
    sent = true;
    await feed;
    await turn();
    stream.destroy();
    const all = await Promise.all(outcomes);
    assertEquals(connection.inFlight, 0);
    return all;
  };
  let settled: { readonly outcome: unknown } | undefined;
  void run().then((outcome) => settled = { outcome }, (error) => {
    assert(error instanceof Error, `rejected with ${error}`);
    settled = { outcome: `refused: ${error.message}` };
  });
  await feed;
  await turn();
  stream.destroy();
  for (let turns = 0; turns < TURNS && !settled; turns++) await turn();
  assert(settled, "a promise is pending after the connection has closed");
  return settled.outcome;
}

/** Splits bytes at positions. */
function split(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const sorted = [0, ...[...positions].sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index] ?? 0, end));
}

/** The greeting comes first: a request is sent when it is complete. */
function afterGreeting(responses: Buffer, positions: readonly number[]): Buffer[] {
  return [GREETING, ...split(responses, positions)];
}

async function check(name: string, seed: number, run: (random: Random) => Promise<void>): Promise<void> {
  try {
    await run(new Random(seed));
  } catch (error) {
    throw new Error(`${name} fails: PROPERTY_SEED=${seed} replays it as the first case`, { cause: error });
  }
}

/** Runs `count` cases, times the scale. */
function property(name: string, count: number, run: (random: Random) => Promise<void>): void {
  const cases = Math.ceil(count * SCALE);
  Deno.test(`BackendConnection ${name} (${cases} cases)`, async () => {
    for (let index = 0; index < cases; index++) await check(name, SEED + index, run);
  });
}

const RESPONSE_BYTES = Buffer.concat(RESPONSES);

Deno.test("BackendConnection reads the same from a conversation that is split at any byte", async () => {
  for (
    let at = 0;
    at < CONVERSATION.length;
    at += at > GREETING.length + 200 && at < CONVERSATION.length - 200 ? 997 : 1
  ) {
    const chunks = at < GREETING.length
      ? [CONVERSATION.subarray(0, at), CONVERSATION.subarray(at, GREETING.length), RESPONSE_BYTES]
      : afterGreeting(RESPONSE_BYTES, [at - GREETING.length]);
    assertEquals(await converse(chunks), OUTCOME, `split at ${at}`);
  }
  assertEquals(await converse([GREETING, ...[...RESPONSE_BYTES].map((byte) => Uint8Array.of(byte))]), OUTCOME);
});

property("reads the same from a conversation that is split at random", 200, async (random) => {
  const positions = Array.from({ length: random.below(40) }, () => random.below(RESPONSE_BYTES.length));
  assertEquals(await converse(afterGreeting(RESPONSE_BYTES, positions)), OUTCOME);
});

Deno.test("BackendConnection settles every statement when the connection ends at any byte", async () => {
  for (
    let at = 0;
    at < CONVERSATION.length;
    at += at > GREETING.length + 200 && at < CONVERSATION.length - 200 ? 997 : 1
  ) {
    const outcome = await converse(
      at < GREETING.length ? [CONVERSATION.subarray(0, at)] : [GREETING, CONVERSATION.subarray(GREETING.length, at)],
    );
    if (typeof outcome === "string") continue;
    // A result is the whole result.
    (outcome as unknown[]).forEach((each, index) => {
      if (Array.isArray(each)) assertEquals(each, OUTCOME[index], `ended at ${at}`);
    });
  }
});

property("settles every statement whatever bits are flipped", 2_000, async (random) => {
  const bytes = Buffer.from(random.below(4) === 0 ? CONVERSATION : RESPONSE_BYTES);
  for (let left = random.below(8) + 1; left > 0; left--) {
    const at = random.below(2) === 0 ? random.below(bytes.length) : random.below(Math.min(300, bytes.length));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  await converse(bytes.length === CONVERSATION.length ? [bytes] : [GREETING, bytes]);
});

property("settles every statement whatever messages are dropped, repeated, moved or strange", 3_000, async (random) => {
  const messages = random.below(5) === 0 ? [GREETING, ...RESPONSES] : [...RESPONSES];
  const greeting = messages.length === RESPONSES.length ? [GREETING] : [];
  for (let left = random.below(5) + 1; left > 0; left--) {
    const at = random.below(messages.length + 1);
    switch (random.below(4)) {
      case 0:
        messages.splice(at, 1);
        break;
      case 1:
        messages.splice(at, 0, random.pick(messages.length > 0 ? messages : STRAY));
        break;
      case 2:
        messages.splice(random.below(messages.length + 1), 0, ...messages.splice(at, 1));
        break;
      default:
        messages.splice(at, 0, random.pick(STRAY));
    }
  }
  const bytes = Buffer.concat(messages);
  const positions = Array.from({ length: random.below(6) }, () => random.below(bytes.length + 1));
  await converse([...greeting, ...split(bytes, positions)]);
});

property("settles every statement whatever length a message announces", 1_000, async (random) => {
  const messages = RESPONSES.map((bytes) => Buffer.from(bytes));
  const changed = random.pick(messages);
  const lengths = [-2_147_483_648, -1, 0, 3, 4, 5, 1_000, 65_535, 1_000_001, 0x3fff_ffff, 0x7fff_ffff];
  changed.writeInt32BE(random.pick(lengths), 1);
  // Inside of the body too: the length of a value, or a count.
  if (random.below(2) === 0) {
    const other = random.pick(messages.filter((bytes) => bytes.length >= 12));
    other.writeInt32BE(random.pick(lengths), 5 + random.below(other.length - 9));
  }
  await converse([GREETING, ...messages]);
});

property("settles the login whatever bytes arrive", 1_000, async (random) => {
  const bytes = Buffer.alloc(random.below(200), 0).map(() => random.below(256));
  const types = "RSKZENAvTDC";
  if (random.below(2) === 0 && bytes.length > 5) {
    bytes[0] = types.charCodeAt(random.below(types.length));
    bytes.set(int32(random.below(bytes.length) + 3), 1);
  }
  await converse(
    random.below(2) === 0 ? [bytes, GREETING] : [GREETING.subarray(0, random.below(GREETING.length)), bytes],
  );
});

/** The responses to each message of a client, by its type, as a server that has one table would give them. */
const ANSWERS: Readonly<Record<string, readonly Buffer[]>> = {
  P: [reply.parseComplete],
  B: [reply.bindComplete],
  C: [reply.closeComplete],
  E: [reply.row("7", "seven"), reply.tag("SELECT 1")],
  S: [reply.ready()],
  Q: [reply.tag("ROLLBACK"), reply.ready()],
};

/** Columns whose values are the same bytes as text and in binary. */
const TEXTS = [["id", 25], ["name", 25]] as const;

/** Returns what a server answers to the messages that a client wrote. */
function answersTo(written: Uint8Array): Buffer[] {
  const bytes = Buffer.from(written);
  const answers: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    const type = String.fromCharCode(bytes[at] ?? 0);
    if (type === "D" && bytes[at + 5] === 0x53) answers.push(reply.parameters(23), reply.columns(...TEXTS));
    else if (type === "D") answers.push(reply.columns(...TEXTS));
    else answers.push(...ANSWERS[type] ?? []);
  }
  return answers;
}

/** Runs statements that are described before their values are sent, against a server that now and then lies. */
async function converseByTurns(random: Random, lies: number): Promise<unknown> {
  const stream = new FakeStream();
  let started = false;
  stream.onWrite = (written) => {
    const answers = started ? answersTo(written) : [GREETING];
    if (started && lies > 0 && random.below(3) === 0) {
      lies--;
      const at = random.below(answers.length + 1);
      const flipped = Buffer.from(random.pick(answers.length > 0 ? answers : STRAY));
      const bit = random.below(8 * flipped.length);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      answers.splice(
        at,
        random.below(2),
        ...(random.below(3) === 0 ? [] : [random.pick([flipped, random.pick(STRAY)])]),
      );
    }
    started = true;
    const bytes = Buffer.concat(answers);
    const middle = random.below(bytes.length + 1);
    queueMicrotask(() => {
      stream.deliver(bytes.subarray(0, middle));
      stream.deliver(bytes.subarray(middle));
    });
  };
  const { signal } = new AbortController();
  const options = {
    host: "127.0.0.1",
    user: "test",
    password: () => "secret",
    ssl: false,
    stream,
    maxResultBytes: 1e6,
  };
  const connection = await BackendConnection.open(options, systemClock, signal, { onDeath: () => {} });
  connection.enableSessionState(10, 10);
  const settled: unknown[] = [];
  const statements = [[7], ["x"], [8], [], [9, 10]].map(async (values) => {
    const outcome = await outcomeOf(
      connection.start([{ text: `select id, name from item -- ${values.length}`, values }]).results,
    );
    settled.push(outcome);
    return outcome;
  });
  for (let turns = 0; turns < 10; turns++) await turn();
  const quiet = settled.length;
  stream.destroy();
  for (let turns = 0; turns < TURNS && settled.length < statements.length; turns++) await turn();
  assertEquals(settled.length, statements.length, "a promise is pending after the connection has closed");
  assertEquals(connection.inFlight, 0);
  return { outcomes: await Promise.all(statements), quiet };
}

property("settles statements that are described first, whatever the server lies about", 2_000, async (random) => {
  await converseByTurns(random, 1 + random.below(3));
});

property("runs statements that are described first, if the server is honest", 50, async (random) => {
  const row = [{ id: "7", name: "seven" }];
  assertEquals(await converseByTurns(random, 0), { outcomes: [row, row, row, row, "STATEMENT_INVALID"], quiet: 5 });
});
