/**
 * Lists the mutations of modules. The parser exists under `deno test` only, so this is a test that `main.ts` runs: its
 * environment has the modules as JSON in `MUTATIONS_OF`, and the file to write in `MUTATIONS_TO`.
 *
 * @module
 */
import { findMutations } from "./operators.ts";

Deno.test("lists the mutations", async () => {
  const paths: string[] = JSON.parse(Deno.env.get("MUTATIONS_OF") ?? "[]");
  const found = [];
  for (const path of paths) {
    const source = await Deno.readTextFile(path);
    for (const mutation of findMutations(path, source)) found.push({ path, ...mutation });
  }
  await Deno.writeTextFile(Deno.env.get("MUTATIONS_TO") ?? "", JSON.stringify(found));
});
