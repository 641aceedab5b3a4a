import { assertEquals, assertRejects } from "@std/assert";
import { cachedFolder } from "../../local/package/artifacts.ts";
import { fromFileUrl, toFileUrl } from "../../local/paths.ts";

/** A checkout with the source `shared/a.ts`, and a build that counts. */
async function checkout() {
  const root = new URL(`${toFileUrl(await Deno.makeTempDir({ prefix: "package-cache-" }))}/`);
  const write = (text: string) => Deno.writeTextFile(new URL("shared/a.ts", root), text);
  await Deno.mkdir(new URL("shared/", root));
  await write("1");
  let builds = 0;
  return {
    root,
    write,
    builds: () => builds,
    names: async () => {
      const names = await Array.fromAsync(Deno.readDir(new URL(".local/package/", root)), ({ name }) => name);
      return names.filter((name) => !name.endsWith(".lock"));
    },
    build: async (folder: string) => {
      builds += 1;
      await Deno.mkdir(folder);
    },
    [Symbol.asyncDispose]: () => Deno.remove(fromFileUrl(root), { recursive: true }),
  };
}

Deno.test("cachedFolder() builds once for concurrent calls, and again after a change of the inputs", async () => {
  await using repository = await checkout();
  const { root, build, builds, names, write } = repository;
  const get = () => cachedFolder(root, "bundle", ["shared"], build);
  const [first, second] = await Promise.all([get(), get()]);
  assertEquals([builds(), first], [1, second]);
  await write("2");
  const changed = await get();
  assertEquals([builds(), changed === first], [2, false]);
  // The folder of the earlier state is removed.
  assertEquals(await names(), [changed.slice(changed.lastIndexOf("/") + 1)]);
});

Deno.test("cachedFolder() leaves nothing after a failed build, and removes what an interrupted one left", async () => {
  await using repository = await checkout();
  const { root, build, names } = repository;
  const failing = async (folder: string) => {
    await build(folder);
    throw new Error("out of memory");
  };
  await assertRejects(() => cachedFolder(root, "bundle", ["shared"], failing), Error, "out of memory");
  assertEquals(await names(), []);
  await Deno.mkdir(new URL(".local/package/bundle-0.partial", root));
  await Deno.mkdir(new URL(".local/package/artifacts-1", root));
  const folder = await cachedFolder(root, "bundle", ["shared"], build);
  assertEquals((await names()).sort(), ["artifacts-1", folder.slice(folder.lastIndexOf("/") + 1)]);
});
