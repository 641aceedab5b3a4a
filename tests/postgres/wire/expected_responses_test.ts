import { assertEquals, assertThrows } from "@std/assert";
import { ConnectionError } from "../../../shared/postgres/mod.ts";
import type { ExpectedResponses } from "../../../shared/postgres/wire/expected_responses.ts";
import { MessageWriter } from "../../../shared/postgres/wire/message_writer.ts";

/** Receives messages, by their types; `E` is an error and `D` a row. */
function receive(expected: ExpectedResponses, types: string): void {
  for (const type of types) {
    if (type === "E") expected.acceptError();
    else if (type === "D") expected.acceptRow();
    else expected.accept(type.charCodeAt(0));
  }
}

/** Asserts that `types` are accepted and then `refused` is not. */
function assertOrder(write: (out: MessageWriter) => void, types: string, refused = ""): void {
  const out = new MessageWriter();
  write(out);
  receive(out.expected, types);
  for (const type of refused) {
    assertEquals(assertThrows(() => receive(out.expected, type), ConnectionError).code, "PROTOCOL_ERROR", type);
  }
}

function statement(out: MessageWriter): void {
  out.parse("", "select 1");
  out.bind("", []);
  out.describePortal();
  out.execute();
}

Deno.test("ExpectedResponses accepts the responses of a statement in their order only", () => {
  const write = (out: MessageWriter) => {
    statement(out);
    out.sync();
  };
  assertOrder(write, "", "23TntDCIsZ");
  assertOrder(write, "1", "13tTDCIsZ");
  assertOrder(write, "12", "12DCIsZt");
  assertOrder(write, "12T", "12TntsZ3");
  assertOrder(write, "12nC", "12TnDCIs");
  assertOrder(write, "12TDDDC", "DCIT");
  assertOrder(write, "12TDIZ", "12TnDCIZs3");
});

Deno.test("ExpectedResponses accepts nothing but ReadyForQuery after an error", () => {
  const write = (out: MessageWriter) => {
    statement(out);
    statement(out);
    out.sync();
    statement(out);
    out.sync();
  };
  for (const before of ["", "1", "12", "12T", "12TD", "12TDC", "12TDC12T"]) {
    assertOrder(write, `${before}E`, "123TntDCIs");
    assertOrder(write, `${before}EZ12TDCZ`, "1Z");
    assertOrder(write, `${before}EEZ`, "Z2");
  }
});

Deno.test("ExpectedResponses takes an error before the Sync is sent for all that is sent before it", () => {
  const out = new MessageWriter();
  out.parse("s1", "select $1");
  out.describeStatement("s1");
  out.flush();
  receive(out.expected, "1E");
  out.bind("s1", []);
  out.execute();
  out.sync();
  statement(out);
  out.sync();
  assertThrows(() => receive(out.expected, "2"), ConnectionError);
  receive(out.expected, "Z12TCZ");
  assertThrows(() => receive(out.expected, "Z"), ConnectionError);
});

Deno.test("ExpectedResponses accepts the responses to a described statement, and to one that is closed", () => {
  const write = (out: MessageWriter) => {
    out.closeStatement("s0");
    out.parse("s1", "select $1");
    out.describeStatement("s1");
    out.sync();
  };
  assertOrder(write, "31tTZ", "Z");
  assertOrder(write, "31tnZ");
  assertOrder(write, "31", "TnDCZ");
});

Deno.test("ExpectedResponses accepts any number of results of a simple query", () => {
  const write = (out: MessageWriter) => {
    out.query("select 1; select 2");
    out.query("");
  };
  assertOrder(write, "TDDCCTDCZIZ", "ZTDC");
  assertOrder(write, "TDCEZ", "12nt3s");
  assertOrder(write, "TE", "TDC");
});

Deno.test("ExpectedResponses keeps its order over thousands of requests in flight", () => {
  const out = new MessageWriter();
  for (let left = 5_000; left > 0; left--) {
    statement(out);
    out.sync();
    if (left % 3 !== 0) receive(out.expected, left % 7 === 0 ? "12TEZ" : "12TDCZ");
  }
  while (out.expected.end > 0) receive(out.expected, "12TDCZ");
  assertThrows(() => receive(out.expected, "Z"), ConnectionError);
});
