/**
 * A Redis server of one test, on a free port of loopback.
 *
 * @module
 */
import { component, PROGRAM_PATH } from "./components.ts";
import { until } from "./until.ts";

/** The availability of `redis-server`, for the options of a test. */
export const redisServer = component("redis-server");

/** A server that a test starts, stops and starts again. */
export class TestRedis implements AsyncDisposable {
  readonly #folder: string;
  readonly #options: readonly string[];
  readonly #port: number;
  #process: Deno.ChildProcess | undefined = undefined;

  private constructor(folder: string, port: number, options: readonly string[]) {
    this.#folder = folder;
    this.#port = port;
    this.#options = options;
  }

  /**
   * Starts a server that keeps its data in memory.
   *
   * @param options Options of the command line, such as `--requirepass`.
   */
  static async start(...options: string[]): Promise<TestRedis> {
    const redis = new TestRedis(await Deno.makeTempDir(), freePort(), options);
    await redis.restart();
    return redis;
  }

  /** The port. */
  get port(): number {
    return this.#port;
  }

  /** The URL, without a password. */
  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** Starts the server again, without its data. */
  async restart(...options: string[]): Promise<void> {
    this.#process = new Deno.Command("redis-server", {
      args: [
        ...["--port", String(this.#port), "--bind", "127.0.0.1", "--dir", this.#folder],
        ...["--save", "", "--appendonly", "no", ...this.#options, ...options],
      ],
      env: { PATH: PROGRAM_PATH },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const port = this.#options.includes("--tls-port")
      ? Number(this.#options[this.#options.indexOf("--tls-port") + 1])
      : this.#port;
    await until("Redis accepts connections", async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return false;
      }
    });
  }

  /** Kills the server. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process) return;
    process.kill("SIGKILL");
    await process.status;
  }

  /** Stops the server: it accepts connections and does not reply. */
  stop(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** Lets the server go on after {@linkcode stop}. */
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Runs a command by `redis-cli` and returns what it prints. */
  async cli(...args: string[]): Promise<string> {
    const { stdout } = await new Deno.Command("redis-cli", {
      args: ["-h", "127.0.0.1", "-p", String(this.#port), ...args],
      env: { PATH: PROGRAM_PATH },
    }).output();
    return new TextDecoder().decode(stdout).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Returns a port of loopback that is free now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
