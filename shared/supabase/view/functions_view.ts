/**
 * The `functions` of a view.
 *
 * @module
 */
import { lazyProxy } from "./lazy_proxy.ts";
import type { LeaseFetch } from "../calls/lease_fetch.ts";
import type { AnyClient, ClientTemplate } from "../client_template.ts";

/** Creates a client of the project's functions. functions-js is loaded on the first invocation: most requests make none. */
export function lazyFunctions(
  { functionsUrl, headers: common }: ClientTemplate,
  calls: LeaseFetch,
): AnyClient["functions"] {
  const headers: Record<string, string> = { ...common };
  const client = lazyProxy(async () => {
    const { FunctionRegion, FunctionsClient } = await import("@supabase/functions-js");
    return new FunctionsClient(functionsUrl, { headers, customFetch: calls.fetch, region: FunctionRegion.Any });
  }, () => calls.markPending());
  const functions: Pick<AnyClient["functions"], "invoke" | "setAuth"> = {
    invoke: (name, options) => client.invoke(name, options),
    setAuth(token) {
      headers.Authorization = `Bearer ${token}`;
    },
  };
  return Object.assign(functions, { headers }) as unknown as AnyClient["functions"];
}
