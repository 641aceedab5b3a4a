/**
 * Decodes a server's requests to authenticate (PostgreSQL, "Message Formats").
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { ConnectionError } from "../errors/connection_error.ts";
import { Fields, Reply } from "./messages.ts";

/** A request to authenticate, under the name of the event of `pg` that serves it. */
export type AuthenticationRequest =
  | { readonly name: "authenticationOk" }
  | { readonly name: "authenticationCleartextPassword" }
  | { readonly name: "authenticationMD5Password"; readonly salt: Buffer }
  | { readonly name: "authenticationSASL"; readonly mechanisms: readonly string[] }
  | { readonly name: "authenticationSASLContinue" | "authenticationSASLFinal"; readonly data: string };

/** Methods that are not supported, by code. */
const UNSUPPORTED_METHODS: Readonly<Record<number, string>> = {
  2: "Kerberos V5",
  4: "crypt",
  6: "SCM credentials",
  7: "GSSAPI",
  8: "GSSAPI",
  9: "SSPI",
};

/** The SASL mechanism that `pg` supports. */
const SCRAM = "SCRAM-SHA-256";

/**
 * Decodes a request to authenticate.
 *
 * @throws {ConnectionError} for a method that is not supported (`AUTHENTICATION_UNSUPPORTED`).
 */
export function decodeAuthentication(bytes: Buffer, start: number, end: number): AuthenticationRequest {
  const fields = new Fields(Reply.authentication, bytes, start, end);
  const request = authenticationOf(fields.int32(), fields);
  fields.close();
  return request;
}

function authenticationOf(code: number, fields: Fields): AuthenticationRequest {
  switch (code) {
    case 0:
      return { name: "authenticationOk" };
    case 3:
      return { name: "authenticationCleartextPassword" };
    case 5:
      return { name: "authenticationMD5Password", salt: fields.copy(4) };
    case 10: {
      const mechanisms: string[] = [];
      for (let name = fields.cstring(); name !== ""; name = fields.cstring()) mechanisms.push(name);
      if (!mechanisms.includes(SCRAM)) throw unsupportedMethod(`SASL (${mechanisms.join(", ")})`);
      return { name: "authenticationSASL", mechanisms };
    }
    case 11:
      return { name: "authenticationSASLContinue", data: fields.text(fields.left) };
    case 12:
      return { name: "authenticationSASLFinal", data: fields.text(fields.left) };
    default:
      throw unsupportedMethod(UNSUPPORTED_METHODS[code] ?? `method ${code}`);
  }
}

function unsupportedMethod(method: string): ConnectionError {
  return new ConnectionError(
    "AUTHENTICATION_UNSUPPORTED",
    `The server wants authentication by ${method}, which is not supported: allow a password (scram-sha-256) in its ` +
      "pg_hba.conf for this role and address",
  );
}
