/** Checks that what documents refer to exists: links, anchors, tasks and paths. */
import { assert, assertEquals } from "@std/assert";
import { readDocuments, ROOT } from "./documents.ts";
import config from "../../deno.json" with { type: "json" };

/** Returns the anchors of a document, as GitHub derives them from headings. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of text.replaceAll(/^```[^]*?^```/gm, "").matchAll(/^#{1,6} (.*)$/gm)) {
    const slug = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    for (let count = 0;; count++) {
      const anchor = count === 0 ? slug : `${slug}-${count}`;
      if (anchors.has(anchor)) continue;
      anchors.add(anchor);
      break;
    }
  }
  for (const [, name = ""] of text.matchAll(/<a (?:id|name)="([^"]+)">/g)) anchors.add(name);
  return anchors;
}

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}

Deno.test("every link in a document leads to a file, and to an anchor in it", async () => {
  const broken: string[] = [];
  let checked = 0;
  for (const { path, text } of await readDocuments()) {
    for (const [, target = "", anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      checked++;
      const file = new URL(target === "" ? path : target, target === "" ? ROOT : new URL(path, ROOT));
      const link = `${path}: ${target}${anchor === undefined ? "" : `#${anchor}`}`;
      if (!await exists(file)) broken.push(link);
      else if (anchor !== undefined && !anchorsOf(await Deno.readTextFile(file)).has(anchor)) broken.push(link);
    }
  }
  assertEquals(broken, []);
  assert(checked > 40, `only ${checked} links found`);
});

Deno.test("every `deno task` in a document is a task of deno.json", async () => {
  const unknown: string[] = [];
  const named = new Set<string>();
  for (const { path, text } of await readDocuments()) {
    for (const [, task = ""] of text.matchAll(/\bdeno task (?:-\S+ )*([a-z][\w:.]*)/g)) {
      named.add(task);
      if (!(task in config.tasks)) unknown.push(`${path}: ${task}`);
    }
    for (const [, task = ""] of text.matchAll(/`((?:bench|test):[\w.]+)`/g)) {
      if (!(task in config.tasks)) unknown.push(`${path}: ${task}`);
    }
  }
  assertEquals(unknown, []);
  assertEquals(Object.keys(config.tasks).filter((task) => !named.has(task)), [], "every task is documented");
});

Deno.test("every path of the repository in a document exists", async () => {
  const missing: string[] = [];
  for (const { path, text } of await readDocuments()) {
    // The changelog names what was removed, and the documents beside tests name paths from their own folder.
    if (path === "CHANGELOG.md" || path.startsWith("tests/")) continue;
    for (
      const [, name = ""] of text.matchAll(
        /`((?:\.ci|bench|docs|examples|functions|local|shared|supabase|tests)\/[\w./-]+)`/g,
      )
    ) {
      // Files of the user, and the function that the documents write.
      if (/^(functions|supabase\/functions)\/(\.env|notes\/)/.test(name)) continue;
      if (!await exists(new URL(name, ROOT))) missing.push(`${path}: ${name}`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("README.md has at most 200 lines", async () => {
  const lines = (await Deno.readTextFile(new URL("README.md", ROOT))).trimEnd().split("\n").length;
  assert(lines <= 200, `${lines} lines`);
});
