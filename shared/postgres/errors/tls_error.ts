/**
 * TLS that did not come about.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";

/** What `pg` says when the server answers that it speaks no TLS. */
const NOT_OFFERED = "The server does not support SSL connections";

/** OpenSSL's names of what is wrong with a certificate (X509_V_ERR_…), as Node and Deno give them. */
const CERTIFICATE_CODE =
  /^(CERT_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/;

const REMEDIES = {
  TLS_NOT_OFFERED: () =>
    "The server offers no TLS: switch it on there, or, where nobody can listen in on the way, " +
    "off here (ssl: false, DB_SSL=false, or sslmode=disable in the URL)",
  TLS_UNVERIFIED: (reason: string) =>
    `The server did not prove that it is the right one (${reason}): give the certificate of the authority that ` +
    "vouches for it (ssl.ca, DB_SSL_CA), and the host name it was made out to. That of a Supabase project is in its " +
    "dashboard, under Database Settings, SSL Configuration",
};

/** TLS did not come about: `TLS_NOT_OFFERED` or `TLS_UNVERIFIED`. Nothing was sent, no password either. */
export class TlsError extends PoolError {
  constructor(code: keyof typeof REMEDIES, reason: string) {
    super(code, REMEDIES[code](reason));
  }
}

/** The error that a failure to connect means, if it is one of TLS. */
export function tlsErrorOf(code: string | undefined, message: string): TlsError | undefined {
  if (message === NOT_OFFERED) return new TlsError("TLS_NOT_OFFERED", message);
  // rustls, under Deno 2.1, has only words.
  const unverified = code !== undefined && CERTIFICATE_CODE.test(code) || /invalid peer certificate/i.test(message);
  return unverified ? new TlsError("TLS_UNVERIFIED", message) : undefined;
}
