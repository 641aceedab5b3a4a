/**
 * The bootstrap of an uploaded function's process: removes the variables that Deno itself sets, then runs the bootstrap
 * of the local stack.
 *
 * @module
 */
import { TOKEN_VARIABLE } from "../../local/control.ts";
import { ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE } from "../../local/functions/protocol.ts";

const kept = new Set([
  ...(Deno.env.get(VISIBLE_VARIABLE) ?? "").split(","),
  // The bootstrap of the stack removes these.
  ...[TOKEN_VARIABLE, ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE],
]);
for (const name of Object.keys(Deno.env.toObject())) if (!kept.has(name)) Deno.env.delete(name);

// Last, since it starts the function.
await import("../../local/functions/bootstrap.ts");
