import { assert, assertEquals } from "@std/assert";
import { NAMES, POSTGREST, STATUS, TEXT, TRANSPORT } from "../../shared/resilience/failure_table.ts";
import { SQLSTATES } from "../../shared/resilience/sqlstate.ts";

Deno.test("the tables of failures classify each code once, with a kind and a reason", () => {
  for (const rows of [NAMES, POSTGREST, STATUS, TEXT, TRANSPORT]) {
    const codes = rows.map(([code]) => String(code));
    assertEquals(codes.length, new Set(codes).size);
    for (const [code, kind, reason] of rows) {
      assert(["transient", "ambiguous", "permanent"].includes(kind), `${code}: ${kind}`);
      assert(reason.length >= 5, `${code} has no reason`);
    }
  }
});

Deno.test("the table of statuses has those of HTTP, of Cloudflare and of Supabase that are not permanent by default", () => {
  // RFC 9110; developers.cloudflare.com, "Cloudflare 5xx errors"; supabase.com/docs, "HTTP status codes".
  const http = [408, 425, 429, 502, 503, 504];
  const cloudflare = [520, 521, 522, 523, 524, 525, 526, 527, 530];
  const supabase = [540, 544, 546];
  assertEquals(STATUS.map(([status]) => status), [...http, ...cloudflare, ...supabase]);
});

Deno.test("the table of transport failures has system codes in upper case", () => {
  for (const [code] of TRANSPORT) assert(/^[A-Z][A-Z\d_]+$/.test(code), code);
  assert(TRANSPORT.length > 20);
  assert(SQLSTATES.length > 20);
});
