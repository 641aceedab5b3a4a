/**
 * Type-checks the code in documents and docstrings.
 *
 * A block marked `ts` is checked as a module of its own; one marked `ts ignore` is a fragment and is not. A block may use
 * the names of {@linkcode AMBIENT} without declaring them. One without imports may also use the names that its module
 * and the entry points export.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { type Document, readDocuments, readModules, ROOT } from "./documents.ts";

const AMBIENT = `
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Hono } from "hono";
import type { CallerScope, PooledContext, SupabaseConnectionPool, SupabaseService as OurService } from "${new URL(
  "shared/mod.ts",
  ROOT,
)}";
import type { Database as OurDatabase } from "${new URL("functions/_app/database.ts", ROOT)}";
declare global {
  interface Note {
    id: string;
    text: string;
  }
  /** The database of the example application, with a table \`notes\`. */
  type Database = {
    public: Omit<OurDatabase["public"], "Tables"> & {
      Tables: OurDatabase["public"]["Tables"] & {
        notes: { Row: { id: string; text: string }; Insert: { text: string }; Update: { text?: string }; Relationships: [] };
      };
    };
  };
  const app: Hono;
  const query: PromiseLike<unknown>;
  const request: Request;
  // deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
  const ctx: PooledContext<any>;
  // deno-lint-ignore no-explicit-any
  const pool: SupabaseConnectionPool<any>;
  // deno-lint-ignore no-explicit-any
  const scope: CallerScope<any>;
  const supabaseClient: SupabaseClient<OurDatabase>;
  const supabaseService: OurService;
  const url: string;
  const key: string;
  const publishableKey: string;
  const token: string;
}
`;

/** Declarations for the docstrings of a folder, where {@linkcode AMBIENT} means something else or lacks a name. */
const FOLDERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "shared/pool/": {
    factory: 'import("./mod.ts").ResourceFactory<{ work(): Promise<void> }>',
    pool: 'import("./mod.ts").ResourcePool<{ work(): Promise<void> }>',
  },
  "shared/postgres/": {
    manager: 'import("./mod.ts").PostgresConnectionManager',
    pool: 'import("./mod.ts").PostgresPool',
  },
  "shared/data/": { manager: 'import("../postgres/mod.ts").PostgresConnectionManager' },
  "shared/cache/": { cache: 'import("./mod.ts").LayeredCache' },
  "shared/resilience/": { clock: 'import("./mod.ts").Clock' },
};

/** The entry points whose exports a block without imports may use. */
const ENTRY_POINTS = [
  "shared/mod.ts",
  "shared/http/hono.ts",
  "shared/http/fields.ts",
  "shared/http/postgres.ts",
  "shared/postgres/mod.ts",
  "shared/data/mod.ts",
  "shared/cache/mod.ts",
  "shared/data/tunnel/mod.ts",
  "shared/data/connection_log/mod.ts",
  "shared/observability/mod.ts",
];

/** Names that stand for a module of the example application. */
const EXAMPLE_APPLICATION: Readonly<Record<string, string>> = {
  CategoryService: "functions/_app/category_service.ts",
  PooledCategoryService: "functions/_app/pooled_category_service.ts",
  Hono: "hono",
};

interface Block {
  /** The name of the file that it is checked as. */
  readonly name: string;
  readonly code: string;
  /** The document or module that it stands in. */
  readonly path: string;
  /** The module whose docstring it stands in. */
  readonly module: string | undefined;
}

/** The errors of TypeScript about what is declared and not used. */
const UNUSED = /^TS(6133|6192|6196|6198) /;

const BLOCK = /^([ ]*)(\* ?)?```ts\n([^]*?)^[ ]*(?:\* ?)?```$/gm;

function blocksOf({ path, text }: Document): Block[] {
  const module = path.endsWith(".ts") ? path : undefined;
  return Array.from(text.matchAll(BLOCK)).flatMap(({ 1: indent = "", 3: code = "", index }) => {
    const before = text.slice(0, index);
    const line = before.split("\n").length;
    const margin = module === undefined ? new RegExp(`^${indent}`, "gm") : /^[ ]*\* ?/gm;
    // The code before a change and the code after it are two programs, which share names.
    return code.replaceAll(margin, "").split(/^(?=\/\/ (?:Before|After))/m).map((part, index) => ({
      name: `${path.replaceAll(/\W/g, "_")}_${line}_${index}.ts`,
      code: part,
      path,
      module,
    }));
  });
}

const DECLARED = /^export (?:declare )?(?:abstract )?(?:async )?(class|function\*?|const|interface|type|enum) (\w+)/gm;
const LISTED = /^export (type )?\{([^}]*)\}/gm;

/** Returns the names that a module exports, as an import lists them: a type with `type` before it. */
function exportsOf(text: string): string[] {
  const declared = Array.from(
    text.matchAll(DECLARED),
    ([, kind = "", name = ""]) => kind === "interface" || kind === "type" ? `type ${name}` : name,
  );
  const listed = Array.from(text.matchAll(LISTED)).flatMap(([, type = "", names = ""]) =>
    names.replaceAll(/\/\/.*$|\/\*[^]*?\*\//gm, "").split(",").map((name) =>
      name.trim().replace(/^(type )?.* as /, "$1")
    )
      .filter((name) => name !== "").map((name) => type !== "" && !name.startsWith("type ") ? type + name : name)
  );
  return [...declared, ...listed];
}

/** Returns the block as a module: with the imports it lacks, and with specifiers that resolve. */
function toModule(
  { code, module, path }: Block,
  exported: ReadonlyMap<string, readonly string[]>,
  blocks: readonly Block[],
): string {
  const imports: string[] = [];
  if (!/^import /m.test(code)) {
    const declared = new Set(
      Array.from(code.matchAll(/\b(?:class|function|const|let|interface|type) (\w+)/g), ([, name]) => name),
    );
    const found = new Set<string>();
    const add = (path: string, names: readonly string[]) => {
      const used = names.filter((listed) => {
        const name = listed.replace("type ", "");
        if (declared.has(name) || found.has(name) || !new RegExp(`\\b${name}\\b`).test(code)) return false;
        found.add(name);
        return true;
      });
      if (used.length > 0) {
        imports.push(`import { ${used.join(", ")} } from "${path.includes("/") ? new URL(path, ROOT) : path}";\n`);
      }
    };
    if (/\bz\./.test(code)) imports.push('import * as z from "zod";\n');
    for (const [name, path] of Object.entries(EXAMPLE_APPLICATION)) add(path, [name]);
    const paths = module === undefined ? ENTRY_POINTS : [module, ...ENTRY_POINTS];
    // An entry point may have the type alone of what another one exports.
    for (const isType of [false, true]) {
      for (const path of paths) {
        add(path, (exported.get(path) ?? []).filter((name) => name.startsWith("type ") === isType));
      }
    }
  }
  const folder = Object.keys(FOLDERS).find((prefix) => module?.startsWith(prefix)) ?? "";
  const declarations = Object.entries(FOLDERS[folder] ?? {})
    .filter(([name]) => !new RegExp(`\\b(const|using|let) ${name}\\b`).test(code))
    .map(([name, type]) => {
      const resolved = type.replace(/"(\..*?)"/, (_, target) => `"${new URL(target, new URL(folder, ROOT))}"`);
      return `declare const ${name}: ${resolved};\n`;
    });
  return [...imports, ...declarations].join("") +
    code.replaceAll(/"(?:\.\.\/\.\.|\.)\/shared\//g, `"${new URL("shared/", ROOT)}`)
      .replaceAll('"../support/', `"${new URL("tests/support/", ROOT)}`)
      .replaceAll('"../_app/', `"${new URL("functions/_app/", ROOT)}`)
      // A module may import its neighbors.
      .replaceAll(/"(\.\.?\/[\w/.]+\.ts)"/g, (specifier, target: string) => {
        const url = new URL(target, new URL(path, ROOT));
        return exported.has(url.href.slice(ROOT.href.length)) ? `"${url}"` : specifier;
      })
      // A file beside it is another block of the document, which names the file in its first line.
      .replaceAll(/"\.\/(\w+\.ts)"/g, (specifier, file: string) => {
        const beside = blocks.find((block) =>
          block.path === path && /^\/\/ (\S+)/.exec(block.code)?.[1]?.endsWith(`/${file}`)
        );
        return beside === undefined ? specifier : `"./${beside.name}"`;
      }) +
    "\nexport {};\n";
}

Deno.test("the code in documents and docstrings type-checks", async () => {
  const [documents, modules] = await Promise.all([readDocuments(), readModules()]);
  const exported = new Map(modules.map(({ path, text }) => [path, exportsOf(text)]));
  const blocks = [...documents, ...modules].flatMap(blocksOf);
  const inDocstrings = blocks.filter(({ module }) => module !== undefined).length;
  assert(
    blocks.length - inDocstrings >= 20,
    `${blocks.length} blocks, ${inDocstrings} in docstrings`,
  );
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/ambient.ts`, AMBIENT);
    for (const block of blocks) await Deno.writeTextFile(`${folder}/${block.name}`, toModule(block, exported, blocks));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "check",
        "--config",
        new URL("deno.json", ROOT).pathname,
        `${folder}/ambient.ts`,
        ...blocks.map(({ name }) => `${folder}/${name}`),
      ],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    // One paragraph per error. A block may declare what it does not use.
    const errors = new TextDecoder().decode(stderr).replaceAll(/^Check .*\n/gm, "").split(/\n\n+/).map((one) =>
      one.trim()
    )
      .filter((one) =>
        one !== "" && !UNUSED.test(one) &&
        !/^(Found \d+ errors\.|error: Type checking failed\.|Stack backtrace:[^]*)$/.test(one)
      );
    assertEquals(errors, []);
    assert(code === 0 || stderr.length > 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
