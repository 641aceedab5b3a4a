/**
 * Runs scripts of the tests that read JSON from stdin and write JSON to stdout.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "../../local/paths.ts";

const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** Options for {@linkcode runJsonScript}. */
export interface JsonScriptOptions {
  /** The value that the script reads. */
  readonly input: unknown;
  /** Variables to set. */
  readonly env: Readonly<Record<string, string>>;
  /** The working folder. Default: the current one. */
  readonly cwd?: string;
}

/** Runs a script in a process of its own, and returns what it writes. Fails with its stderr if it fails. */
export async function runJsonScript<T>(script: URL, { input, env, cwd }: JsonScriptOptions): Promise<T> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--config=${CONFIG}`, fromFileUrl(script)],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(input)));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
