/**
 * A hundred users, their tokens, and credentials that prove no user.
 *
 * @module
 */
import type { Variables } from "../../shared/environment/mod.ts";
import { JWT_SECRET } from "../http/fake_pools.ts";
import { createProjectKey, sharedSecretToken } from "../http/tokens.ts";
import type { SecretWatch } from "../support/secret_watch.ts";

/** The project's URL. Nothing listens there: no request leaves this process. */
export const PROJECT = "http://project.test";
/** Its publishable key. */
export const PUBLISHABLE = "sb_publishable_isolation";
/** Its secret key. */
export const SECRET = "sb_secret_isolation";

/** The identity of a caller: a user, or one of the two identities without a user. */
export type Actor = `user-${number}` | "anonymous" | "admin";

/** A caller with its credentials. */
export interface Caller {
  /** The only identity the request may act as. */
  readonly actor: Actor;
  /** The `Authorization` header, or none. */
  readonly authorization: string | undefined;
  /** `true` if the handler must reject the credentials. */
  readonly refused: boolean;
}

/** All callers of a run, and their project. */
export interface Callers {
  readonly users: readonly Caller[];
  /** Callers whose credentials prove no user. */
  readonly impostors: readonly Caller[];
  /** The token that each user's calls must carry. */
  readonly tokens: ReadonlyMap<Actor, string>;
  /** The environment of the function that they call. */
  readonly variables: Variables;
}

/** Returns the name of user `n`. */
export function userName(n: number): Actor {
  return `user-${n}`;
}

/** Creates `count` users: even ones have a token signed with the project's key, odd ones one signed with the secret. */
export async function createCallers(count: number, watch: SecretWatch): Promise<Callers> {
  const key = await createProjectKey();
  const tokens = new Map<Actor, string>();
  for (let n = 0; n < count; n++) {
    const claims = { sub: userName(n), exp: Math.floor(Date.now() / 1_000) + 3_600 };
    tokens.set(userName(n), n % 2 === 0 ? await key.sign(claims) : await sharedSecretToken(claims));
  }
  const first = tokens.get(userName(0)) ?? "";
  const second = tokens.get(userName(1)) ?? "";
  const part = (token: string, at: number) => token.split(".")[at] ?? "";
  const stranger = await createProjectKey();
  const bad: Record<string, string> = {
    "an expired token": await sharedSecretToken({ sub: userName(2), exp: 1 }),
    "an expired token of the project's key": await key.sign({ sub: userName(2), exp: 1 }),
    "a stranger's signature": await stranger.sign({ sub: userName(0) }),
    "one user's claims under another's signature": [part(first, 0), part(second, 1), part(first, 2)].join("."),
    "no signature": first.slice(0, first.lastIndexOf(".") + 1),
    "a legacy anon key": await sharedSecretToken({ sub: undefined, role: "anon" }),
    "a legacy service_role key": await sharedSecretToken({ sub: undefined, role: "service_role" }),
    "service_role with a sub": await sharedSecretToken({ sub: userName(0), role: "service_role" }),
    "a shortened token": first.slice(0, -8),
    "two tokens": `${first},${second}`,
    "no token at all": "nonsense",
  };
  for (const [actor, token] of tokens) watch.know(`the token of ${actor}`, token);
  for (const [what, token] of Object.entries(bad)) watch.know(what, token);
  watch.know("the secret key", SECRET);
  watch.know("the publishable key", PUBLISHABLE);
  watch.know("the shared secret", JWT_SECRET);
  const actor: Actor = "anonymous";
  return {
    tokens,
    users: [...tokens].map(([actor, token]) => ({ actor, authorization: `Bearer ${token}`, refused: false })),
    impostors: [
      ...Object.values(bad).map((token) => ({ actor, authorization: `Bearer ${token}`, refused: true })),
      // An API key is not a token: a request that sends one as its token is anonymous.
      ...[SECRET, PUBLISHABLE].map((key) => ({ actor, authorization: `Bearer ${key}`, refused: false })),
      ...["Bearer ", "", "Basic dXNlcjpwYXNz"].map((authorization) => ({ actor, authorization, refused: false })),
    ],
    variables: {
      SUPABASE_URL: PROJECT,
      SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE,
      SUPABASE_SECRET_KEY: SECRET,
      SUPABASE_JWKS: JSON.stringify(key.jwks),
      JWT_SECRET,
    },
  };
}
