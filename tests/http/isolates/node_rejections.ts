/**
 * Contains rejections as on Node, where the global object has no events, and prints what happens to each. Its argument
 * says whether the program has a listener of its own.
 */
import { containRejections } from "../../../shared/http/request/unhandled_rejections.ts";
import { currentRequest, type RequestToken } from "../../../shared/http/request/current_request.ts";
import { LeaseReleasedError } from "../../../shared/pool/mod.ts";

type Listener = (reason: unknown) => void;

const listeners: Listener[] = [];
if (Deno.args[0] === "own") listeners.push(() => {});

// The prototypes have the methods of events: a global object without them is created for the module.
for (let scope = globalThis as object | null; scope !== null; scope = Object.getPrototypeOf(scope)) {
  Reflect.deleteProperty(scope, "addEventListener");
}
Reflect.defineProperty(globalThis, "process", {
  value: {
    on: (event: string, listener: Listener) => void (event === "unhandledRejection" && listeners.push(listener)),
    listenerCount: () => listeners.length,
  },
});

const note = (reason: unknown) => console.log(`contained ${(reason as Error).message}`);
containRejections(note);
containRejections(note);
console.log(`${listeners.length} listeners, events: ${"addEventListener" in globalThis}`);

/** Rejects as the runtime does: each listener is called. */
function reject(reason: Error): void {
  try {
    for (const listener of listeners) listener(reason);
  } catch (thrown) {
    console.log(`thrown ${(thrown as Error).message}`);
  }
}

const token: RequestToken = { onUnhandled: note } as RequestToken;
currentRequest.run(token, () => reject(new Error("of a request")));
reject(new LeaseReleasedError("a late call"));
reject(new Error("of no request"));
