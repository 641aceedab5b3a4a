/**
 * A PgBouncer of a test's own. In transaction mode each transaction may be
 * given another one of the server's connections, in session mode each client keeps its own.
 *
 * @module
 */
import { removeOnExit, SupervisedChild } from "../../../local/supervised_child.ts";
import { choosePostgresUser, type UnixUser } from "../../../local/postgres/unix_user.ts";
import { freePort, LOOPBACK } from "../../../local/ports.ts";
import type { PostgresConfig } from "../../../shared/postgres/mod.ts";
import { PROGRAM_PATH } from "../../support/components.ts";
import type { Login, TestDatabase } from "../support.ts";

/** The number of server connections that the clients of a user share. */
export const POOL_SIZE = 2;

const LOGINS: readonly Login[] = ["superuser", "authenticator"];

const START_TIMEOUT_MS = 60_000;

/** For how long a client has a connection of the server's. */
export type PoolerMode = "session" | "transaction";

/** See the module. */
export class PgBouncer implements AsyncDisposable {
  readonly #database: TestDatabase;
  readonly #folder: string;
  readonly #owner: UnixUser | undefined;
  readonly #doom: AsyncDisposable;
  readonly #mode: PoolerMode;
  #child: SupervisedChild | undefined;
  #port = 0;

  private constructor(database: TestDatabase, mode: PoolerMode, folder: string, owner: UnixUser | undefined) {
    this.#database = database;
    this.#mode = mode;
    this.#folder = folder;
    this.#owner = owner;
    this.#doom = removeOnExit(folder, "pgbouncer.pid", owner);
  }

  /** Starts one in front of a server, as an ordinary user, on a port that is free. */
  static async start(database: TestDatabase, mode: PoolerMode = "transaction"): Promise<PgBouncer> {
    // It does not run as root either.
    const owner = await choosePostgresUser();
    const folder = await Deno.makeTempDir({ prefix: "pgbouncer-" });
    if (owner) await Deno.chown(folder, owner.uid, owner.gid);
    const bouncer = new PgBouncer(database, mode, folder, owner);
    try {
      for (let attempt = 1; !await bouncer.#try(); attempt++) {
        if (attempt === 5) throw new Error("pgbouncer found no port that is free");
      }
      return bouncer;
    } catch (error) {
      await bouncer[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Returns options to log in through it. */
  options(login: Login = "superuser"): Partial<PostgresConfig> {
    return { ...this.#database.options(login), port: this.#port };
  }

  /** Ends it as a crash would: its clients are cut. */
  async kill(): Promise<void> {
    this.#child?.signal("KILL");
    await this.#child?.exited;
  }

  /** Starts it again, on the same port. */
  async restart(): Promise<void> {
    await Deno.remove(`${this.#folder}/pgbouncer.pid`).catch(() => {});
    if (!await this.#run()) throw new Error("pgbouncer did not start again: its port was taken");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.stop();
    await Deno.remove(`${this.#folder}/pgbouncer.pid`).catch(() => {});
    await this.#doom[Symbol.asyncDispose]();
  }

  async #try(): Promise<boolean> {
    this.#port = freePort();
    const { host, port } = this.#database.options();
    const users = LOGINS.map((login) => {
      const { user, password } = this.#database.options(login);
      return `"${user}" "${password}"\n`;
    });
    await this.#write("users.txt", users.join(""));
    await this.#write(
      "pgbouncer.ini",
      `[databases]
* = host=${host} port=${port}
[pgbouncer]
listen_addr = ${LOOPBACK}
listen_port = ${this.#port}
unix_socket_dir =
pidfile = ${this.#folder}/pgbouncer.pid
auth_type = scram-sha-256
auth_file = ${this.#folder}/users.txt
pool_mode = ${this.#mode}
default_pool_size = ${POOL_SIZE}
max_client_conn = 100
server_login_retry = 1
`,
    );
    return await this.#run();
  }

  /** @returns Whether it runs; not if its port was taken. */
  async #run(): Promise<boolean> {
    const lines: string[] = [];
    const up = Promise.withResolvers<"up" | "late">();
    const child = new SupervisedChild({
      command: ["pgbouncer", `${this.#folder}/pgbouncer.ini`],
      env: { PATH: PROGRAM_PATH, LC_ALL: "C" },
      cwd: "/",
      endSignals: ["INT", "TERM"],
      ...(this.#owner ? { user: this.#owner } : {}),
      onLine: (line) => {
        lines.push(line);
        if (line.includes("process up")) up.resolve("up");
      },
    });
    this.#child = child;
    const timer = setTimeout(() => up.resolve("late"), START_TIMEOUT_MS);
    const outcome = await Promise.race([up.promise, child.exited]);
    clearTimeout(timer);
    if (outcome === "up") return true;
    await child.stop();
    if (lines.some((line) => /in use/i.test(line))) return false;
    throw new Error(`pgbouncer did not start: ${lines.join("\n")}`);
  }

  async #write(name: string, text: string): Promise<void> {
    const path = `${this.#folder}/${name}`;
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    if (this.#owner) await Deno.chown(path, this.#owner.uid, this.#owner.gid);
  }
}
