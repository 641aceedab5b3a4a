/**
 * Passes messages on to the request that they answer.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import {
  decodeCommandTag,
  decodeParameterDescription,
  decodeRowDescription,
  malformed,
  Reply,
  unexpectedMessage,
} from "./messages.ts";
import type { WireRequest } from "./wire_request.ts";

/** The messages without a body. */
const EMPTY: ReadonlySet<number> = new Set([
  Reply.parseComplete,
  Reply.bindComplete,
  Reply.closeComplete,
  Reply.noData,
  Reply.emptyQuery,
]);

/** Passes one response, which is not a row, an error or ReadyForQuery, on to the request that it belongs to. */
export function dispatch(request: WireRequest, type: number, bytes: Buffer, start: number, end: number): void {
  if (EMPTY.has(type) && start !== end) throw malformed(type);
  switch (type) {
    case Reply.parseComplete:
      request.handleParseComplete?.();
      break;
    case Reply.bindComplete:
      request.boundStatements++;
      break;
    case Reply.closeComplete:
      break;
    case Reply.parameterDescription:
      request.handleParameterDescription?.(decodeParameterDescription(bytes, start, end));
      break;
    case Reply.rowDescription:
      request.handleRowDescription(decodeRowDescription(bytes, start, end));
      break;
    case Reply.noData:
      request.handleNoData?.();
      break;
    case Reply.commandComplete:
      request.handleCommandComplete(decodeCommandTag(bytes, start, end));
      break;
    case Reply.emptyQuery:
      request.handleCommandComplete("");
      break;
    default:
      throw unexpectedMessage(type);
  }
}
