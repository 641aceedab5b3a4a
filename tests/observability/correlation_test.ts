import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { correlationIdOf } from "../../shared/observability/mod.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

function idOf(headers: Record<string, string>): string {
  return correlationIdOf(new Request("https://x.test/", { headers }));
}

Deno.test("correlationIdOf() returns the trace id of traceparent, else x-request-id", () => {
  assertEquals(idOf({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, "x-request-id": "42" }), TRACE);
  assertEquals(idOf({ traceparent: `01-${TRACE}-00f067aa0ba902b7-01-more` }), TRACE);
  assertEquals(idOf({ "x-request-id": "req_01:a.b+c=-" }), "req_01:a.b+c=-");
  assertEquals(idOf({ traceparent: "00-junk", "x-request-id": "42" }), "42");
});

Deno.test("correlationIdOf() generates an id for a header that is missing, malformed, too long or a credential", () => {
  const traces = [
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7-01-more`,
    `00-${TRACE}-00f067aa0ba902b7`,
    `01-${TRACE}-00f067aa0ba902b7-01-${"x".repeat(600)}`,
    `00-${TRACE}-00f067aa0ba902b7-01, 00-${TRACE}-00f067aa0ba902b7-01`,
    `01-${TRACE}-00f067aa0ba902b7-01-more, 01-${TRACE}-00f067aa0ba902b7-01`,
    "",
  ];
  for (const traceparent of traces) assertMatch(idOf({ traceparent }), UUID, traceparent);
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
  for (const id of ["", " ", "a b", "jane@x.test", "\u00e9", "a\x1b", "x".repeat(129), token, "sb_secret_abc", "<b>"]) {
    // Some of these no client can send.
    const headers = new Headers();
    try {
      headers.set("x-request-id", id);
    } catch {
      continue;
    }
    assertMatch(correlationIdOf(new Request("https://x.test/", { headers })), UUID, id);
  }
});

Deno.test("correlationIdOf() returns one id for one request, and another for another", () => {
  const request = new Request("https://x.test/");
  assertEquals(correlationIdOf(request), correlationIdOf(request));
  assertNotEquals(correlationIdOf(request), correlationIdOf(new Request("https://x.test/")));
});

Deno.test("correlationIdOf() reads a traceparent of at most 512 characters", () => {
  const head = `01-${TRACE}-00f067aa0ba902b7-01-`;
  assertEquals(idOf({ traceparent: head.padEnd(512, "x") }), TRACE);
  assertMatch(idOf({ traceparent: head.padEnd(513, "x") }), UUID);
});
