/**
 * A project with signed-in users.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** A project and its signed-in users. */
export interface Project {
  /** The project's address and keys, as `withSupabase` takes them. */
  readonly env: SupabaseEnv;
  readonly publishableKey: string;
  /** An ES256 access token per user. */
  readonly tokens: readonly string[];
}

/** Creates a project at `url` with `users` users. */
export async function createProject(url: string, users: number): Promise<Project> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const kid = "signing-key";
  const jwks = { keys: [{ ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig" }] };
  const tokens = await Promise.all(
    Array.from(
      { length: users },
      (_, index) =>
        new SignJWT({ role: "authenticated", email: `user-${index}@example.com`, app_metadata: {}, user_metadata: {} })
          .setProtectedHeader({ alg: "ES256", typ: "JWT", kid })
          .setSubject(`11111111-1111-4111-8111-${String(index).padStart(12, "0")}`)
          .setAudience("authenticated")
          .setIssuer(`${url}/auth/v1`)
          .setIssuedAt()
          .setExpirationTime("2h")
          .sign(privateKey),
    ),
  );
  const publishableKey = "sb_publishable_benchmark";
  return {
    env: { url, publishableKeys: { default: publishableKey }, secretKeys: { default: "sb_secret_benchmark" }, jwks },
    publishableKey,
    tokens,
  };
}
