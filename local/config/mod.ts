/**
 * The configuration of a project, `supabase/config.toml`, as the Supabase CLI reads it.
 *
 * @module
 */
import type { Project } from "../project.ts";
import { StackError } from "../stack_error.ts";
import { readVariables, resolveReferences } from "./references.ts";
import { parseSize } from "./size.ts";
import { isTable, parseToml, type TomlTable } from "./toml.ts";
import { Settings } from "./values.ts";

export { isTable, type TomlTable } from "./toml.ts";
export { Settings } from "./values.ts";

/** A bucket of `[storage.buckets.<name>]`. */
export interface BucketConfig {
  /** The name. */
  readonly name: string;
  /** `true`: its objects can be downloaded without credentials. Default: `false`. */
  readonly public: boolean;
  /** The size of its largest object, in bytes. `undefined`: the limit of the project. */
  readonly fileSizeLimit: number | undefined;
  /** The media types of its objects; empty for any. */
  readonly allowedMimeTypes: readonly string[];
}

/** The configuration of a project. */
export interface ProjectConfig {
  /** The path of the file. */
  readonly path: string;
  /** The document, with `env(NAME)` replaced. */
  readonly settings: Settings;
  /** `[api]`. */
  readonly api: {
    readonly enabled: boolean;
    /** The port of the gateway; `undefined` if the file does not set it. */
    readonly port: number | undefined;
    readonly schemas: readonly string[];
    readonly extraSearchPath: readonly string[];
    readonly maxRows: number;
    /** `true`: `anon`, `authenticated` and `service_role` may use what `postgres` creates in `public`. */
    readonly autoExposeNewTables: boolean;
  };
  /** `[db]`. */
  readonly db: {
    /** The port of Postgres; `undefined` if the file does not set it. */
    readonly port: number | undefined;
    readonly majorVersion: number;
    readonly migrations: { readonly enabled: boolean; readonly schemaPaths: readonly string[] };
    readonly seed: { readonly enabled: boolean; readonly sqlPaths: readonly string[] };
    /** `[db.settings]`: settings of the server. */
    readonly settings: Readonly<Record<string, string>>;
    /** `[db.vault]`: secrets by name. */
    readonly vault: Readonly<Record<string, string>>;
  };
  /** `[auth]`. */
  readonly auth: {
    readonly enabled: boolean;
    readonly siteUrl: string;
    readonly additionalRedirectUrls: readonly string[];
    readonly jwtExpiryS: number;
    readonly enableSignup: boolean;
    readonly enableAnonymousSignIns: boolean;
    readonly enableRefreshTokenRotation: boolean;
    readonly refreshTokenReuseIntervalS: number;
    readonly minimumPasswordLength: number;
    readonly passwordRequirements: string;
    /** `[auth.sessions]`: durations such as `24h`; empty for none. */
    readonly sessions: { readonly timebox: string; readonly inactivityTimeout: string };
    readonly email: {
      readonly enableSignup: boolean;
      readonly doubleConfirmChanges: boolean;
      readonly enableConfirmations: boolean;
      readonly otpLength: number;
      readonly otpExpiryS: number;
    };
  };
  /** `[storage]`. */
  readonly storage: {
    readonly enabled: boolean;
    /** The size of the largest object, in bytes. */
    readonly fileSizeLimit: number;
    readonly buckets: readonly BucketConfig[];
  };
  /** `[functions.*]`: the tables, not checked. */
  readonly functions: TomlTable;
  /** `[edge_runtime]`. */
  readonly edgeRuntime: {
    readonly enabled: boolean;
    /** `[edge_runtime.secrets]`: variables of the functions, by name. */
    readonly secrets: Readonly<Record<string, string>>;
  };
  /** Settings that have no effect, are unknown, or need a variable that is not set: one line each. */
  readonly warnings: readonly string[];
}

const VERSIONS = [14, 15, 17];

/**
 * Reads the configuration of a project. Without the file, every setting has its default.
 *
 * @throws {StackError} `CONFIG_INVALID`, with the file, the setting and the reason.
 */
export async function readConfig(project: Project): Promise<ProjectConfig> {
  const path = `${project.supabase}/config.toml`;
  let text = "";
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return parseConfig(text, path, await readVariables([project.supabase, project.root]));
}

/**
 * Parses the text of a `config.toml`.
 *
 * @param path The path for messages.
 * @param variables The variables that `env(NAME)` may name.
 * @throws {StackError} `CONFIG_INVALID`, with the file, the setting and the reason.
 */
export function parseConfig(
  text: string,
  path: string,
  variables: Readonly<Record<string, string>> = {},
): ProjectConfig {
  const resolved = resolveReferences(withFunctions(withRemote(parseToml(text, path))), variables);
  const settings = new Settings(resolved.table, path);
  const invalid = (name: string, detail: string) =>
    new StackError("CONFIG_INVALID", `${path}: ${name} ${detail}: fix the file, then start again.`);
  const warnings = settings.check();
  for (const [name, variable] of resolved.unset) {
    // The template of the CLI refers to variables that few set.
    if (!/^(db\.vault|edge_runtime\.secrets|functions\.[^.]+\.env|auth\.(site_url|jwt_expiry))\b/.test(name)) continue;
    warnings.push(`supabase/config.toml: ${name} names ${variable}, which is not set: set it, or write it to .env.`);
  }
  const majorVersion = settings.integer("db.major_version");
  if (!VERSIONS.includes(majorVersion)) {
    throw invalid("db.major_version", `must be one of ${VERSIONS.join(", ")}, but is ${majorVersion}`);
  }
  const size = (name: string): number => {
    const value = settings.raw(name) ?? settings.string(name);
    const bytes = parseSize(String(value));
    if (bytes === undefined) throw invalid(name, `must be a size such as "50MiB", but is ${JSON.stringify(value)}`);
    return bytes;
  };
  const optionalPort = (name: string) => settings.raw(name) === undefined ? undefined : settings.integer(name);
  const texts = (name: string) =>
    Object.fromEntries(Object.entries(settings.table(name)).map(([key, value]) => [key, String(value)]));
  const secretsOf = (name: string) =>
    Object.fromEntries(Object.entries(texts(name)).filter(([key]) => !resolved.unset.has(`${name}.${key}`)));

  return {
    path,
    settings,
    api: {
      enabled: settings.boolean("api.enabled"),
      port: optionalPort("api.port"),
      schemas: settings.strings("api.schemas"),
      extraSearchPath: settings.strings("api.extra_search_path"),
      maxRows: settings.integer("api.max_rows"),
      autoExposeNewTables: settings.boolean("api.auto_expose_new_tables"),
    },
    db: {
      port: optionalPort("db.port"),
      majorVersion,
      migrations: {
        enabled: settings.boolean("db.migrations.enabled"),
        schemaPaths: settings.strings("db.migrations.schema_paths"),
      },
      seed: { enabled: settings.boolean("db.seed.enabled"), sqlPaths: settings.strings("db.seed.sql_paths") },
      settings: texts("db.settings"),
      vault: secretsOf("db.vault"),
    },
    auth: {
      enabled: settings.boolean("auth.enabled"),
      siteUrl: settings.string("auth.site_url"),
      additionalRedirectUrls: settings.strings("auth.additional_redirect_urls"),
      jwtExpiryS: settings.integer("auth.jwt_expiry"),
      enableSignup: settings.boolean("auth.enable_signup"),
      enableAnonymousSignIns: settings.boolean("auth.enable_anonymous_sign_ins"),
      enableRefreshTokenRotation: settings.boolean("auth.enable_refresh_token_rotation"),
      refreshTokenReuseIntervalS: settings.integer("auth.refresh_token_reuse_interval"),
      minimumPasswordLength: settings.integer("auth.minimum_password_length"),
      passwordRequirements: settings.string("auth.password_requirements"),
      sessions: {
        timebox: settings.string("auth.sessions.timebox") ?? "",
        inactivityTimeout: settings.string("auth.sessions.inactivity_timeout") ?? "",
      },
      email: {
        enableSignup: settings.boolean("auth.email.enabled") && settings.boolean("auth.email.enable_signup"),
        doubleConfirmChanges: settings.boolean("auth.email.double_confirm_changes"),
        enableConfirmations: settings.boolean("auth.email.enable_confirmations"),
        otpLength: settings.integer("auth.email.otp_length"),
        otpExpiryS: settings.integer("auth.email.otp_expiry"),
      },
    },
    storage: {
      enabled: settings.boolean("storage.enabled"),
      fileSizeLimit: size("storage.file_size_limit"),
      buckets: Object.keys(settings.table("storage.buckets")).map((name) => {
        const at = (key: string) => `storage.buckets.${name}.${key}`;
        return {
          name,
          public: settings.boolean(at("public")),
          fileSizeLimit: settings.raw(at("file_size_limit")) === undefined ? undefined : size(at("file_size_limit")),
          allowedMimeTypes: settings.strings(at("allowed_mime_types")) ?? [],
        };
      }),
    },
    functions: settings.table("functions"),
    edgeRuntime: {
      enabled: settings.boolean("edge_runtime.enabled"),
      secrets: secretsOf("edge_runtime.secrets"),
    },
    warnings,
  };
}

/** Applies the `[remotes.*]` whose `project_id` is that of the project, as the CLI does. */
function withRemote(table: TomlTable): TomlTable {
  const remotes = isTable(table.remotes) ? Object.values(table.remotes) : [];
  const remote = remotes.find((remote) => isTable(remote) && remote.project_id === table.project_id);
  if (!isTable(remote) || table.project_id === undefined) return table;
  return merge(table, remote);
}

/**
 * Merges the tables of `[[functions]]`, as the CLI does. One with a `name` configures the function of that name, which
 * the CLI would reject.
 */
function withFunctions(table: TomlTable): TomlTable {
  const { functions } = table;
  if (!Array.isArray(functions) || !functions.every(isTable)) return table;
  const tables = functions.map(({ name, ...rest }): TomlTable => typeof name === "string" ? { [name]: rest } : rest);
  return { ...table, functions: tables.reduce(merge, {}) };
}

function merge(base: TomlTable, over: TomlTable): TomlTable {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const own = base[key];
    merged[key] = isTable(own) && isTable(value) ? merge(own, value) : value;
  }
  return merged;
}
