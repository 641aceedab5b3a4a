/**
 * A process that sends bursts in one way.
 *
 *     deno run -A bench/compare/worker.ts <id of the way>
 *
 * Its standard input is lines of JSON: first the target, then the options of
 * each burst. It answers each burst with a line of JSON, and ends with its input.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { stdin } from "node:process";
import { burst } from "./burst.ts";
import { type Ask, type Target, WAYS } from "./ways.ts";

const way = WAYS.find(({ id }) => id === Deno.args[0]);
if (!way) throw new Error(`There is no way ${JSON.stringify(Deno.args[0])}`);

let target: Target | undefined;
let ask: Ask | undefined;
for await (const line of createInterface({ input: stdin })) {
  if (!target || !ask) {
    const given: Target = JSON.parse(line);
    target = given;
    ask = way.open(given);
  } else console.log(JSON.stringify(await burst(ask, target, JSON.parse(line))));
}
Deno.exit(0);
