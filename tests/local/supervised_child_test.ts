import { assert, assertEquals } from "@std/assert";
import { SupervisedChild } from "../../local/supervised_child.ts";

function child(script: string): { child: SupervisedChild; lines: string[] } {
  const lines: string[] = [];
  const command = ["/bin/sh", "-c", script] as const;
  return { lines, child: new SupervisedChild({ command, env: {}, cwd: "/", onLine: (line) => lines.push(line) }) };
}

Deno.test("SupervisedChild.outputEnded waits for output that arrives after the exit", async () => {
  const { child: writer, lines } = child("(sleep 0.05; echo last >&2) & echo first >&2; exit 3");
  await writer.outputEnded;
  assertEquals([await writer.exited, lines], [3, ["first", "last"]]);
});

Deno.test("SupervisedChild.outputEnded does not wait for a process that the child left running", async () => {
  const { child: parent, lines } = child("sleep 20 & echo $!; exit 3");
  const startMs = performance.now();
  await parent.outputEnded;
  assert(performance.now() - startMs < 10_000);
  Deno.kill(Number(lines[0]), "SIGKILL");
});
