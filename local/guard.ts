/**
 * Child processes that never outlive us.
 *
 * Each child runs under a small `sh` that holds the other end of a pipe. When
 * we end, however that happens (`SIGKILL` included), the pipe closes, and the
 * shell ends the child. Both live in a session of their own, so that a
 * terminal's Ctrl-C reaches only us and the children go in an order that we
 * choose.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Signals that {@linkcode GuardedChild.signal} can send. */
export type GuardSignal = "TERM" | "INT" | "QUIT" | "KILL";

/** How to run a child. */
export interface GuardOptions {
  /** The program and its arguments. */
  command: readonly [string, ...string[]];
  /** Its whole environment. */
  env: Readonly<Record<string, string>>;
  /** Its working folder. */
  cwd: string;
  /** The user it runs as. Default: ours. */
  user?: { readonly uid: number; readonly gid: number };
  /** What ends it, gentlest first; `KILL` follows by itself. Default: `["TERM"]`. */
  endSignals?: readonly GuardSignal[];
  /** How long each of these has, in s. Default: 3. */
  graceS?: number;
  /** Gets each line of output. */
  onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/*
 * The arguments: grace in s, signals, then the command. A subshell reads orders (names of signals) until the pipe closes;
 * fd 3 is that pipe, because the stdin of a background job is /dev/null.
 * `wait` returns early when a trap runs, hence the loop around it.
 */
const GUARD = `
grace=$1; signals=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
trap 'kill -s TERM "$child" 2>/dev/null' TERM INT HUP
(
  trap - TERM INT HUP
  while read -r order <&3; do kill -s "$order" "$child" 2>/dev/null; done
  for signal in $signals KILL; do
    kill -s "$signal" "$child" 2>/dev/null
    left=$((grace * 20))
    while [ "$left" -gt 0 ] && kill -0 "$child" 2>/dev/null; do sleep 0.05; left=$((left - 1)); done
  done
) >/dev/null 2>&1 &
reader=$!
exec 3<&-
status=0
while :; do
  wait "$child" 2>/dev/null; status=$?
  kill -0 "$child" 2>/dev/null || break
done
kill -s KILL "$reader" 2>/dev/null
exit "$status"
`;

/**
 * Removes a folder when we end, however that happens, or when the result is
 * disposed of; not before `lockFile` in it has gone (at most 15 s).
 */
export function doomFolder(folder: string, lockFile: string, user?: GuardOptions["user"]): AsyncDisposable {
  const script = `
while read -r _; do :; done
left=300
while [ -e "$1/$2" ] && [ "$left" -gt 0 ]; do sleep 0.05; left=$((left - 1)); done
rm -rf -- "$1"
`;
  const process = spawn("/bin/sh", ["-c", script, "guard", folder, lockFile], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    ...(user ?? {}),
  });
  const gone = new Promise<void>((resolve) => {
    process.once("error", () => resolve());
    process.once("exit", () => resolve());
  });
  process.stdin?.on("error", () => {});
  return {
    async [Symbol.asyncDispose]() {
      process.stdin?.end();
      await gone;
    },
  };
}

const HEARD_MS = 200;

/** Waits for `promise`, and no longer than `ms`. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** A child process under guard. */
export class GuardedChild {
  readonly #process: ChildProcess;
  /** Resolves with the child's exit status (128 + n after signal n) once it has ended. Never rejects. */
  readonly exited: Promise<number>;
  /**
   * Resolves once it has ended and `onLine` was told all that it said. What it
   * started may keep its streams open: they are waited for, for 200 ms.
   */
  readonly heard: Promise<void>;
  #running = true;

  /** Starts the child. A program that cannot be started ends at once, with status 126 or 127. */
  constructor(options: GuardOptions) {
    const { command, env, cwd, user, endSignals = ["TERM"], graceS = 3, onLine } = options;
    this.#process = spawn(
      "/bin/sh",
      ["-c", GUARD, "guard", String(Math.ceil(graceS)), endSignals.join(" "), ...command],
      { detached: true, env: { ...env }, cwd, stdio: ["pipe", "pipe", "pipe"], ...(user ?? {}) },
    );
    this.exited = new Promise((resolve) => {
      const end = (status: number) => {
        this.#running = false;
        resolve(status);
      };
      this.#process.once("error", () => end(127));
      this.#process.once("exit", (code, signal) => end(code ?? (signal === null ? 1 : 128)));
    });
    this.#process.stdin?.on("error", () => {});
    const closed: Promise<void>[] = [];
    for (const name of ["stdout", "stderr"] as const) {
      const stream = this.#process[name];
      if (!stream) continue;
      const lines = createInterface({ input: stream, crlfDelay: Infinity });
      lines.on("line", (line) => onLine?.(line, name));
      lines.on("error", () => {});
      closed.push(new Promise((resolve) => lines.once("close", resolve)));
    }
    this.heard = this.exited.then(() => within(HEARD_MS, Promise.all(closed)));
  }

  /** Whether the child has not ended yet. */
  get running(): boolean {
    return this.#running;
  }

  /** Sends a signal to the child; to one that has ended, nothing. */
  signal(signal: GuardSignal): void {
    if (this.#running) this.#process.stdin?.write(`${signal}\n`);
  }

  /** Ends the child, gently first, and waits until it has ended. */
  async stop(): Promise<number> {
    this.#process.stdin?.end();
    return await this.exited;
  }
}
