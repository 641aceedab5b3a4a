/**
 * `deno task hops`: prints three paths through the library as lists of hops.
 *
 * A hop is a function of ours (in `shared/` or `functions/`) that is entered
 * from another file, where a reader has to turn to that file. A function counts
 * once, in the order of its first entry; anonymous callbacks and accessors read
 * as part of the function around them. Indented are the functions that a hop
 * enters in its own file.
 *
 * V8's precise coverage says which functions were entered, in which files; its
 * function trace (`--trace`) says in which order, and from where.
 *
 * @module
 */
import { startPostgres } from "../../local/postgres/mod.ts";
import { type Entered, PATHS } from "./probe.ts";

/** The most hops of each path. */
const TARGETS: Readonly<Record<string, number>> = { "get-categories": 64, acquire: 32, query: 38 };

const HELP = `Usage: deno task hops [--root folder] [${PATHS.join("] [")}]

Prints each path of the library as a list of hops: functions entered from another file.

  --root  Looks at another checkout of this repository
  --help  Print this`;

/** A function on a path. */
interface Step {
  /** `file:function`. */
  readonly name: string;
  /** True if it was entered from another file. */
  readonly hop: boolean;
}

/** A path as it was taken. */
interface Path {
  readonly steps: readonly Step[];
  /** All functions that were entered, accessors and anonymous ones included. */
  readonly functions: number;
}

/** Takes the path `name` in the repository at `root`, in a process of its own. */
async function take(name: string, root: URL): Promise<Path> {
  await using server = name === "query" ? await startPostgres() : undefined;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", "--no-lock", "--v8-flags=--trace"],
      ...["--config", new URL("deno.json", root).pathname],
      new URL("probe.ts", import.meta.url).pathname,
      name,
      root.href,
    ],
    env: { NO_COLOR: "1", HOPS_POSTGRES_URL: server?.url ?? "" },
  }).output();
  const decoder = new TextDecoder();
  const said = decoder.decode(stderr);
  const line = /^ENTERED (.*)$/m.exec(said)?.[1];
  if (!success || line === undefined) throw new Error(`Cannot take the path ${name}: ${said.slice(-2_000)}`);
  const entered: Entered[] = JSON.parse(line);
  const named = entered.filter(({ name }) => name !== "" && !/^(get |set |<)/.test(name));
  return { steps: await stepsOf(decoder.decode(stdout), named, root), functions: entered.length };
}

/** A call in the trace: its depth, the function's name, and the class of its receiver. */
const CALL = /^ *(\d+): +(?:new )?[~*^]?([^\s+(]+)\+\d+\(this=0x\w+ <(?:JSFunction )?([^\s>]+)/gm;

/** The functions in the order of the trace. */
async function stepsOf(trace: string, named: readonly Entered[], root: URL): Promise<Step[]> {
  const owners = new Map(await Promise.all(named.map(async (each) => [each, await ownerOf(each)] as const)));
  const local = new Set((await Promise.all(named.map(async (each) => await isLocal(each) ? [each] : []))).flat());
  const hops = new Set<Entered>();
  const order = new Set<Entered>();
  const stack: { readonly depth: number; readonly called: Entered | undefined }[] = [];
  let within = false;
  for (const [, level = "", name = "", receiver = ""] of trace.matchAll(CALL)) {
    const depth = Number(level);
    if (name === "hopsBegin") within = true;
    if (name === "hopsEnd") break;
    if (!within) continue;
    while ((stack.at(-1)?.depth ?? 0) >= depth) stack.pop();
    const same = named.filter((each) => each.name === name);
    const called = same.find((each) => owners.get(each) === receiver) ?? (same.length === 1 ? same[0] : undefined);
    const caller = stack.findLast(({ called }) => called !== undefined)?.called;
    stack.push({ depth, called });
    if (called === undefined) continue;
    // After a wait the caller is unknown.
    if (!order.has(called) && caller?.url !== called.url && !local.has(called)) hops.add(called);
    order.add(called);
  }
  // What the trace does not tell apart, such as two functions of one name without a class.
  for (const each of named) order.add(each);
  return [...order].map((each) => {
    const owner = owners.get(each);
    const member = owner === undefined ? each.name : owner === each.name ? `new ${owner}` : `${owner}.${each.name}`;
    return { name: `${each.url.slice(root.href.length)}:${member}`, hop: hops.has(each) };
  });
}

/** Returns whether `entered` is called from its own file only: a private member, or a function that is not exported. */
async function isLocal({ url, name }: Entered): Promise<boolean> {
  if (name.startsWith("#")) return true;
  return new RegExp(`^(?:async )?function ${name.replace(/[$]/g, "\\$&")}[<(]`, "m").test(
    await Deno.readTextFile(new URL(url)),
  );
}

/** The class that `entered` is a member of. */
async function ownerOf({ url, name }: Entered): Promise<string | undefined> {
  const source = await Deno.readTextFile(new URL(url));
  const plain = name.replace("static ", "").replace(/[$#]/g, "\\$&");
  const member = new RegExp(`^  (?:static |override |async |readonly )*${plain}[ <(=]`, "m");
  let owner: string | undefined;
  for (const part of source.split(/^(?=(?:export )?(?:abstract )?class )/m)) {
    const within = /^(?:export )?(?:abstract )?class (\w+)/.exec(part)?.[1];
    if (within === name) return name;
    if (within !== undefined && member.test(part)) owner = within;
  }
  return owner;
}

function print(name: string, { steps, functions }: Path): void {
  const hops = steps.filter(({ hop }) => hop).length;
  console.log(
    `\n${name}: ${hops} hops (target: at most ${TARGETS[name]}); ${steps.length} named functions, ${functions} in all`,
  );
  let number = 0;
  for (const { name, hop } of steps) {
    console.log(hop ? `${String(++number).padStart(4)}  ${name}` : `          ${name}`);
  }
}

if (import.meta.main) {
  const words = [...Deno.args];
  const at = words.indexOf("--root");
  const folder = at < 0 ? undefined : words.splice(at, 2)[1];
  const unknown = words.find((word) => !PATHS.some((path) => path === word));
  if (unknown !== undefined) console.log(HELP);
  else {
    const root = new URL(folder === undefined ? "../../" : `file://${await Deno.realPath(folder)}/`, import.meta.url);
    for (const name of words.length > 0 ? words : PATHS) print(name, await take(name, root));
  }
}
