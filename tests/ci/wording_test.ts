import { assert, assertEquals, assertThrows } from "@std/assert";
import { findAvoidedPhrases, findWordingHits, formatHits, parseWordingList, type WordingList } from "./wording.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("findWordingHits() finds no phrase of wording.txt in the repository", async () => {
  const hits = await findWordingHits(ROOT);
  assert(hits.length === 0, formatHits(hits));
});

async function readList(): Promise<WordingList> {
  return parseWordingList(await Deno.readTextFile(new URL("wording.txt", import.meta.url)));
}

Deno.test("findAvoidedPhrases() reports the line and the hint of each phrase of wording.txt", async () => {
  const { phrases } = await readList();
  const hintsOf = (text: string) => findAvoidedPhrases("a.ts", text, phrases).map(({ line, hint }) => [line, hint]);
  const found = [
    "Whoever waits",
    "nobody waits",
    "somebody waits",
    "this mends it",
    "dear to make",
    "made anew",
    "5 unless told otherwise",
    "its insides",
    "the last of so many",
    "thereby",
    "the pool lends it",
    "it was lent",
    "give back the client",
    "gives back the client",
    "x is no option",
    "its holder is told",
    "the listener heard it",
    "everybody may read it",
    "a doomed client",
    "the wait is cut short",
    "/** So many at once. */",
    "So long the pool waits",
    "/** Whether it waits. */",
    "/**\n * How it waits.\n */",
    "/** Those that wait. */",
    "/** Of its headers, the first one. */",
  ];
  for (const text of found) assertEquals(hintsOf(`\n${text}`).length, 1, text);
  assertEquals(hintsOf("\n\nnobody")[0]?.[0], 3);
  for (const text of ["recommends, amends, commended", "/** Returns what it has. */", "silent", "a blend"]) {
    assertEquals(hintsOf(text), [], text);
  }
});

Deno.test("parseWordingList() reads patterns and exceptions, and rejects any other line", () => {
  const { phrases, except } = parseWordingList("# comment\n\n/a b/i  use c\nexcept docs/x.md\n");
  assertEquals(phrases, [{ pattern: /a b/gi, hint: "use c" }]);
  assertEquals([...except], ["docs/x.md"]);
  assertThrows(() => parseWordingList("/a/\n"), SyntaxError, "Invalid line 1: /a/");
  assertThrows(() => parseWordingList("\nwords\n"), SyntaxError, "Invalid line 2: words");
});
