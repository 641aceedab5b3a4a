import { assert, assertEquals, assertRejects } from "@std/assert";
import { secretKeyOf, type Terminal } from "../../../local/dashboard/secret_key.ts";
import { StackError } from "../../../local/stack_error.ts";
import { KEY } from "./support.ts";

/** A terminal at which something was typed. */
function terminal(...typed: string[]): Terminal & { readonly printed: string[]; readonly raw: boolean[] } {
  const printed: string[] = [];
  const raw: boolean[] = [];
  return {
    isTerminal: true,
    printed,
    raw,
    write: (text) => void printed.push(text),
    setRaw: (on) => void raw.push(on),
    read: () => {
      const text = typed.shift();
      return Promise.resolve(text === undefined ? undefined : new TextEncoder().encode(text));
    },
  };
}

Deno.test("secretKeyOf() takes the key of the environment, or the one that is typed without echo", async () => {
  assertEquals(await secretKeyOf(` ${KEY} `), KEY);
  const typed = terminal("sb_secret_of-the-standX", "\x7f-in-0123456789\x1b\r");
  assertEquals(await secretKeyOf("", typed), KEY);
  assertEquals(typed.raw, [true, false]);
  assert(!typed.printed.join("").includes("standX"));
  assertEquals(await secretKeyOf(undefined, terminal(KEY)), KEY);
});

Deno.test("secretKeyOf() rejects what is not a secret key, and never repeats it", async () => {
  const invalid: [string | undefined, Terminal][] = [
    ["sb_publishable_0123456789", terminal()],
    ["sbp_0123456789", terminal()],
    ["two words", terminal()],
    [undefined, terminal("\r")],
    [undefined, { ...terminal(), isTerminal: false }],
  ];
  for (const [variable, at] of invalid) {
    const error = await assertRejects(() => secretKeyOf(variable, at), StackError);
    assertEquals(error.code, "USAGE");
    assert(!variable || !error.message.includes(variable), error.message);
  }
  const pasted = terminal("\x1b[200~", KEY, "\x1b[201~\x1b[D\r");
  assertEquals(await secretKeyOf(undefined, pasted), KEY);
  const interrupted = terminal("abc\x03");
  const error = await assertRejects(() => secretKeyOf(undefined, interrupted), StackError);
  assertEquals([error.code, interrupted.raw.at(-1)], ["STOPPED", false]);
});

Deno.test("secretKeyOf() turns the echo on again once its signal is aborted", async () => {
  for (const isEarly of [true, false]) {
    const stopping = new AbortController();
    const waiting = { ...terminal(), read: () => new Promise<undefined>(() => {}) };
    if (isEarly) stopping.abort();
    else setTimeout(() => stopping.abort());
    const error = await assertRejects(() => secretKeyOf(undefined, waiting, stopping.signal), StackError);
    assertEquals([error.code, waiting.raw], ["STOPPED", [true, false]]);
  }
});
