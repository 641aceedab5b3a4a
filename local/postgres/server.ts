/**
 * A Postgres server that can be started, stopped, killed and restarted.
 *
 * @module
 */
import postgres from "postgres";
import { StackError } from "../stack_error.ts";
import { storageReason } from "../storage_error.ts";
import { removeOnExit, SupervisedChild } from "../supervised_child.ts";
import { freePort, LOOPBACK } from "../ports.ts";
import type { DataLocation } from "./data_location.ts";
import { removeStaleServer } from "./stale_server.ts";

/** Options for {@linkcode PostgresServer.open}. */
export interface ServerOptions {
  /** The location of its data and programs. */
  readonly location: DataLocation;
  /** The port that it listens on; 0 for a free one, the same for every start. */
  readonly port: number;
  /** Flushes each commit to disk, so that it survives a crash of the machine. Tests do not need it. */
  readonly fsync: boolean;
  /** The password of the superuser `supabase_admin`, set when the data is created. */
  readonly superuserPassword: string;
  /** A data folder to copy, with that password, instead of running `initdb`. Default: none. */
  readonly template?: string | undefined;
  /** More settings of the server. Default: none. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Called before each start; rejects if the data may belong to another stack by now. Default: none. */
  readonly checkOwner?: (() => Promise<void>) | undefined;
  /** Called with each warning and panic of the server. */
  readonly log: (line: string) => void;
  /** Called with every line of the server's log. Default: none. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** The superuser. Applications log in as `postgres`, which is not one, as on the hosted platform. */
export const SUPERUSER = "supabase_admin";

const MAX_CONNECTIONS = 100;
const START_TIMEOUT_MS = 60_000;
const LAST_LINES = 20;

/** A Postgres server. */
export class PostgresServer {
  readonly #options: ServerOptions;
  #port: number;
  #child: SupervisedChild | undefined;
  #removal: AsyncDisposable | undefined;
  #wanted = false;
  #starting: Promise<void> | undefined;
  /** Called when it exits without having been stopped. */
  onLost: (() => void) | undefined;

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.#port = options.port === 0 ? freePort() : options.port;
  }

  /**
   * Creates the data folder if it does not exist, and starts the server.
   *
   * @throws {StackError} `POSTGRES_FAILED`, `PORT_TAKEN` or `DATA_DAMAGED`.
   */
  static async open(options: ServerOptions): Promise<PostgresServer> {
    const { data, temporaryFolder, user } = options.location;
    const server = new PostgresServer(options);
    if (temporaryFolder !== undefined) server.#removal = removeOnExit(temporaryFolder, "data/postmaster.pid", user);
    try {
      await server.#open(data);
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  async #open(data: string): Promise<void> {
    if (await Deno.stat(data).then(() => false, (error) => error instanceof Deno.errors.NotFound)) {
      await this.#initialize();
    }
    for (let attempt = 1;; attempt++) {
      try {
        return await this.start();
      } catch (error) {
        const taken = error instanceof StackError && error.code === "PORT_TAKEN";
        if (this.#options.port !== 0 || !taken || attempt === 5) throw error;
        // Another process took the free port first.
        this.#port = freePort();
      }
    }
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** `true` while the server process is running. */
  get running(): boolean {
    return this.#child?.running ?? false;
  }

  /** `true` after the server exited by itself, until it is started or stopped. */
  get lost(): boolean {
    return this.#wanted && !this.running && this.#starting === undefined;
  }

  /** Returns the URL to log in as `user`. */
  url(user: string, password: string): string {
    return `postgresql://${user}:${password}@${LOOPBACK}:${this.#port}/postgres`;
  }

  /** Runs `use` with a connection of the superuser. */
  async asSuperuser<T>(use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(this.url(SUPERUSER, this.#options.superuserPassword), { max: 1, onnotice: () => {} });
    try {
      return await use(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  }

  /** Starts it and waits until it accepts connections. Does nothing if it is running. */
  async start(): Promise<void> {
    this.#wanted = true;
    await this.revive();
  }

  /** Restarts it, unless it has been stopped. */
  async revive(): Promise<void> {
    if (!this.#wanted) return;
    await (this.#starting ??= this.#start().finally(() => this.#starting = undefined));
  }

  async #start(): Promise<void> {
    if (this.#child?.running) return;
    const { location, fsync, checkOwner } = this.#options;
    await checkOwner?.();
    await removeStaleServer(location.data);
    if (!this.#wanted) return;
    const settings: Record<string, string | number> = {
      listen_addresses: LOOPBACK,
      port: this.#port,
      unix_socket_directories: "",
      max_connections: MAX_CONNECTIONS,
      password_encryption: "scram-sha-256",
      log_timezone: "UTC",
      timezone: "UTC",
      // Commits still reach the operating system: they survive a crash of the server, but not of the machine.
      ...(fsync ? {} : { fsync: "off", full_page_writes: "off" }),
      ...this.#options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const lines: string[] = [];
    const { promise: ready, resolve: markReady } = Promise.withResolvers<true>();
    const child = this.#spawn([`${location.binaries}/bin/postgres`, "-D", location.data, ...flags], (line) => {
      if (lines.push(line) > LAST_LINES) lines.shift();
      this.#options.onLine?.(line);
      if (/database system is ready to accept (read-only )?connections/.test(line)) markReady(true);
      else if (/\b(PANIC|WARNING):/.test(line)) this.#options.log(line);
    });
    this.#child = child;
    const { promise: late, resolve: markLate } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => markLate("late"), START_TIMEOUT_MS);
    const outcome = await Promise.race([ready, late, child.exited]);
    clearTimeout(timer);
    if (outcome === true) {
      child.exited.then(() => this.#wanted && this.onLost?.());
      return;
    }
    await child.stop();
    // It was stopped during the start.
    if (!this.#wanted) return;
    throw this.#startError(lines);
  }

  /** Stops it in fast mode: open transactions are rolled back. Its data is kept. */
  async stop(): Promise<void> {
    await this.#end("INT");
  }

  /** Stops it as a crash would: connections break, and the next start recovers from the log. */
  async kill(): Promise<void> {
    await this.#end("QUIT");
  }

  /** Stops it and deletes a temporary location. */
  async close(): Promise<void> {
    await this.stop();
    await this.#removal?.[Symbol.asyncDispose]();
  }

  async #end(signal: "INT" | "QUIT"): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (!child?.running) return;
    child.signal(signal);
    const timer = setTimeout(() => void child.stop(), 10_000);
    await child.exited;
    clearTimeout(timer);
  }

  #spawn(command: [string, ...string[]], onLine: (line: string) => void): SupervisedChild {
    const { user } = this.#options.location;
    return new SupervisedChild({
      command,
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", LC_ALL: "C", PGTZ: "UTC" },
      cwd: "/",
      endSignals: ["INT", "QUIT"],
      onLine,
      ...(user ? { user: user } : {}),
    });
  }

  /** Creates a draft of the data folder and renames it, so that a data folder is always complete. */
  async #initialize(): Promise<void> {
    const { location, template } = this.#options;
    const draft = `${location.data}.new`;
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    await (template === undefined ? this.#runInitdb(draft) : this.#copyTemplate(template, draft));
    await Deno.rename(draft, location.data);
  }

  async #copyTemplate(template: string, draft: string): Promise<void> {
    const lines: string[] = [];
    const child = this.#spawn(["cp", "-R", template, draft], (line) => lines.push(line));
    const status = await child.exited;
    if (status === 0) return;
    const reason = lines.at(-1) ?? `cp exited with status ${status}`;
    throw new StackError("POSTGRES_FAILED", `Postgres could not copy its data folder (${reason}): fix that.`);
  }

  async #runInitdb(draft: string): Promise<void> {
    const { location, superuserPassword } = this.#options;
    const passwordFile = `${location.data}.password`;
    await Deno.writeTextFile(passwordFile, superuserPassword, { mode: 0o600 });
    try {
      if (location.user) await Deno.chown(passwordFile, location.user.uid, location.user.gid);
      const lines: string[] = [];
      const child = this.#spawn([
        `${location.binaries}/bin/initdb`,
        `--pgdata=${draft}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        // The provider came with version 17. Without it, only ASCII letters have cases.
        ...(Number(location.major) >= 17 ? ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] : []),
        "--no-instructions",
        "--no-sync",
      ], (line) => lines.push(line));
      const status = await child.exited;
      if (status !== 0) {
        const reason = lines.findLast((line) => /error|fatal|could not|cannot/i.test(line)) ?? lines.at(-1);
        throw new StackError(
          "POSTGRES_FAILED",
          `Postgres could not create its data folder (${reason ?? `initdb exited with status ${status}`}): ` +
            "fix that, then start again.",
        );
      }
    } finally {
      await Deno.remove(passwordFile).catch(() => {});
    }
  }

  #startError(lines: readonly string[]): StackError {
    const reason = lines.findLast((line) => line.includes("FATAL:") || line.includes("error:")) ?? lines.at(-1) ??
      "no output";
    const short = reason.replace(/^.*?\bFATAL:\s*/, "");
    if (lines.some((line) => line.includes("could not bind"))) {
      return new StackError(
        "PORT_TAKEN",
        `Port ${this.#port} is in use: stop the process that uses it, or choose another port with --db-port <port>.`,
      );
    }
    const storage = storageReason(reason);
    if (storage) {
      return new StackError(
        "POSTGRES_FAILED",
        `Postgres did not start, because ${storage.reason} (${short}): ${storage.remedy}, then start again.`,
      );
    }
    if (
      /not a valid data directory|incompatible with server|could not open file|invalid (checkpoint|primary)/.test(short)
    ) {
      return new StackError(
        "DATA_DAMAGED",
        `Postgres cannot use its data (${short}): run with --reset to create it again.`,
      );
    }
    return new StackError(
      "POSTGRES_FAILED",
      `Postgres did not start (${short}): fix that, or run with --reset to create its data again.`,
    );
  }
}
