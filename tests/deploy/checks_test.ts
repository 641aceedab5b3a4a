import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { StackError } from "../../local/stack_error.ts";
import { uploadFaults, uploadSize } from "./checks.ts";
import type { Upload, UploadMetadata } from "./management_api.ts";
import { MARKER } from "./project_copy.ts";
import { unpack } from "./tree.ts";

const SOUND: Record<string, string> = {
  "import_map.json": `{"imports":{"jose":"npm:jose@6.2.17"}}`,
  "functions/hello/index.ts": `
import { greet } from "../../shared/greet.ts";
import type { JWTPayload } from "jose";
export default { fetch: () => new Response(greet({} as JWTPayload)) };
`,
  "shared/greet.ts": `export const greet = ({ sub }: { sub?: string | undefined }) => \`hello \${sub}\`;`,
};

/** Returns the faults of an upload of {@linkcode SOUND} with changes; `null` removes a file. */
function upload(changes: Record<string, string | null> = {}, metadata: Partial<UploadMetadata> = {}): Upload {
  const encoder = new TextEncoder();
  const files = Object.entries({ ...SOUND, ...changes });
  return {
    name: "hello",
    bundleOnly: false,
    metadata: {
      name: "hello",
      entrypoint_path: "functions/hello/index.ts",
      import_map_path: "import_map.json",
      static_patterns: [],
      verify_jwt: false,
      ...metadata,
    },
    files: new Map(files.flatMap(([path, text]) => text === null ? [] : [[path, encoder.encode(text)]])),
  };
}

async function faults(changes: Record<string, string | null> = {}, metadata: Partial<UploadMetadata> = {}) {
  const uploaded = upload(changes, metadata);
  await using tree = await unpack(uploaded);
  return uploadFaults(uploaded, tree);
}

Deno.test("uploadFaults() returns nothing for an upload with exactly what the function needs", async () => {
  const sound = upload();
  await using tree = await unpack(sound);
  assertEquals(uploadFaults(sound, tree), []);
  assertEquals(tree.graph.packages, ["npm:jose@6.2.17"]);
  assertStringIncludes(uploadSize(sound, tree), "3 files");
});

Deno.test("uploadFaults() names a missing module and a missing entry of the import map", async () => {
  assertEquals(await faults({ "shared/greet.ts": null }), [
    'functions/hello/index.ts:2 imports "../../shared/greet.ts": shared/greet.ts does not exist',
  ]);
  const [unmapped, ...more] = await faults({ "import_map.json": `{"imports":{}}` });
  assertStringIncludes(unmapped ?? "", 'functions/hello/index.ts:3 imports "jose": ');
  assertStringIncludes(unmapped ?? "", "not in import map");
  assertEquals(more, []);
  await assertRejects(() => faults({ "functions/hello/index.ts": null }), StackError, "functions/hello/index.ts");
  await assertRejects(() => faults({ "import_map.json": "{" }), StackError, "functions/hello/index.ts");
});

Deno.test("uploadFaults() names files without importers and files of the machine", async () => {
  assertEquals(await faults({ "shared/other.ts": "" }), ["nothing imports shared/other.ts"]);
  for (
    const path of [
      ".env",
      "functions/hello/.env",
      "deno.lock",
      "local/keys.ts",
      "node_modules/a/index.js",
      "functions/other/index.ts",
    ]
  ) {
    assertEquals(await faults({ [path]: "" }), [
      `${path} does not belong in an upload`,
      `nothing imports ${path}`,
    ]);
  }
  assertEquals(await faults({ "shared/greet.ts": `${SOUND["shared/greet.ts"]} // ${MARKER}` }), [
    "shared/greet.ts must not be uploaded",
  ]);
});

Deno.test("uploadFaults() names an optional part that the function does not import", async () => {
  const cache = { "shared/cache/mod.ts": "export const cache = new Map();" };
  const dragged = `export { cache } from "./cache/mod.ts"; ${SOUND["shared/greet.ts"]}`;
  assertEquals(await faults({ ...cache, "shared/greet.ts": dragged }), [
    "shared/cache/mod.ts is uploaded, but hello does not import cache",
  ]);
  const asking =
    `import { cache } from "../../shared/cache/mod.ts"; export default { fetch: () => new Response(cache.get("a")) };`;
  assertEquals(await faults({ ...cache, "shared/greet.ts": null, "functions/hello/index.ts": asking }), []);
});

Deno.test("uploadFaults() names verify_jwt and static files", async () => {
  assertEquals(await faults({}, { verify_jwt: true, static_patterns: ["*"] }), [
    "the platform would check credentials that are not JWTs",
    "the upload has static files",
  ]);
});

Deno.test("unpack() replaces packages of JSR with local ones where JSR is out of reach, and nothing else", async () => {
  const imports = { jose: "npm:jose@6.2.17", "@std/async": "jsr:@std/async@^1.0.15" };
  const uploaded = upload({
    "import_map.json": JSON.stringify({ imports }),
    "shared/greet.ts": `export { delay as greet } from "@std/async";`,
  });
  await using tree = await unpack(uploaded);
  const used: { imports: Record<string, string> } = JSON.parse(await Deno.readTextFile(tree.importMap));
  assertEquals(used.imports, {
    ...imports,
    "@std/async": new URL("../../local/std/async/mod.ts", import.meta.url).href,
  });
  assertEquals(uploadFaults(uploaded, tree), []);
});
