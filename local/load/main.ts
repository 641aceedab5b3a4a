/**
 * `deno task load`: sends load to a function.
 *
 * Exits with 0 if a response was successful, 1 if none was or after an error, 2 for an invalid command line, 130 after
 * Ctrl-C.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { watchLaunchers } from "../cli/ancestors.ts";
import { exemptLoopback } from "../gateway/proxy.ts";
import { printable } from "../printable.ts";
import { StackError } from "../stack_error.ts";
import { HELP, parseLoadArguments } from "./arguments.ts";
import { LoadResult, runLoad } from "./run.ts";
import { progressOf, summaryOf } from "./summary.ts";
import { openTarget, projectOf } from "./target.ts";

const PROGRESS_MS = 200;
/** A signal within this time of the first one is the same Ctrl-C, in ms: launchers pass on what the terminal sent already. */
const REPEAT_MS = 500;

/** Shows progress on a terminal, and nothing elsewhere. Disposing it clears the line. */
function showProgress(line: (width: number) => string): Disposable {
  if (!Deno.stderr.isTerminal()) return { [Symbol.dispose]() {} };
  const write = (text: string) => {
    try {
      Deno.stderr.writeSync(new TextEncoder().encode(text));
    } catch {
      // The terminal was closed: the load still ends as it should.
    }
  };
  const timer = setInterval(() => write(`\r\x1b[2K${line(Deno.consoleSize().columns || 80)}`), PROGRESS_MS);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      write("\r\x1b[2K");
    },
  };
}

async function main(interruption: AbortSignal): Promise<number> {
  const token = Deno.env.get("LOAD_TOKEN") || undefined;
  const args = parseLoadArguments(Deno.args, token !== undefined);
  if (args.help) {
    console.log(HELP);
    return 0;
  }
  exemptLoopback();
  const warn = (line: string) => console.error(`Warning: ${printable(line)}`);
  const project = await projectOf(args, Deno.env.get("SUPABASE_PUBLISHABLE_KEY"), warn);
  const result = new LoadResult();
  {
    await using target = await openTarget(project, args, token, warn);
    console.log(`${args.method} ${target.url}`);
    using _progress = showProgress((width) => progressOf(args, result, width));
    await runLoad(args, target.send, interruption, result);
  }
  console.log(summaryOf(args, result, interruption.aborted).join("\n"));
  if (interruption.aborted) return 130;
  return result.successes.count > 0 ? 0 : 1;
}

const interruption = new AbortController();
let interruptedAtMs = Infinity;
const interrupt = () => {
  // A second Ctrl-C does not wait for the user to be deleted.
  if (performance.now() - interruptedAtMs > REPEAT_MS) Deno.exit(130);
  interruptedAtMs = Math.min(interruptedAtMs, performance.now());
  interruption.abort();
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, interrupt);
// Ctrl-C ends the launchers as well: that is no second one.
using _watch = await watchLaunchers(() => interruption.abort());

try {
  Deno.exit(await main(interruption.signal));
} catch (error) {
  console.error(`Error: ${printable(messageOf(error))}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
