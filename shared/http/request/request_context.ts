/**
 * The object a handler gets beside its request.
 *
 * @module
 */
import type { AuthMode, AuthResult, JWTClaims, UserClaims } from "@supabase/server";
import type { PooledContext } from "./pooled_context.ts";

/** The members of a context that are made when they are read. */
export type LazyMembers<Database> = Pick<
  PooledContext<Database>,
  "supabase" | "supabaseAdmin" | "pool" | "adminPool"
>;

const MEMBERS = Symbol("members");

interface WithMembers {
  readonly [MEMBERS]: LazyMembers<unknown>;
}

function lazily(name: keyof LazyMembers<unknown>): PropertyDescriptor {
  return {
    enumerable: true,
    configurable: true,
    get(this: WithMembers): unknown {
      return this[MEMBERS][name];
    },
  };
}

// The same functions in every context. With getters of its own each would get a hidden class of its own, which the
// engine keeps, with all that the getters hold, until the next full collection: that costs more than the rest of it.
const SUPABASE = lazily("supabase");
const SUPABASE_ADMIN = lazily("supabaseAdmin");
const POOL = lazily("pool");
const ADMIN_POOL = lazily("adminPool");

/** A {@linkcode PooledContext} whose members are all its own, so that `{ ...context }` has them too. */
export class RequestContext<Database> implements PooledContext<Database> {
  declare readonly supabase: PooledContext<Database>["supabase"];
  declare readonly supabaseAdmin: PooledContext<Database>["supabaseAdmin"];
  declare readonly userClaims: UserClaims | null;
  declare readonly jwtClaims: JWTClaims | null;
  declare readonly authMode: AuthMode;
  declare readonly authKeyName: string | undefined;
  declare readonly pool: PooledContext<Database>["pool"];
  declare readonly adminPool: PooledContext<Database>["adminPool"];
  declare readonly waitUntil: PooledContext<Database>["waitUntil"];

  constructor(auth: AuthResult, members: LazyMembers<Database>, waitUntil: PooledContext<Database>["waitUntil"]) {
    Object.defineProperty(this, MEMBERS, { value: members });
    Object.defineProperty(this, "supabase", SUPABASE);
    Object.defineProperty(this, "supabaseAdmin", SUPABASE_ADMIN);
    this.userClaims = auth.userClaims;
    this.jwtClaims = auth.jwtClaims;
    this.authMode = auth.authMode;
    this.authKeyName = auth.keyName ?? undefined;
    Object.defineProperty(this, "pool", POOL);
    Object.defineProperty(this, "adminPool", ADMIN_POOL);
    this.waitUntil = waitUntil;
  }
}
