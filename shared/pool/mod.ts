export * from "./config.ts";
export * from "./errors.ts";
export * from "./resource_factory.ts";
