/**
 * The `functions` of a view.
 *
 * @module
 */
import { lazyApi } from "./lazy_api.ts";
import type { LeaseFetch } from "../calls/lease_fetch.ts";
import type { AnyClient, ClientTemplate } from "../client_template.ts";

/** A client of the project's functions. functions-js is loaded when one is first invoked: most requests invoke none. */
export function lazyFunctions(
  { functionsUrl, headers: common }: ClientTemplate,
  calls: LeaseFetch,
): AnyClient["functions"] {
  const headers: Record<string, string> = { ...common };
  const client = lazyApi(async () => {
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
