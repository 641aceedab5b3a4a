/** What a child under guard says, to its last word. */
import { assert, assertEquals } from "@std/assert";
import { GuardedChild } from "../../local/guard.ts";

function child(script: string): { child: GuardedChild; said: string[] } {
  const said: string[] = [];
  const command = ["/bin/sh", "-c", script] as const;
  return { said, child: new GuardedChild({ command, env: {}, cwd: "/", onLine: (line) => said.push(line) }) };
}

Deno.test("a child is heard to its last word, though that comes when it has ended", async () => {
  const { child: talker, said } = child("(sleep 0.05; echo last >&2) & echo first >&2; exit 3");
  await talker.heard;
  assertEquals([await talker.exited, said], [3, ["first", "last"]]);
});

Deno.test("what a child has started and left running is not waited for", async () => {
  const { child: parent, said } = child("sleep 20 & echo $!; exit 3");
  const startMs = performance.now();
  await parent.heard;
  assert(performance.now() - startMs < 10_000);
  Deno.kill(Number(said[0]), "SIGKILL");
});
