/**
 * A small project for tests of the local stack.
 *
 * @module
 */

const MIGRATION = `
create table public.notes (
  id bigint generated always as identity primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  body text not null,
  created_at timestamptz not null default now()
);
alter table public.notes enable row level security;
create policy "Own notes" on public.notes for all to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
revoke all on public.notes from anon;
create table public.greetings (body text primary key);
alter table public.greetings enable row level security;
create policy "All" on public.greetings for select to anon using (true);
`;

/** The function of the fixture: the second segment of the path selects its behavior. */
export const PROBE = `
let aborted = 0;
let slow = 0;
const state = globalThis as unknown as { EdgeRuntime: { waitUntil(promise: Promise<unknown>): void } };
addEventListener("beforeunload", (event) => {
  console.log("beforeunload " + (event as CustomEvent).detail.reason);
});
export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    switch (url.pathname.split("/")[2]) {
      case "echo":
        return new Response(request.body, { headers: { "content-type": "application/octet-stream" } });
      case "request":
        return Response.json({ url: request.url, headers: Object.fromEntries(request.headers) });
      case "env":
        return Response.json(Deno.env.toObject());
      case "stream": {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const writer = writable.getWriter();
        (async () => {
          for (let n = 0; n < 3; n++) {
            await writer.write(new TextEncoder().encode(n + "\\n"));
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
          await writer.close();
        })();
        return new Response(readable, { headers: { "content-type": "text/event-stream" } });
      }
      case "slow":
        slow++;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Number(url.searchParams.get("ms") ?? 60000));
          request.signal.addEventListener("abort", () => {
            aborted++;
            clearTimeout(timer);
            resolve();
          });
        });
        return new Response("slow");
      case "slow-count":
        return Response.json(slow);
      case "aborted":
        return Response.json(aborted);
      case "background":
        state.EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(() => resolve(console.log("background done")), 300)));
        return new Response("answered");
      case "throw":
        throw new Error("thrown on purpose");
      case "crash":
        setTimeout(() => { throw new Error("crashed on purpose"); }, 0);
        await new Promise(() => {});
        return new Response();
      case "spin":
        setTimeout(() => { for (;;); }, 10);
        return new Response("spinning");
      case "write":
        await Deno.writeTextFile(url.searchParams.get("path") ?? "", "x");
        return new Response("written");
      case "redirect":
        return new Response(null, { status: 302, headers: { location: "https://example.com/" } });
      default:
        return new Response("version 1");
    }
  },
};
`;

/** A project in a temporary folder. */
export interface Fixture extends AsyncDisposable {
  /** The folder; its name contains a space. */
  readonly root: string;
  /** Writes a file of the project. */
  write(path: string, text: string): Promise<void>;
}

/** Creates a project. */
export async function createProject(): Promise<Fixture> {
  const parent = await Deno.makeTempDir({ prefix: "local-stack-test-" });
  await Deno.chmod(parent, 0o755);
  const root = `${parent}/a project`;
  const write = async (path: string, text: string): Promise<void> => {
    const file = `${root}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  };
  await write("supabase/migrations/20260101000000_notes.sql", MIGRATION);
  await write("supabase/seed.sql", "insert into public.greetings (body) values ('hello');");
  await write(
    "supabase/config.toml",
    ["probe", "health"].map((name) =>
      `[functions.${name}]\nverify_jwt = false\nentrypoint = "../functions/${name}/index.ts"\n`
    ).join(""),
  );
  await write("functions/probe/index.ts", PROBE);
  await write(
    "functions/health/index.ts",
    `export default { fetch: (request: Request) => new Response(new URL(request.url).pathname) };`,
  );
  return { root, write, [Symbol.asyncDispose]: () => Deno.remove(parent, { recursive: true }) };
}

/** Waits until `condition` holds, for at most `timeoutMs`. */
export async function eventually(
  condition: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
