/**
 * Child processes that never outlive this process.
 *
 * Each child runs under a small `sh` that holds the other end of a pipe. When
 * this process ends, also by `SIGKILL`, the pipe closes and the shell ends the
 * child. Both run in a session of their own, so that Ctrl-C in a terminal
 * reaches only this process, which ends its children in its own order.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A signal that {@linkcode SupervisedChild.signal} can send. */
export type ChildSignal = "TERM" | "INT" | "QUIT" | "KILL";

/** Options for {@linkcode SupervisedChild}. */
export interface SupervisedChildOptions {
  /** The program and its arguments. */
  command: readonly [string, ...string[]];
  /** Its whole environment. */
  env: Readonly<Record<string, string>>;
  /** Its working folder. */
  cwd: string;
  /** The user it runs as. Default: the current one. */
  user?: { readonly uid: number; readonly gid: number };
  /** The signals that end it, in order; `KILL` follows them. Default: `["TERM"]`. */
  endSignals?: readonly ChildSignal[];
  /** Time to exit after each signal, in s. Default: 3. */
  graceS?: number;
  /** Called with each line of its output. */
  onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/*
 * Arguments: grace period in s, signals, then the command. A subshell reads names of signals until the pipe closes; fd 3
 * is that pipe, because the stdin of a background job is /dev/null.
 * `wait` returns early when a trap runs, hence the loop around it.
 */
const SUPERVISOR = `
grace=$1; signals=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
trap 'kill -s TERM "$child" 2>/dev/null' TERM INT HUP
(
  trap - TERM INT HUP
  while read -r signal <&3; do kill -s "$signal" "$child" 2>/dev/null; done
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
 * Removes a folder when this process ends, for whatever reason, or when the
 * result is disposed of. Waits until `lockFile` in it has been removed, for at
 * most 15 s.
 */
export function removeOnExit(folder: string, lockFile: string, user?: SupervisedChildOptions["user"]): AsyncDisposable {
  const script = `
while read -r _; do :; done
left=300
while [ -e "$1/$2" ] && [ "$left" -gt 0 ]; do sleep 0.05; left=$((left - 1)); done
rm -rf -- "$1"
`;
  const process = spawn("/bin/sh", ["-c", script, "supervisor", folder, lockFile], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    ...(user ?? {}),
  });
  const removed = new Promise<void>((resolve) => {
    process.once("error", () => resolve());
    process.once("exit", () => resolve());
  });
  process.stdin?.on("error", () => {});
  return {
    async [Symbol.asyncDispose]() {
      process.stdin?.end();
      await removed;
    },
  };
}

/** Maximum wait for output after a child has exited, in ms. */
const OUTPUT_GRACE_MS = 200;

/** Waits for `promise`, for at most `ms`. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** A child process that ends with this one. */
export class SupervisedChild {
  readonly #process: ChildProcess;
  /** Resolves with the exit status (128 + n after signal n) when the child has exited. Never rejects. */
  readonly exited: Promise<number>;
  /**
   * Resolves when the child has exited and `onLine` was called with all of its
   * output. Its own children may keep the streams open: they are waited for, for
   * at most 200 ms.
   */
  readonly outputEnded: Promise<void>;
  #running = true;

  /** Starts the child. A program that cannot be started exits at once, with status 126 or 127. */
  constructor(options: SupervisedChildOptions) {
    const { command, env, cwd, user, endSignals = ["TERM"], graceS = 3, onLine } = options;
    this.#process = spawn(
      "/bin/sh",
      ["-c", SUPERVISOR, "supervisor", String(Math.ceil(graceS)), endSignals.join(" "), ...command],
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
    this.outputEnded = this.exited.then(() => within(OUTPUT_GRACE_MS, Promise.all(closed)));
  }

  /** `true` until the child has exited. */
  get running(): boolean {
    return this.#running;
  }

  /** Sends a signal to the child, if it is running. */
  signal(signal: ChildSignal): void {
    if (this.#running) this.#process.stdin?.write(`${signal}\n`);
  }

  /** Sends the end signals one after another and waits until the child has exited. */
  async stop(): Promise<number> {
    this.#process.stdin?.end();
    return await this.exited;
  }
}
