/**
 * Runs scripts of this project in a Deno process.
 *
 * @module
 */
import { linkedImportMap } from "../../local/deno_2_1/deno.ts";

const IMPORT_MAP = await linkedImportMap(new URL("../../", import.meta.url));

/**
 * Returns the arguments that `deno run`, `deno info` and their like need to find
 * this project's packages. An older Deno can read neither its configuration nor its lock file.
 */
export function denoArgs(version: string = Deno.version.deno): string[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 2 || minor >= 3) return [];
  return ["--no-config", "--no-lock", "--node-modules-dir=none", "--import-map", IMPORT_MAP];
}

/** A script that runs. Disposing of it ends the process. */
export interface DenoProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves with the exit code. */
  readonly code: Promise<number>;
  /** Returns the next line of output; `undefined` after the last one. */
  line(): Promise<string | undefined>;
}

/** Starts a script of this project. Its stderr is that of this process. */
export function startDeno(script: URL, env: Record<string, string> = {}): DenoProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...denoArgs(), script.pathname],
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const code = child.status.then((status) => status.code);
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let read = "";
  return {
    pid: child.pid,
    code,
    async line() {
      for (;;) {
        const end = read.indexOf("\n");
        if (end >= 0) {
          const line = read.slice(0, end);
          read = read.slice(end + 1);
          return line;
        }
        const { done, value } = await reader.read();
        if (done) return undefined;
        read += value;
      }
    },
    async [Symbol.asyncDispose]() {
      const kill = (signal: Deno.Signal) => {
        try {
          child.kill(signal);
        } catch {
          // It has exited.
        }
      };
      // A process that is killed writes no coverage: a script may listen for this signal.
      kill(Deno.env.has("DENO_COVERAGE_DIR") ? "SIGTERM" : "SIGKILL");
      const timer = setTimeout(() => kill("SIGKILL"), 2_000);
      await code;
      clearTimeout(timer);
      await reader.cancel();
    },
  };
}
