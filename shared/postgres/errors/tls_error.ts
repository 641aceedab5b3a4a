/**
 * Failures of TLS.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/** The message of `pg` when the server has TLS switched off. */
const NOT_OFFERED = "The server does not support SSL connections";

/** OpenSSL's names of certificate failures (X509_V_ERR_...), as Node and Deno report them. */
const CERTIFICATE_CODE =
  /^(CERT_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/;

/** TLS could not be established. Nothing was sent, not even a password. */
export abstract class TlsError extends PoolError {}

/**
 * The server does not offer TLS.
 *
 * @cause TLS is switched off at the server.
 * @fix Switch it on there, or, on a network that is safe from eavesdropping, off here: `ssl: false` (`DB_SSL=false`).
 * @sample new TlsNotOfferedError()
 */
export class TlsNotOfferedError extends TlsError {
  /** The code in logs and responses. */
  static override readonly code = "TLS_NOT_OFFERED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super(
      "The server offers no TLS: switch it on there, or, on a network that is safe from eavesdropping, off here " +
        "(ssl: false, DB_SSL=false, or sslmode=disable in the URL)",
    );
  }
}

/**
 * The server's certificate could not be verified.
 *
 * @cause The certificate is not signed by a known authority, has expired, or is for another host name.
 * @fix Pass the authority's certificate (`ssl.ca`, `DB_SSL_CA`) and connect with the host name the certificate is for.
 * @sample new TlsUnverifiedError("self signed certificate in certificate chain")
 */
export class TlsUnverifiedError extends TlsError {
  /** The code in logs and responses. */
  static override readonly code = "TLS_UNVERIFIED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param reason The reason that TLS reported.
   */
  constructor(reason: string) {
    super(
      `Cannot verify the server's certificate (${reason}): pass the certificate of its authority (ssl.ca, DB_SSL_CA), ` +
        "and connect with the host name it is for. A Supabase project's certificate is in its dashboard, under " +
        "Database Settings, SSL Configuration",
    );
  }
}

/** Returns the TLS error that a failure to connect means, or `undefined` if it is another failure. */
export function tlsErrorOf(code: string | undefined, message: string): TlsError | undefined {
  if (message === NOT_OFFERED) return new TlsNotOfferedError();
  // rustls, under Deno 2.1, has only words.
  const unverified = code !== undefined && CERTIFICATE_CODE.test(code) || /invalid peer certificate/i.test(message);
  return unverified ? new TlsUnverifiedError(message) : undefined;
}
