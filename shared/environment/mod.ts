/**
 * Reading and checking environment variables. A leaf: it imports no other folder of `shared/`.
 *
 * @module
 */
export { nearestName } from "./nearest_name.ts";
export { installRedis, openRedis, type RedisSender, type RedisSourceOptions } from "./redis_source.ts";
export { processVariables, type ValueSchema, VariableReader, type Variables } from "./variable_reader.ts";
