import { assert, assertEquals, assertThrows } from "@std/assert";
import { findRegexes, slowText } from "./regex_attacks.ts";
import { textFiles } from "./text_files.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("every regular expression of shared/, functions/ and local/ takes time linear in its text", async () => {
  const slow: string[] = [];
  let checked = 0;
  for await (const path of textFiles(ROOT)) {
    if (!/^(?:shared|functions|local)\/.*\.ts$/.test(path) || path.endsWith(".d.ts")) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const regex of findRegexes(path, text)) {
      checked++;
      const attack = slowText(regex);
      if (attack !== undefined) slow.push(`${regex.where} /${regex.source}/${regex.flags}: ${attack}`);
    }
  }
  assert(checked > 80, `${checked}`);
  assertEquals(slow, []);
});

Deno.test("slowText() finds a text for expressions that are not linear", async (t) => {
  const slow = [
    /(a+)+$/,
    /^(\w|\d)*!$/,
    /\/+$/,
    /\s*\n/,
    /:\/\/[^\s"'?#]*@/g,
    /\beyJ[\w-]*\.[\w-]+(\.[\w-]*)?/g,
    /^(\d+\.?\d*)$/,
    /@(\d[^/]*)\//,
    /^[\da-f:.]*:[\da-f:.]+$/,
    /(?=.*x)y/,
    /a.*b.*c$/,
    /\bnew temp\s(?![^;]*\bon drop\b)/,
  ];
  for (const regex of slow) await t.step(`${regex}`, () => assert(slowText(regex) !== undefined));
});

Deno.test("slowText() finds none for expressions that are linear", async (t) => {
  const linear = [
    /^\/+$/,
    /^(\w+) (\S+)$/,
    /:\/\/[^\s]*/g,
    /'[^']*'|"[^"]*"/g,
    /^\s*[a-z]/i,
    /\p{L}{1,9}@/u,
    /(?:a|b)+/,
  ];
  for (const regex of linear) await t.step(`${regex}`, () => assertEquals(slowText(regex), undefined));
});

Deno.test("findRegexes() finds literals, and rejects expressions that are put together at run time", () => {
  const found = findRegexes("shared/a.ts", 'const a = /x/g;\nconst b = "/no/"; // /no/\nfoo(/[/]/);');
  assertEquals(found.map(({ where, source, flags }) => [where, source, flags]), [
    ["shared/a.ts:1", "x", "g"],
    ["shared/a.ts:3", "[/]", ""],
  ]);
  assertThrows(() => findRegexes("shared/a.ts", "new RegExp(text)"), Error, "write a literal");
});
