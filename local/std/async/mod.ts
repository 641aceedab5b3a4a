/**
 * The functions of `jsr:@std/async` that this project uses, with the behavior
 * of the real ones, for machines that reach the npm registry only. `links` of
 * `deno.json` puts this package in the place of the real one; a deployment
 * loads the real one, as `import_map.json` names it.
 *
 * @module
 */
export * from "./abortable.ts";
export * from "./delay.ts";
