/**
 * An SSH server of a test's own: the real `sshd`, as an ordinary user, on loopback, with keys that are thrown away.
 *
 * @module
 */
import { freePort, LOOPBACK } from "../../../local/ports.ts";
import { choosePostgresUser, type UnixUser } from "../../../local/postgres/unix_user.ts";
import { removeOnExit, SupervisedChild } from "../../../local/supervised_child.ts";
import type { TunnelConfig } from "../../../shared/data/tunnel/mod.ts";
import { PROGRAM_PATH } from "../../support/components.ts";
import { until } from "../../support/until.ts";

/** The path of the server: it runs itself again for each connection, and needs the whole path for that. */
const SSHD = "/usr/sbin/sshd";

async function run(program: string, args: readonly string[], stdin = ""): Promise<string> {
  const command = new Deno.Command(program, { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Options of a key. */
export interface KeyOptions {
  readonly type?: string;
  readonly passphrase?: string;
  readonly format?: string;
  readonly bits?: string;
}

/** Creates a key with ssh-keygen. */
export async function generateKey(
  path: string,
  { type = "ed25519", passphrase = "", format = "RFC4716", bits = "" }: KeyOptions = {},
): Promise<void> {
  await run("ssh-keygen", [
    "-q",
    "-t",
    type,
    "-N",
    passphrase,
    "-m",
    format,
    "-f",
    path,
    "-C",
    "test",
    ...(bits ? ["-b", bits] : []),
  ]);
}

/** Options of an {@linkcode Sshd}. */
export interface SshdOptions {
  /** Further lines of sshd_config. */
  readonly lines?: readonly string[];
  /** The types of its host keys. Default: Ed25519. */
  readonly hostKeys?: readonly string[];
}

/** See the module. */
export class Sshd implements AsyncDisposable {
  /** The folder of its keys and configuration. */
  readonly folder: string;
  /** The port that it listens on. */
  readonly port: number;
  /** The user that may log in: the one that it runs as. */
  readonly user: string;
  /** The lines of its log. */
  readonly log: string[] = [];

  /** Removes the folder, also if this process is killed. */
  readonly #doom: AsyncDisposable;
  readonly #owner: UnixUser | undefined;
  readonly #hostKeys: readonly string[];
  readonly #lines: readonly string[];
  #child: SupervisedChild | undefined = undefined;
  #pid = 0;

  private constructor(folder: string, user: string, owner: UnixUser | undefined, options: SshdOptions) {
    this.folder = folder;
    this.#doom = removeOnExit(folder, "sshd.lock");
    this.port = freePort();
    this.user = user;
    this.#owner = owner;
    this.#hostKeys = options.hostKeys ?? ["ed25519"];
    this.#lines = options.lines ?? [];
  }

  /** Starts a server, which accepts the key {@linkcode keyPath}. */
  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const owner = await choosePostgresUser();
    const folder = await Deno.makeTempDir({ prefix: "sshd-" });
    const user = (await run("id", owner ? ["-un", String(owner.uid)] : ["-un"])).trim();
    const sshd = new Sshd(folder, user, owner, options);
    try {
      await sshd.#prepare();
      await sshd.restart();
      return sshd;
    } catch (error) {
      await sshd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The path of the private key of its user. */
  get keyPath(): string {
    return `${this.folder}/client/id_ed25519`;
  }

  /** The path of a known_hosts file with its host keys. */
  get knownHosts(): string {
    return `${this.folder}/client/known_hosts`;
  }

  /** Returns options to reach a port of loopback through it. */
  config(remotePort: number, options: Partial<TunnelConfig> = {}): TunnelConfig {
    return {
      sshHost: LOOPBACK,
      sshPort: this.port,
      sshUsername: this.user,
      sshKeyPath: this.keyPath,
      sshKnownHostsPath: this.knownHosts,
      remoteHost: LOOPBACK,
      remotePort,
      healthCheckInterval: 0,
      ...options,
    };
  }

  /** Creates another key of its user. */
  async addKey(name: string, options: KeyOptions = {}): Promise<string> {
    const path = `${this.folder}/client/${name}`;
    await generateKey(path, options);
    await this.authorize(await Deno.readTextFile(`${path}.pub`));
    return path;
  }

  /** Adds a public key to those that it accepts. */
  async authorize(publicKey: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/authorized_keys`, publicKey, { append: true });
  }

  /** Replaces its host keys, for the next start. */
  async replaceHostKeys(): Promise<void> {
    for (const type of this.#hostKeys) {
      const path = `${this.folder}/host_${type}`;
      await Deno.remove(path).catch(() => {});
      await Deno.remove(`${path}.pub`).catch(() => {});
      await generateKey(path, { type });
      await this.#own(path);
    }
  }

  /** Returns the public host keys. */
  async hostKeys(): Promise<string[]> {
    const keys = this.#hostKeys.map((type) => Deno.readTextFile(`${this.folder}/host_${type}.pub`));
    return (await Promise.all(keys)).map((key) => key.trim());
  }

  /** Starts it, on the same port. */
  async restart(): Promise<void> {
    await this.kill();
    const from = this.log.length;
    await Deno.remove(`${this.folder}/sshd.pid`).catch(() => {});
    this.#child = new SupervisedChild({
      command: this.#asOwner(SSHD, "-D", "-e", "-f", `${this.folder}/sshd_config`),
      env: { PATH: PROGRAM_PATH, LC_ALL: "C" },
      cwd: "/",
      onLine: (line) => this.log.push(line),
    });
    const isUp = () => this.log.slice(from).some((line) => line.startsWith("Server listening on"));
    await until("sshd listens", () => isUp() || this.#child?.running === false);
    if (!isUp()) throw new Error(`sshd did not start: ${this.log.slice(from).join("\n")}`);
    await until("sshd writes its pid", async () => {
      this.#pid = Number(await Deno.readTextFile(`${this.folder}/sshd.pid`).catch(() => ""));
      return this.#pid !== 0;
    });
  }

  /** Returns the processes of its sessions. */
  async sessions(): Promise<number[]> {
    if (this.#pid === 0) return [];
    const pids: number[] = [];
    const pending = [this.#pid];
    for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
      const text = await Deno.readTextFile(`/proc/${parent}/task/${parent}/children`).catch(() => "");
      const children = text.split(" ").filter((pid) => pid !== "").map(Number);
      pids.push(...children);
      pending.push(...children);
    }
    return pids;
  }

  /** Sends a signal to its sessions. */
  async signalSessions(signal: Deno.Signal): Promise<void> {
    for (const pid of await this.sessions()) this.#signal(pid, signal);
  }

  /** Stops it and its sessions, as a machine that hangs: the system accepts connections, and nothing responds. */
  async stop(): Promise<void> {
    for (const pid of [this.#pid, ...await this.sessions()]) this.#signal(pid, "SIGSTOP");
  }

  /** Continues after {@linkcode stop}. */
  async continue(): Promise<void> {
    for (const pid of [this.#pid, ...await this.sessions()]) this.#signal(pid, "SIGCONT");
  }

  /** Ends it and its sessions as a crash would. */
  async kill(): Promise<void> {
    const pids = this.#pid === 0 ? [] : [this.#pid, ...await this.sessions()];
    for (const pid of pids) this.#signal(pid, "SIGKILL");
    this.#pid = 0;
    await this.#child?.stop();
    this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#doom[Symbol.asyncDispose]();
  }

  /** Returns the command as the user that it runs as: `spawn` of Deno 2.1 cannot change it. */
  #asOwner(program: string, ...args: string[]): [string, ...string[]] {
    if (!this.#owner) return [program, ...args];
    const { uid, gid } = this.#owner;
    return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", program, ...args];
  }

  #signal(pid: number, signal: Deno.Signal): void {
    try {
      Deno.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }

  async #own(path: string): Promise<void> {
    if (this.#owner) await Deno.chown(path, this.#owner.uid, this.#owner.gid);
  }

  async #prepare(): Promise<void> {
    const { folder } = this;
    await Deno.mkdir(`${folder}/client`);
    await generateKey(this.keyPath);
    await this.replaceHostKeys();
    await this.authorize(await Deno.readTextFile(`${this.keyPath}.pub`));
    const names = (await this.hostKeys()).map((key) => `[${LOOPBACK}]:${this.port} ${key}`);
    await Deno.writeTextFile(this.knownHosts, `${names.join("\n")}\n`);
    await Deno.writeTextFile(
      `${folder}/sshd_config`,
      [
        ...this.#lines,
        `ListenAddress ${LOOPBACK}`,
        `Port ${this.port}`,
        ...this.#hostKeys.map((type) => `HostKey ${folder}/host_${type}`),
        `AuthorizedKeysFile ${folder}/authorized_keys`,
        `PidFile ${folder}/sshd.pid`,
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        // An account without a password counts as locked, unless PAM decides.
        "UsePAM yes",
        "StrictModes no",
        "PermitRootLogin yes",
        "",
      ].join("\n"),
    );
    for (const name of ["", "/authorized_keys", "/sshd_config"]) await this.#own(`${folder}${name}`);
    await Deno.chmod(folder, 0o755);
  }
}
