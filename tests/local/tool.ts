/**
 * Runs `deno task dashboard` and `deno task load` in tests.
 *
 * @module
 */
import { quoted } from "../../local/invocation.ts";
import { lockProject } from "../../local/lock.ts";
import { eventually } from "./fixture.ts";

const ROOT = new URL("../../", import.meta.url);

/** A run of a tool. */
export class ToolRun implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #keyboard: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined;
  readonly #ended: Promise<unknown>;
  /** Its output so far, that of both streams. */
  output = "";

  /**
   * Starts it. Variables that it reads are those of `env` only.
   *
   * @param atTerminal Runs it at a terminal of `script`. Default: false.
   */
  constructor(
    tool: "dashboard" | "load",
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    atTerminal = false,
  ) {
    const command = [Deno.execPath(), "run", "-A", "--no-check", `local/${tool}/main.ts`, ...args];
    // In place of its shell: one that waits for it dies of Ctrl-C, with a status of its own.
    const wrapped = ["script", "-qfec", `exec ${command.map(quoted).join(" ")}`, "/dev/null"];
    const [program = "", ...rest] = atTerminal ? wrapped : command;
    this.#child = new Deno.Command(program, {
      args: rest,
      cwd: ROOT,
      env: { SUPABASE_SECRET_KEY: "", SUPABASE_PUBLISHABLE_KEY: "", LOAD_TOKEN: "", NO_COLOR: "1", ...env },
      stdin: atTerminal ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#keyboard = atTerminal ? this.#child.stdin.getWriter() : undefined;
    this.#ended = Promise.all(
      [this.#child.stdout, this.#child.stderr].map((stream) =>
        stream.pipeThrough(new TextDecoderStream()).pipeTo(
          new WritableStream({ write: (text) => void (this.output += text) }),
        )
      ),
    );
  }

  /** Waits for an output. */
  async until(pattern: RegExp): Promise<string> {
    await eventually(() => pattern.test(this.output), `${pattern} in the output`, 30_000);
    return pattern.exec(this.output)?.[1] ?? "";
  }

  /** Types at its terminal. */
  async type(text: string): Promise<void> {
    await this.#keyboard?.write(new TextEncoder().encode(text));
  }

  /** Sends it a signal. At a terminal, it is for `script`, whose end closes the terminal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end, and returns its exit status. */
  async exit(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#keyboard?.close().catch(() => {});
    await this.#ended;
    return code;
  }

  /** Kills it, if it is running. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has exited.
    }
    await this.exit();
  }
}

/** The id of the user that {@linkcode startStack} signs up. */
export const USER = "11111111-1111-4111-8111-111111111111";

/** A stand-in for a stack. */
export interface StackStandIn extends AsyncDisposable {
  /** Each method and path that was called, once. */
  readonly lines: readonly string[];
  /** The folder of its project. */
  readonly project: string;
  readonly url: string;
}

/** Starts a stand-in for a stack, which holds the lock of a project. */
export async function startStack(
  respond: (request: Request) => Response | Promise<Response>,
  remove: () => Response | Promise<Response> = () => Response.json({}),
): Promise<StackStandIn> {
  const lines: string[] = [];
  const hanging = new AbortController();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal: hanging.signal, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    const line = `${request.method} ${pathname}`;
    if (!lines.includes(line)) lines.push(line);
    if (pathname === "/auth/v1/signup") return Response.json({ access_token: "t", user: { id: USER } });
    if (request.method === "DELETE") return remove();
    return respond(request);
  });
  const project = await Deno.makeTempDir();
  for (const folder of [".local", "supabase"]) await Deno.mkdir(`${project}/${folder}`);
  const lock = await lockProject(`${project}/.local`);
  const url = `http://127.0.0.1:${server.addr.port}`;
  await lock.publish(url);
  return {
    lines,
    project,
    url,
    async [Symbol.asyncDispose]() {
      lock[Symbol.dispose]();
      hanging.abort();
      await server.finished;
      await Deno.remove(project, { recursive: true });
    },
  };
}
