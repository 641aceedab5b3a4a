import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "../../local/paths.ts";
import { processInfo } from "../../local/processes.ts";
import { until } from "../support/until.ts";

/** Like `npx`, it runs the CLI through processes that do not forward signals. The CLI ignores those in `IGNORED`. */
const NPX = `#!/bin/sh
sh -c 'sh "$CLI"; :'
:
`;
const CLI = `
trap "" $IGNORED
echo $$ > "$READY.new"
mv "$READY.new" "$READY"
while :; do sleep 0.1; done
`;

interface Phase {
  /** The source of the function. */
  readonly source?: string;
  /** The signals that the CLI ignores. */
  readonly ignored?: string;
  /** Resolves when the phase has begun, with the id of a process that must end; by default, with that of the CLI. */
  readonly begun?: Promise<number | undefined>;
}

/** Runs `deploy` until a phase has begun, and sends it `signal`. */
async function interrupt(signal: Deno.Signal, { source = "", ignored = "INT", begun }: Phase) {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "deploy interruption " }));
  try {
    const ready = `${folder}/ready`;
    await Deno.mkdir(`${folder}/supabase/functions/hello`, { recursive: true });
    const module = `${source}\nDeno.serve(() => new Response());`;
    await Deno.writeTextFile(`${folder}/supabase/functions/hello/index.ts`, module);
    await Deno.writeTextFile(`${folder}/npx`, NPX, { mode: 0o755 });
    await Deno.writeTextFile(`${folder}/cli`, CLI);
    const root = new URL("../../", import.meta.url);
    const deploy = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", fromFileUrl(new URL("local/deploy/main.ts", root)), "--yes", "--workdir", folder],
      cwd: fromFileUrl(root),
      env: {
        NO_COLOR: "1",
        PATH: `${folder}:${Deno.env.get("PATH")}`,
        CLI: `${folder}/cli`,
        READY: ready,
        IGNORED: ignored,
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const output = new Response(deploy.stderr).text();
    const readPid = async () => {
      await until("the CLI runs", () => Deno.stat(ready).then(() => true, () => false));
      return Number(await Deno.readTextFile(ready));
    };
    const pid = await (begun ?? readPid());
    deploy.kill(signal);
    const { code } = await deploy.status;
    return { code, left: pid === undefined ? undefined : await processInfo(pid), output: await output };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("deploy ends the CLI and the processes between when it receives SIGINT or SIGTERM, and says how to continue", async () => {
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const { code, left, output } = await interrupt(signal, {});
    assertEquals([code, left], [status, undefined], output);
    assertStringIncludes(
      output,
      `Error: The deployment was interrupted (${signal}): functions that were uploaded before`,
    );
    assertStringIncludes(output, "Run the same command again to finish it.");
  }
});

Deno.test("deploy kills a CLI that ignores SIGTERM", async () => {
  const { code, left, output } = await interrupt("SIGTERM", { ignored: "INT TERM" });
  assertEquals([code, left], [143, undefined], output);
});

Deno.test("deploy ends the check of an import that does not load when it receives a signal", async () => {
  const requested = Promise.withResolvers<undefined>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ signal }) => {
    requested.resolve(undefined);
    // It never responds to a client that stays.
    return new Promise<Response>((resolve) => signal.addEventListener("abort", () => resolve(new Response())));
  });
  const source = `import "http://127.0.0.1:${server.addr.port}/module.ts";`;
  const { code, output } = await interrupt("SIGTERM", { source, begun: requested.promise });
  assertEquals(code, 143, output);
  assertStringIncludes(
    output,
    "Error: Interrupted (SIGTERM) before anything was deployed: run the same command again.",
  );
});
