/**
 * An extension of a Prisma client that reports its operations to a collector.
 *
 * @module
 */
import { observe } from "../../resilience/mod.ts";
import { type MetricsCollector, metricsCollector } from "./collector.ts";

/** An extension of Prisma: the argument of `$extends` of a client. */
export interface PrismaMetricsExtension {
  readonly name: string;
  readonly query: {
    /** Runs an operation, and reports it. */
    $allOperations<A, R>(operation: { readonly args: A; query(args: A): Promise<R> }): Promise<R>;
  };
}

/**
 * Returns an extension for a Prisma client that reports each operation to a collector: model operations and raw queries,
 * also those of transactions. `BEGIN`, `COMMIT` and methods that other extensions add are not operations.
 *
 * Only the duration and the outcome are reported, and never arguments, SQL or results. Results and errors are passed on
 * unchanged. Operations stay lazy: an operation is reported once it runs. What the collector throws is ignored.
 *
 * @param collector Default: that of the isolate.
 * @example
 * ```ts
 * const extension = prismaMetrics();
 * // const prisma = new PrismaClient({ adapter }).$extends(extension);
 * extension.name;
 * ```
 */
export function prismaMetrics(
  collector: Pick<MetricsCollector, "trackPrismaQuery"> = metricsCollector,
): PrismaMetricsExtension {
  return {
    name: "metrics",
    query: {
      async $allOperations({ args, query }) {
        const since = performance.now();
        let failed = true;
        try {
          const result = await query(args);
          failed = false;
          return result;
        } finally {
          const durationMs = performance.now() - since;
          observe(() => collector.trackPrismaQuery(durationMs, failed), () => {});
        }
      },
    },
  };
}
