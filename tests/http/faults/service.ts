/**
 * A service that reads.
 *
 * @module
 */
import { PooledBaseService } from "../../../shared/services/mod.ts";

/** Reads with and without `withRetry`. */
export class Service extends PooledBaseService {
  list(ids?: readonly string[]): Promise<unknown> {
    return this.withPooledClient(async (client) => {
      const query = client.from("a").select();
      const { data, error } = await (ids ? query.in("id", ids) : query);
      if (error) this.handleError(error);
      return data;
    });
  }

  retried(ids?: readonly string[]): Promise<unknown> {
    return this.withIdempotentRetry(async (client) => {
      const query = client.from("a").select();
      const { data, error } = await (ids ? query.in("id", ids) : query);
      if (error) this.handleError(error);
      return data;
    });
  }
}
