import { assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { checkClientCertificate } from "../../shared/postgres/connection/connection_factory.ts";
import { CLIENT_CERTIFICATE, CLIENT_KEY } from "./certificates.ts";

Deno.test("checkClientCertificate() throws when the runtime would leave the certificate out", () => {
  const ssl = { cert: CLIENT_CERTIFICATE, key: CLIENT_KEY };
  const leaveOut = [
    "2.1.4",
    "2.4.0",
    "1.45.2",
    "supabase-edge-runtime-1.69.12 (compatible with Deno v2.1.4)",
    "who knows",
  ];
  for (const runtime of leaveOut) {
    const { message } = assertThrows(() => checkClientCertificate({ ssl }, runtime), ConfigError);
    assertStringIncludes(message, "ssl.cert");
    for (const own of [true, false, {}, { ca: CLIENT_CERTIFICATE }]) checkClientCertificate({ ssl: own }, runtime);
  }
  for (const runtime of ["2.5.0", "2.10.0", "3.0.1", "edge 9.9 (compatible with Deno v2.5.0)"]) {
    checkClientCertificate({ ssl }, runtime);
  }
});
