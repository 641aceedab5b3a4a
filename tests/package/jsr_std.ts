/**
 * A JSR registry on loopback with the packages of `@std` that the library imports.
 *
 * @module
 */
import { JsrRegistry } from "../../local/package/jsr_registry.ts";
import { ROOT } from "./support.ts";

/** Starts a registry that serves the stand-ins of `local/std`. */
export async function serveStd(): Promise<JsrRegistry> {
  const registry = new JsrRegistry();
  const { links } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const link of links) await registry.add(new URL(`${link}/`, ROOT));
  return registry;
}
