/**
 * The version of the servers that tests start.
 *
 * @module
 */
import { requestedVersion } from "../../local/postgres/binaries.ts";

/** The major version: that of `POSTGRES_VERSION`, or 18. Tests leave out what an older server does not have. */
export const SERVER_MAJOR = Number(requestedVersion());
