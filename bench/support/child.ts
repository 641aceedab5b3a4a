/**
 * Scripts that run in processes of their own and are controlled line by line.
 *
 * @module
 */

/** A running script. Disposal closes its standard input and waits for it to exit. */
export interface Child extends AsyncDisposable {
  /** Writes a line to its standard input. */
  say(line: string): Promise<void>;
  /**
   * Reads the next line of its output.
   *
   * @throws {Error} when it exits instead.
   */
  line(): Promise<string>;
}

/** Starts `script` with the arguments `args` and the `deno run` flags `flags`. Its standard error is inherited. */
export function startChild(script: URL, flags: readonly string[], args: readonly string[] = []): Child {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", ...flags, script.pathname, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const encoder = new TextEncoder();
  let read = "";
  return {
    say: (line) => writer.write(encoder.encode(`${line}\n`)),
    async line() {
      for (;;) {
        const end = read.indexOf("\n");
        if (end >= 0) {
          const line = read.slice(0, end);
          read = read.slice(end + 1);
          return line;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`${script.pathname} exited with ${(await child.status).code}`);
        read += value;
      }
    },
    async [Symbol.asyncDispose]() {
      await writer.close().catch(() => {});
      await reader.cancel();
      await child.status;
    },
  };
}

/** A Data API in a process of its own; see `data_api.ts`. */
export interface DataApiProcess extends AsyncDisposable {
  /** Its URL, without a trailing slash. */
  readonly url: string;
}

/** Starts `data_api.ts`. */
export async function startDataApi(): Promise<DataApiProcess> {
  const child = startChild(new URL("data_api.ts", import.meta.url), ["--allow-net=127.0.0.1"]);
  return { url: await child.line(), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
