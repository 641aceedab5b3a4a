/**
 * What runs in the process of an uploaded function: takes out of its
 * environment whatever Deno itself has put there, then does what the local
 * stack does.
 *
 * @module
 */
import { TOKEN_VARIABLE } from "../../local/control.ts";
import { ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE } from "../../local/functions/protocol.ts";

const kept = new Set([
  ...(Deno.env.get(VISIBLE_VARIABLE) ?? "").split(","),
  // The stack's own bootstrap takes these out.
  ...[TOKEN_VARIABLE, ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE],
]);
for (const name of Object.keys(Deno.env.toObject())) if (!kept.has(name)) Deno.env.delete(name);

// Not before: it hands over to the function.
await import("../../local/functions/bootstrap.ts");
