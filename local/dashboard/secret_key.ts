/**
 * The secret key of a hosted project: from the environment, or typed without echo.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";

/** The variable with the key. */
export const KEY_VARIABLE = "SUPABASE_SECRET_KEY";

/** Maximum length of a typed key, in bytes: a legacy key has some hundred. */
const MAX_BYTES = 4_096;

/** The terminal that a key is typed at. */
export interface Terminal {
  /** True if it is a terminal. */
  readonly isTerminal: boolean;
  /** Prints a prompt. */
  write(text: string): void;
  /** Turns the echo of typed characters off, and on again. */
  setRaw(raw: boolean): void;
  /** Reads what was typed since; `undefined` at the end of the input. */
  read(): Promise<Uint8Array | undefined>;
}

/** The terminal of this process. */
export const ownTerminal: Terminal = {
  get isTerminal() {
    return Deno.stdin.isTerminal();
  },
  write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
  setRaw: (raw) => Deno.stdin.setRaw(raw),
  async read() {
    const bytes = new Uint8Array(1024);
    const length = await Deno.stdin.read(bytes);
    return length === null ? undefined : bytes.subarray(0, length);
  },
};

/** Sequences that terminals send for arrow keys, and around text that is pasted. */
// deno-lint-ignore no-control-regex
const SEQUENCES = /\x1b\[[\d;?]*[@-~]/g;

/** Reads a line without echo. */
async function readHidden(terminal: Terminal, signal: AbortSignal | undefined): Promise<string> {
  const typed: number[] = [];
  const interrupted = () => new StackError("STOPPED", "Interrupted before the key was entered.");
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(interrupted());
  const read = () => Promise.race([terminal.read(), aborted.promise]);
  const line = () => new TextDecoder().decode(new Uint8Array(typed)).replaceAll(SEQUENCES, "").replaceAll("\x1b", "");
  terminal.write("Secret key of the project (not shown): ");
  terminal.setRaw(true);
  try {
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    for (let bytes = await read(); bytes !== undefined; bytes = await read()) {
      for (const byte of bytes) {
        if (byte === 3) throw interrupted();
        if (byte === 4 || byte === 10 || byte === 13) return line();
        if (byte === 8 || byte === 127) typed.pop();
        else if ((byte >= 32 || byte === 27) && typed.length < MAX_BYTES) typed.push(byte);
      }
    }
    return line();
  } finally {
    signal?.removeEventListener("abort", abort);
    terminal.setRaw(false);
    terminal.write("\n");
  }
}

/** Checks a key before it is sent anywhere. The error does not contain it. */
function checkKey(key: string, source: string): string {
  const fault = (reason: string) =>
    new StackError(
      "USAGE",
      `${source} is not the secret key of a project: ${reason}. Copy it again (dashboard, API Keys).`,
    );
  if (key === "") throw fault("it is empty");
  if (!/^[\x21-\x7e]+$/.test(key)) throw fault("it contains white space or other characters that keys do not have");
  if (key.startsWith("sb_publishable_")) throw fault("it is a publishable key, which shows no fleet");
  if (key.startsWith("sbp_")) throw fault("it is an access token of the CLI");
  return key;
}

/**
 * Returns the secret key of a hosted project.
 *
 * @param variable The value of `SUPABASE_SECRET_KEY`.
 * @param signal Ends the prompt, and turns the echo of the terminal on again.
 * @throws {StackError} `USAGE` if there is none, or if it cannot be one; `STOPPED` after Ctrl-C or once `signal` is aborted.
 */
export async function secretKeyOf(
  variable: string | undefined,
  terminal: Terminal = ownTerminal,
  signal?: AbortSignal,
): Promise<string> {
  if (variable !== undefined && variable !== "") return checkKey(variable.trim(), KEY_VARIABLE);
  if (!terminal.isTerminal) {
    throw new StackError(
      "USAGE",
      `${KEY_VARIABLE} is not set: set it to the secret key of the project, or run in a terminal.`,
    );
  }
  return checkKey((await readHidden(terminal, signal)).trim(), "The entered text");
}
