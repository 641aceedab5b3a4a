import { assertEquals } from "@std/assert";
import { textFiles } from "./text_files.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("every module of shared/ is Latin-1: V8 keeps and parses any other source with two bytes a character", async () => {
  const found: string[] = [];
  for await (const path of textFiles(ROOT, "shared/")) {
    if (!path.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    text.split("\n").forEach((line, index) => {
      if (/[\u0100-\uffff]/.test(line)) found.push(`${path}:${index + 1}`);
    });
  }
  assertEquals(found, []);
});
