/**
 * One Postgres server: made, started, stopped, crashed on purpose, started
 * again, always under guard.
 *
 * @module
 */
import postgres from "postgres";
import { StackFault } from "../fault.ts";
import { doomFolder, GuardedChild } from "../guard.ts";
import { freePort, LOOPBACK } from "../ports.ts";
import type { Place } from "./place.ts";
import { removeStaleServer } from "./stale.ts";

/** How a server runs. */
export interface ServerOptions {
  /** Where it lies. */
  readonly place: Place;
  /** The port it listens on; 0: one that is free, the same through every start. */
  readonly port: number;
  /** Whether a commit survives a crash of the machine. Tests need not wait for disks. */
  readonly fsync: boolean;
  /** The password of the superuser `supabase_admin`, set when the data is made. */
  readonly superuserPassword: string;
  /** Gets what the server has to say about trouble. */
  readonly log: (line: string) => void;
}

/** The superuser. Applications log in as `postgres`, which is none, as on the hosted platform. */
export const SUPERUSER = "supabase_admin";

const MAX_CONNECTIONS = 100;
const START_TIMEOUT_MS = 60_000;
const LAST_LINES = 20;

/** A Postgres server. */
export class PostgresServer {
  readonly #options: ServerOptions;
  #port: number;
  #child: GuardedChild | undefined;
  #doom: AsyncDisposable | undefined;
  #wanted = false;
  #starting: Promise<void> | undefined;
  /** Called when it ends although nobody stopped it. */
  onLost: (() => void) | undefined;

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.#port = options.port === 0 ? freePort() : options.port;
  }

  /**
   * Makes the data folder if there is none, and starts the server.
   *
   * @throws {StackFault} `POSTGRES_FAILED`, `PORT_TAKEN` or `DATA_DAMAGED`.
   */
  static async open(options: ServerOptions): Promise<PostgresServer> {
    const { data, doomed, owner } = options.place;
    const server = new PostgresServer(options);
    if (doomed !== undefined) server.#doom = doomFolder(doomed, "data/postmaster.pid", owner);
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
        const taken = error instanceof StackFault && error.code === "PORT_TAKEN";
        if (this.#options.port !== 0 || !taken || attempt === 5) throw error;
        // Somebody was quicker to take the free port.
        this.#port = freePort();
      }
    }
  }

  /** The port it listens on. */
  get port(): number {
    return this.#port;
  }

  /** Whether the process is there. */
  get running(): boolean {
    return this.#child?.running ?? false;
  }

  /** Whether it ended although nobody stopped it, and is not being started again. */
  get lost(): boolean {
    return this.#wanted && !this.running && this.#starting === undefined;
  }

  /** The URL for logging in as `user`. */
  url(user: string, password: string): string {
    return `postgresql://${user}:${password}@${LOOPBACK}:${this.#port}/postgres`;
  }

  /** Runs `use` with a superuser's connection. */
  async asSuperuser<T>(use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(this.url(SUPERUSER, this.#options.superuserPassword), { max: 1, onnotice: () => {} });
    try {
      return await use(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  }

  /** Starts it and waits until it takes connections. One that runs goes on running. */
  async start(): Promise<void> {
    this.#wanted = true;
    await this.revive();
  }

  /** Starts it again, unless somebody has stopped it since. */
  async revive(): Promise<void> {
    if (!this.#wanted) return;
    await (this.#starting ??= this.#start().finally(() => this.#starting = undefined));
  }

  async #start(): Promise<void> {
    if (this.#child?.running) return;
    const { place, fsync } = this.#options;
    await removeStaleServer(place.data);
    if (!this.#wanted) return;
    const settings: Record<string, string | number> = {
      listen_addresses: LOOPBACK,
      port: this.#port,
      unix_socket_directories: "",
      max_connections: MAX_CONNECTIONS,
      password_encryption: "scram-sha-256",
      log_timezone: "UTC",
      timezone: "UTC",
      // Commits still reach the system, so that they survive a crash of the server, if not of the machine.
      ...(fsync ? {} : { fsync: "off", full_page_writes: "off" }),
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const lines: string[] = [];
    const { promise: ready, resolve: markReady } = Promise.withResolvers<true>();
    const child = this.#spawn([`${place.binaries}/bin/postgres`, "-D", place.data, ...flags], (line) => {
      if (lines.push(line) > LAST_LINES) lines.shift();
      if (line.includes("database system is ready to accept connections")) markReady(true);
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
    // Stopped while it was starting.
    if (!this.#wanted) return;
    throw this.#startFault(lines);
  }

  /** Stops it: fast, so that open transactions are rolled back. Its data stays. */
  async stop(): Promise<void> {
    await this.#end("INT");
  }

  /** Stops it as a crash would: connections are cut, and the next start recovers from the log. */
  async kill(): Promise<void> {
    await this.#end("QUIT");
  }

  /** Stops it for good, and removes a temporary place. */
  async close(): Promise<void> {
    await this.stop();
    await this.#doom?.[Symbol.asyncDispose]();
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

  #spawn(command: [string, ...string[]], onLine: (line: string) => void): GuardedChild {
    const { owner } = this.#options.place;
    return new GuardedChild({
      command,
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", LC_ALL: "C", PGTZ: "UTC" },
      cwd: "/",
      endSignals: ["INT", "QUIT"],
      onLine,
      ...(owner ? { user: owner } : {}),
    });
  }

  /** Runs initdb beside the data folder, which then appears complete or not at all. */
  async #initialize(): Promise<void> {
    const { place, superuserPassword } = this.#options;
    const draft = `${place.data}.new`;
    const passwordFile = `${place.data}.password`;
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    await Deno.writeTextFile(passwordFile, superuserPassword, { mode: 0o600 });
    try {
      if (place.owner) await Deno.chown(passwordFile, place.owner.uid, place.owner.gid);
      const lines: string[] = [];
      const child = this.#spawn([
        `${place.binaries}/bin/initdb`,
        `--pgdata=${draft}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        "--no-sync",
      ], (line) => lines.push(line));
      const status = await child.exited;
      if (status !== 0) {
        const reason = lines.findLast((line) => /error|fatal|could not|cannot/i.test(line)) ?? lines.at(-1);
        throw new StackFault(
          "POSTGRES_FAILED",
          `Postgres could not make its data folder (${reason ?? `initdb ended with status ${status}`}): ` +
            "remedy that, then start again.",
        );
      }
      await Deno.rename(draft, place.data);
    } finally {
      await Deno.remove(passwordFile).catch(() => {});
    }
  }

  #startFault(lines: readonly string[]): StackFault {
    const reason = lines.findLast((line) => line.includes("FATAL:") || line.includes("error:")) ?? lines.at(-1) ??
      "it said nothing";
    const short = reason.replace(/^.*?\bFATAL:\s*/, "");
    if (lines.some((line) => line.includes("could not bind"))) {
      return new StackFault(
        "PORT_TAKEN",
        `Port ${this.#port} is taken by another process: end that one, or choose another port with --db-port <port>.`,
      );
    }
    if (
      /not a valid data directory|incompatible with server|could not open file|invalid (checkpoint|primary)/.test(short)
    ) {
      return new StackFault("DATA_DAMAGED", `Postgres cannot use its data (${short}): start afresh with --reset.`);
    }
    return new StackFault(
      "POSTGRES_FAILED",
      `Postgres did not start (${short}): remedy that, or start afresh with --reset.`,
    );
  }
}
