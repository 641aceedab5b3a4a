/**
 * Transfers between two categories of a user's budget, on direct Postgres:
 *
 *     POST /transfers       { from_category_id, to_category_id, amount }, with an Idempotency-Key
 *     GET  /transfers/:id
 *
 * @module
 */
import * as z from "zod";
import { uuidField } from "../../shared/http/fields.ts";
import { createRoutes, onlyMethods, serveRoutes } from "../../shared/http/hono.ts";
import {
  type PooledPostgresContext,
  type PooledPostgresOptions,
  withPooledPostgres,
} from "../../shared/http/postgres.ts";
import { createdResponse, jsonNoStore, readJson, readParam, ValidationError } from "../../shared/mod.ts";
import type { Database } from "../_app/database.ts";
import { TransferService } from "../_app/transfer_service.ts";

const amountError = `must be a whole number of minor units (cents, say) from 1 to ${Number.MAX_SAFE_INTEGER}`;

const orderBody = z.strictObject({
  from_category_id: uuidField,
  to_category_id: uuidField,
  amount: z.int({ error: amountError }).min(1, { error: amountError }),
}).refine(({ from_category_id, to_category_id }) => from_category_id !== to_category_id, {
  path: ["to_category_id"],
  error: "must differ from from_category_id",
});

/** Matches 1 to 64 printable ASCII characters, quoted as in the draft (RFC 9651, "Strings") or bare, as many send it. */
const KEY = /^(?:"([!#-[\]-~]{1,64})"|([!#-[\]-~]{1,64}))$/;

/**
 * Returns the idempotency key of a request: requests with one key take effect once
 * (draft-ietf-httpapi-idempotency-key-header).
 *
 * @throws {ValidationError} if the header is missing or invalid.
 */
function readIdempotencyKey(request: Request): string {
  const [, quoted, bare] = KEY.exec(request.headers.get("Idempotency-Key")?.trim() ?? "") ?? [];
  const key = quoted ?? bare;
  if (key !== undefined) return key;
  const message = "must be 1 to 64 printable ASCII characters without spaces and quotes, such as a UUID";
  throw new ValidationError("header Idempotency-Key", [{ path: "Idempotency-Key", message }]);
}

const routes = createRoutes<Database, PooledPostgresContext<Database>>("transfers");

routes.post("/", async (c) => {
  const { from_category_id: fromCategoryId, to_category_id: toCategoryId, amount } = await readJson(
    c.req.raw,
    orderBody,
  );
  const idempotencyKey = readIdempotencyKey(c.req.raw);
  const order = { fromCategoryId, toCategoryId, amount, idempotencyKey };
  const transfers = new TransferService(c.var.supabaseContext.postgres);
  const { transfer, replayed } = await transfers.transfer(order);
  const response = createdResponse(c.req.raw, transfer);
  if (replayed) {
    response.headers.set("Idempotent-Replayed", "true");
    response.headers.append("Access-Control-Expose-Headers", "Idempotent-Replayed");
  }
  return response;
});

routes.all("/", onlyMethods("POST"));

routes.get("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const transfers = new TransferService(c.var.supabaseContext.postgres);
  return jsonNoStore(await transfers.getTransfer(id));
});

routes.all("/:id", onlyMethods("GET"));

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate.
 */
export function createTransfersHandler(
  options: Omit<PooledPostgresOptions<Database>, "auth"> = {},
): (request: Request) => Promise<Response> {
  return withPooledPostgres<Database>({ priority: "highPriority", ...options, auth: "user" }, serveRoutes(routes));
}
