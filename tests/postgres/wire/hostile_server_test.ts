import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { Buffer } from "node:buffer";
import { type PostgresConfig, PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { codeOf, memberOf } from "../../../shared/resilience/mod.ts";
import {
  type Behavior,
  COLUMNS,
  GREETING,
  int16,
  int32,
  message,
  ONE_ROW,
  type Peer,
  reply,
  startFakeServer,
} from "./fake_server.ts";

const SHORT: Partial<PostgresConfig> = {
  maxConnections: 1,
  minConnections: 0,
  healthCheckIntervalMs: 0,
  poolMode: "session",
  connectionTimeoutMs: 30_000,
  acquireTimeoutMs: 60_000,
  queryTimeoutMs: 30_000,
  cancelTimeoutMs: 50,
  maxResultBytes: 1_000_000,
};

/** Runs a statement against a server. Returns its rows, or the codes of its error and of the causes. */
async function outcomeOf(behavior: Behavior, config: Partial<PostgresConfig> = {}): Promise<string> {
  await using server = startFakeServer(behavior);
  const manager = new PostgresConnectionManager({ ...server.options, ...SHORT, ...config });
  manager.on("error", () => {});
  try {
    const { rows } = await manager.query("select id, name from item where name = $1", ["seven"]);
    return JSON.stringify(rows);
  } catch (error) {
    const codes: unknown[] = [];
    for (let link: unknown = error; link !== undefined; link = memberOf(link, "cause")) codes.push(codeOf(link));
    return codes.join(" ");
  } finally {
    await manager.shutdown(0);
    // Nothing stays open, not even the connection of a cancel request.
    for (let waits = 0; waits < 6_000 && server.open > 0; waits++) await delay(5);
    assertEquals(server.open, 0, "connections are left open");
  }
}

/** Sends bytes until the client closes the connection. */
function forever(bytes: Uint8Array): (peer: Peer) => Promise<void> {
  return async (peer) => {
    while (!peer.closed.aborted) await peer.send(bytes);
  };
}

const sends = (...bytes: Uint8Array[]) => (peer: Peer) => peer.send(...bytes);

const BROKEN = "CREATE_FAILED PROTOCOL_ERROR";
const UNSUPPORTED = "CREATE_FAILED AUTHENTICATION_UNSUPPORTED";
const OK = reply.authentication(0);
const SASL = reply.authentication(10, "SCRAM-SHA-256\0\0");

const STARTUPS: readonly (readonly [title: string, behave: NonNullable<Behavior["onStartup"]>, outcome: string])[] = [
  ["GSSAPI", sends(reply.authentication(7)), UNSUPPORTED],
  ["a GSSAPI token", sends(reply.authentication(8, "token")), UNSUPPORTED],
  ["SSPI", sends(reply.authentication(9)), UNSUPPORTED],
  ["Kerberos V5", sends(reply.authentication(2)), UNSUPPORTED],
  ["SCM credentials", sends(reply.authentication(6)), UNSUPPORTED],
  ["an unknown method", sends(reply.authentication(99)), UNSUPPORTED],
  ["a negative method", sends(reply.authentication(-1)), UNSUPPORTED],
  ["an unknown SASL mechanism", sends(reply.authentication(10, "X-OTHER\0\0")), UNSUPPORTED],
  ["OAuth alone", sends(reply.authentication(10, "OAUTHBEARER\0\0")), UNSUPPORTED],
  ["SASL mechanisms without an end", sends(reply.authentication(10, "SCRAM-SHA-256")), BROKEN],
  ["a request that is truncated", sends(message("R", "\0\0")), BROKEN],
  ["a salt that is too short", sends(reply.authentication(5, "ab")), BROKEN],
  ["a salt that is too long", sends(reply.authentication(5, "abcde")), BROKEN],
  ["SASL that continues before it began", sends(reply.authentication(11, "r=x")), BROKEN],
  ["SASL that ends before it began", sends(reply.authentication(12, "v=x")), BROKEN],
  ["SASL and acceptance at once: a server that need not know the password", sends(SASL, GREETING), BROKEN],
  ["two requests for a password", sends(reply.authentication(3), reply.authentication(3)), BROKEN],
  ["readiness before acceptance", sends(reply.ready()), BROKEN],
  ["acceptance twice", sends(OK, OK), BROKEN],
  ["a row", sends(OK, reply.row("1")), BROKEN],
  ["an unknown status", sends(OK, reply.ready("?")), BROKEN],
  ["two keys", sends(OK, reply.backendKey, reply.backendKey), BROKEN],
  ["a key that is too long", sends(OK, message("K", int32(1), Buffer.alloc(300))), BROKEN],
  ["a key that is too short", sends(OK, message("K", int32(1), "ab")), BROKEN],
  ["another version of the protocol", sends(message("v", int32(0), int32(0))), BROKEN],
  [
    "another encoding",
    sends(OK, reply.setting("client_encoding", "LATIN1")),
    "CREATE_FAILED CLIENT_ENCODING_UNSUPPORTED",
  ],
  ["HTTP", sends(Buffer.from("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")), BROKEN],
  ["SSH", sends(Buffer.from("SSH-2.0-OpenSSH_9.6\r\n")), BROKEN],
  ["MySQL", sends(Buffer.from("J\0\0\0\n8.0.36\0", "latin1")), BROKEN],
  ["a negative length", sends(Buffer.from("R"), int32(-1)), BROKEN],
  ["a length of zero", sends(Buffer.from("R"), int32(0)), BROKEN],
  ["a length of 2 GiB", sends(Buffer.from("R"), int32(0x7fff_ffff)), BROKEN],
  ["an error without terminator", sends(message("E", "SERROR\0C28000\0Mno")), BROKEN],
  ["an error without end", sends(message("E", "SERROR\0C28000\0Mno\0")), BROKEN],
  ["an error, then garbage", sends(reply.error("28000", "FATAL"), Buffer.from("garbage")), "CREATE_FAILED 28000"],
  ["endless notices", forever(reply.notice("x".repeat(1_000))), BROKEN],
  [
    "an endless notice",
    (peer) => peer.send(Buffer.from("N"), int32(0x7fff_ffff)).then(() => forever(Buffer.alloc(9_999))(peer)),
    BROKEN,
  ],
  ["endless settings", (peer) => peer.send(OK).then(() => forever(reply.setting("x".repeat(200), "y"))(peer)), BROKEN],
  ["nothing", () => Promise.resolve(), "CONNECT_TIMEOUT"],
];

for (const [title, onStartup, outcome] of STARTUPS) {
  Deno.test(`PostgresConnectionManager.query() rejects when the server answers the login with ${title}`, async () => {
    const config = title === "nothing" ? { connectionTimeoutMs: 50 } : {};
    assertEquals(await outcomeOf({ onStartup }, config), outcome);
  });
}

const TLS_ANSWERS:
  readonly (readonly [title: string, behave: NonNullable<Behavior["onTlsRequest"]>, outcome: string])[] = [
    ["no", sends(Buffer.from("N")), "CREATE_FAILED TLS_NOT_OFFERED"],
    ["an error", sends(reply.error("53300", "FATAL")), BROKEN],
    ["E", sends(Buffer.from("E")), BROKEN],
    ["another letter", sends(Buffer.from("X")), BROKEN],
    ["yes and a login in clear text (CVE-2021-23222)", sends(Buffer.from("S"), GREETING), BROKEN],
    ["endless bytes", forever(Buffer.from("x".repeat(1_000))), BROKEN],
  ];

for (const [title, onTlsRequest, outcome] of TLS_ANSWERS) {
  Deno.test(`PostgresConnectionManager.query() rejects when the server answers the request for TLS with ${title}`, async () => {
    assertEquals(await outcomeOf({ onTlsRequest }, { ssl: true }), outcome);
  });
}

const LOST = "CONNECTION_LOST PROTOCOL_ERROR";
const DESCRIBED = [reply.parseComplete, reply.parameters(), reply.columns(...COLUMNS), reply.bindComplete];
const ROW = [...DESCRIBED, reply.row("7", "seven"), reply.tag("SELECT 1"), reply.ready()];
const SEVEN = '[{"id":7,"name":"seven"}]';

const REQUESTS: readonly (readonly [title: string, behave: (peer: Peer) => Promise<void>, outcome: string])[] = [
  ["an unknown message", sends(message("?")), LOST],
  ["a row before anything", sends(reply.row("1")), LOST],
  ["a row before its description", sends(reply.parseComplete, reply.parameters(), reply.row("7", "x")), LOST],
  ["another description", sends(...DESCRIBED, reply.columns(...COLUMNS)), LOST],
  ["more values than columns", sends(...DESCRIBED, reply.row("7", "x", "y")), LOST],
  ["fewer values than columns", sends(...DESCRIBED, reply.row("7")), LOST],
  ["a value of length -2", sends(...DESCRIBED, message("D", int16(2), int32(-2), int32(-1))), LOST],
  ["a value longer than its row", sends(...DESCRIBED, message("D", int16(2), int32(99), "x")), LOST],
  ["bytes behind the values", sends(...DESCRIBED, message("D", int16(2), int32(-1), int32(-1), "x")), LOST],
  ["a row without a count", sends(...DESCRIBED, message("D")), LOST],
  [
    "a description that is truncated",
    sends(reply.parseComplete, reply.parameters(), message("T", int16(3), "a\0")),
    LOST,
  ],
  ["-1 columns", sends(reply.parseComplete, reply.parameters(), message("T", int16(-1))), LOST],
  ["two results", sends(...DESCRIBED, reply.tag("SELECT 0"), reply.tag("SELECT 0"), reply.ready()), LOST],
  ["no result", sends(...DESCRIBED, reply.ready()), LOST],
  ["a suspended portal", sends(...DESCRIBED, reply.portalSuspended, reply.ready()), LOST],
  ["a tag without terminator", sends(...DESCRIBED, message("C", "SELECT 0"), reply.ready()), LOST],
  ["an unknown status", sends(...DESCRIBED, reply.tag("SELECT 0"), reply.ready("?")), LOST],
  ["a status of two letters", sends(...DESCRIBED, reply.tag("SELECT 0"), reply.ready("II")), LOST],
  ["ParseComplete with a body", sends(message("1", "x")), LOST],
  ["CloseComplete", sends(reply.closeComplete), LOST],
  ["a request for a password", sends(reply.authentication(3)), LOST],
  ["GSSAPI", sends(reply.authentication(7)), LOST],
  ["a key", sends(reply.backendKey), LOST],
  ["the result of a function call", sends(message("V", int32(-1))), LOST],
  ["data of a COPY", sends(message("d", "abc")), LOST],
  ["COPY IN", sends(message("G", "\0", int16(0))), "CONNECTION_LOST COPY_UNSUPPORTED"],
  ["COPY OUT", sends(message("H", "\0", int16(0))), "CONNECTION_LOST COPY_UNSUPPORTED"],
  ["COPY BOTH", sends(message("W", "\0", int16(0))), "CONNECTION_LOST COPY_UNSUPPORTED"],
  ["an error without terminator", sends(message("E", "SERROR\0C28000\0Mno")), LOST],
  ["an error without end", sends(message("E", "SERROR\0C28000\0Mno\0"), reply.ready()), LOST],
  ["an error without fields", sends(message("E", "\0"), reply.ready()), "XX000"],
  ["an error with the code of the system", sends(message("E", "SERROR\0CECONNRESET\0Mno\0\0"), reply.ready()), "XX000"],
  ["an error", sends(reply.error("23505"), reply.ready()), "23505"],
  ["an error, then a row", sends(reply.error("23505"), reply.row("7", "x")), "23505"],
  ["a fatal error", (peer) => peer.send(reply.error("57P01", "FATAL")).then(() => peer.close()), "57P01"],
  [
    "another encoding",
    sends(reply.setting("client_encoding", "LATIN1")),
    "CONNECTION_LOST CLIENT_ENCODING_UNSUPPORTED",
  ],
  ["a setting without terminator", sends(message("S", "TimeZone\0UTC")), LOST],
  ["a row of 2 GiB", sends(...DESCRIBED, Buffer.from("D"), int32(0x7fff_ffff)), "RESULT_TOO_LARGE"],
  ["a row beyond maxResultBytes", sends(...DESCRIBED, reply.row("7", "x".repeat(1_000_000))), "RESULT_TOO_LARGE"],
  ["an error of 2 GiB", sends(Buffer.from("E"), int32(0x7fff_ffff)), "RESULT_TOO_LARGE"],
  [
    "a description of 2 GiB",
    sends(reply.parseComplete, reply.parameters(), Buffer.from("T"), int32(0x7fff_ffff)),
    LOST,
  ],
  [
    "endless rows",
    (peer) => peer.send(...DESCRIBED).then(() => forever(reply.row("7", "x".repeat(999)))(peer)),
    "RESULT_TOO_LARGE",
  ],
  [
    "endless rows without columns",
    async (peer) => {
      await peer.send(reply.parseComplete, reply.parameters(), reply.columns(), reply.bindComplete);
      await forever(Buffer.concat(Array.from({ length: 1_000 }, () => reply.row())))(peer);
    },
    "RESULT_TOO_LARGE",
  ],
  ["endless notices", forever(reply.notice("x".repeat(9_999))), "QUERY_TIMEOUT"],
  ["endless settings", forever(reply.setting("TimeZone", "UTC")), "QUERY_TIMEOUT"],
  ["endless notifications", forever(reply.notification), "QUERY_TIMEOUT"],
  [
    "an endless notice",
    (peer) => peer.send(Buffer.from("N"), int32(0x7fff_ffff)).then(() => forever(Buffer.alloc(9_999))(peer)),
    "QUERY_TIMEOUT",
  ],
  ["nothing", () => Promise.resolve(), "QUERY_TIMEOUT"],
  ["a row", sends(...ROW), SEVEN],
  [
    "a row among notices, notifications and settings",
    sends(...ROW.flatMap((each) => [reply.notice("a"), reply.notification, reply.setting("TimeZone", "UTC"), each])),
    SEVEN,
  ],
  ["a row, and another response", sends(...ROW, ONE_ROW), SEVEN],
];

for (const [title, respond, outcome] of REQUESTS) {
  Deno.test(`PostgresConnectionManager.query() settles when the server answers with ${title}`, async () => {
    const config = outcome === "QUERY_TIMEOUT" ? { queryTimeoutMs: 300 } : {};
    const seen = await outcomeOf({ onRequest: respond }, config);
    // The cause of a timeout depends on whether its cancel request was passed on first.
    assertEquals(outcome === "QUERY_TIMEOUT" ? seen.split(" ", 1)[0] : seen, outcome);
  });
}

Deno.test("PostgresConnectionManager.query() runs on another connection after the server broke the protocol", async () => {
  let requests = 0;
  await using server = startFakeServer({
    onRequest: (peer) => peer.send(requests++ === 0 ? message("?") : ONE_ROW),
  });
  await using manager = closing(new PostgresConnectionManager({ ...server.options, ...SHORT }));
  const first = await manager.it.query("select id, name from item").catch(String);
  assertStringIncludes(String(first), "protocol");
  assertEquals((await manager.it.query("select id, name from item")).rows, [{ id: 7, name: "seven" }]);
});

Deno.test("PostgresConnectionManager replaces an idle connection on which a message arrives unasked", async () => {
  let unasked: (() => Promise<void>) | undefined;
  let connections = 0;
  await using server = startFakeServer({
    onStartup: async (peer) => {
      connections++;
      unasked ??= () => peer.send(reply.row("1"));
      await peer.send(GREETING);
    },
  });
  await using manager = closing(new PostgresConnectionManager({ ...server.options, ...SHORT }));
  await manager.it.query("select id, name from item");
  const broken = new Promise((resolve) => manager.it.once("error", resolve));
  await unasked?.();
  await broken;
  assertEquals((await manager.it.query("select id, name from item")).rows, [{ id: 7, name: "seven" }]);
  assertEquals(connections, 2);
});

Deno.test("PostgresConnectionManager ends its cancel request whatever the server answers", async () => {
  const answers: NonNullable<Behavior["onCancel"]>[] = [
    () => Promise.resolve(),
    sends(Buffer.from("garbage")),
    sends(reply.error()),
    forever(reply.notice("x".repeat(1_000))),
  ];
  for (const onCancel of answers) {
    const outcome = await outcomeOf({ onRequest: () => Promise.resolve(), onCancel }, { queryTimeoutMs: 20 });
    assert(outcome.startsWith("QUERY_TIMEOUT"), outcome);
  }
});

Deno.test("PostgresConnectionManager sends a cancel request with a key of protocol 3.2", async () => {
  const key = Buffer.from("a key of thirty-two bytes, random");
  const seen: Buffer[] = [];
  await using server = startFakeServer({
    onStartup: sends(OK, message("K", int32(99), key), reply.ready()),
    onRequest: () => Promise.resolve(),
    onCancel: (_peer, bytes) => Promise.resolve(void seen.push(bytes)),
  });
  await using manager = closing(new PostgresConnectionManager({ ...server.options, ...SHORT, queryTimeoutMs: 20 }));
  await manager.it.query("select 1").catch(() => {});
  assertEquals(seen[0]?.subarray(4), Buffer.concat([int32(99), key]));
});

/** Shuts a manager down at the end of its block. */
function closing(it: PostgresConnectionManager): AsyncDisposable & { readonly it: PostgresConnectionManager } {
  it.on("error", () => {});
  return { it, [Symbol.asyncDispose]: () => it.shutdown(0) };
}
