/**
 * Reading and checking environment variables. A leaf: it imports no other folder of `shared/`.
 *
 * @module
 */
export { nearestName } from "./nearest_name.ts";
export { type ValueSchema, VariableReader, type Variables } from "./variable_reader.ts";
