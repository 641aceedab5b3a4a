/**
 * `promtool` of Prometheus.
 *
 * @module
 */
import { type Component, component, PROGRAM_PATH } from "./components.ts";

/** The availability of `promtool`. */
export const promtool: Component = component("promtool");

/** The result of a check. */
export interface Checked {
  /** 0: valid. 1: not in the text format. 3: valid, with advice on names. */
  readonly code: number;
  readonly output: string;
}

/** Runs `promtool check metrics` on a text. */
export async function checkMetrics(text: string): Promise<Checked> {
  const command = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    env: { PATH: PROGRAM_PATH },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}
