/**
 * The settings of `config.toml` that the Supabase CLI knows, and what the local stack does with each.
 *
 * @module
 */

/** The types of a setting. */
export type SettingKind = "boolean" | "integer" | "string" | "strings" | "any";

/** A setting that the CLI knows. */
export interface Setting {
  /** Its type. */
  readonly kind: SettingKind;
  /** The value that the template of the CLI has, or that a missing setting has. */
  readonly fallback?: unknown;
  /** The reason why the local stack does not follow it. `undefined`: it does, or nothing local depends on it. */
  readonly ignored?: string;
}

type Settings = Readonly<Record<string, Setting>>;

const yesNo = (fallback: boolean, ignored?: string): Setting => of("boolean", fallback, ignored);
const count = (fallback?: number, ignored?: string): Setting => of("integer", fallback, ignored);
const text = (fallback?: string, ignored?: string): Setting => of("string", fallback, ignored);
const list = (fallback?: readonly string[], ignored?: string): Setting => of("strings", fallback, ignored);

function of(kind: SettingKind, fallback: unknown, ignored: string | undefined): Setting {
  return { kind, ...(fallback === undefined ? {} : { fallback }), ...(ignored === undefined ? {} : { ignored }) };
}

const TLS = "the local gateway serves HTTP only";
const MAIL = "the local stack sends no mail: messages are shown at /mail";
const SMS = "the local stack sends no SMS: sign in with a password or by email instead";
const MFA = "the local Auth has no second factors";
const HOOK = "the local Auth calls no hooks: a token holds the claims of an ordinary one";
const LIMITS = "the local Auth does not limit rates";
const PROVIDER = "the local Auth does not sign in with this provider: use email and password";
const SERVER = "the local Auth does not offer it";
const ABSENT = "this service is not part of the local stack";
const PAID = "the local stack does not offer it";

function mailServer(name: string): Settings {
  return {
    [`${name}.enabled`]: yesNo(true),
    [`${name}.port`]: count(54324, MAIL),
    [`${name}.smtp_port`]: count(undefined, MAIL),
    [`${name}.pop3_port`]: count(undefined, MAIL),
    [`${name}.admin_email`]: text(undefined, MAIL),
    [`${name}.sender_name`]: text(undefined, MAIL),
    [`${name}.image`]: text(undefined, MAIL),
  };
}

/** `*` stands for one name, `**` for one or more. */
export const SETTINGS: Settings = {
  "project_id": text(),
  "$schema": text(),

  "api.enabled": yesNo(true),
  "api.port": count(54321),
  "api.schemas": list(["public", "graphql_public"]),
  "api.extra_search_path": list(["public", "extensions"]),
  "api.max_rows": count(1000),
  "api.auto_expose_new_tables": yesNo(true),
  "api.external_url": text(undefined, "the local gateway has its own URL"),
  "api.tls.enabled": yesNo(false, TLS),
  "api.tls.*": text(),

  "db.port": count(54322),
  "db.shadow_port": count(54320, ABSENT),
  "db.health_timeout": text("2m", "the local database is waited for until it has started or failed"),
  "db.major_version": count(17),
  "db.orioledb_version": text("", "the local database uses the storage engine of PostgreSQL"),
  "db.root_key": text(undefined, "the local vault has a key of its own"),
  "db.pooler.enabled": yesNo(false, "the local database has no pooler: connect to it directly"),
  "db.pooler.*": { kind: "any" },
  "db.vault.*": text(),
  "db.migrations.enabled": yesNo(true),
  "db.migrations.schema_paths": list([]),
  "db.seed.enabled": yesNo(true),
  "db.seed.sql_paths": list(["./seed.sql"]),
  "db.settings.*": { kind: "any" },
  "db.network_restrictions.enabled": yesNo(false, "the local database accepts connections of this machine only"),
  "db.network_restrictions.*": { kind: "any" },
  "db.ssl_enforcement.enabled": yesNo(false, "the local database accepts connections of this machine, without TLS"),

  "realtime.enabled": yesNo(true),
  "realtime.ip_version": text("IPv4", ABSENT),
  "realtime.max_header_length": count(4096, ABSENT),
  "studio.enabled": yesNo(true),
  "studio.port": count(54323, ABSENT),
  "studio.api_url": text("http://127.0.0.1", ABSENT),
  "studio.openai_api_key": text(),
  ...mailServer("inbucket"),
  ...mailServer("local_smtp"),
  "analytics.enabled": yesNo(true),
  "analytics.port": count(54327, ABSENT),
  "analytics.vector_port": count(54328, ABSENT),
  "analytics.backend": text("postgres", ABSENT),
  "analytics.*": { kind: "any", ignored: ABSENT },

  "storage.enabled": yesNo(true),
  "storage.file_size_limit": text("50MiB"),
  "storage.buckets.*.public": yesNo(false),
  "storage.buckets.*.file_size_limit": text(),
  "storage.buckets.*.allowed_mime_types": list(),
  "storage.buckets.*.objects_path": text(undefined, "upload the files with the Storage API"),
  "storage.image_transformation.enabled": yesNo(false, "the local Storage does not transform images"),
  "storage.s3_protocol.enabled": yesNo(true),
  "storage.analytics.enabled": yesNo(false, "the local Storage has no buckets for analytics"),
  "storage.analytics.**": { kind: "any" },
  "storage.vector.enabled": yesNo(false, "the local Storage has no buckets for vectors"),
  "storage.vector.**": { kind: "any" },

  "auth.enabled": yesNo(true),
  "auth.site_url": text("http://127.0.0.1:3000"),
  "auth.external_url": text("", "the local Auth is served by the gateway"),
  "auth.additional_redirect_urls": list(["https://127.0.0.1:3000"]),
  "auth.jwt_expiry": count(3600),
  "auth.jwt_issuer": text("", "the issuer is the URL of the local Auth"),
  "auth.jwt_secret": text(undefined, "the stack creates a secret of its own, in .local/keys.json"),
  "auth.anon_key": text(undefined, "the stack creates keys of its own, in .local/keys.json"),
  "auth.service_role_key": text(undefined, "the stack creates keys of its own, in .local/keys.json"),
  "auth.publishable_key": text(undefined, "the stack creates keys of its own, in .local/keys.json"),
  "auth.secret_key": text(undefined, "the stack creates keys of its own, in .local/keys.json"),
  "auth.signing_keys_path": text(undefined, "the stack creates a signing key of its own"),
  "auth.enable_refresh_token_rotation": yesNo(true),
  "auth.refresh_token_reuse_interval": count(10),
  "auth.enable_signup": yesNo(true),
  "auth.enable_anonymous_sign_ins": yesNo(false),
  "auth.enable_manual_linking": yesNo(false, SERVER),
  "auth.minimum_password_length": count(6),
  "auth.password_requirements": text(""),
  "auth.passkey.enabled": yesNo(false, SERVER),
  "auth.webauthn.*": { kind: "any" },
  "auth.rate_limit.email_sent": count(2, LIMITS),
  "auth.rate_limit.sms_sent": count(30, LIMITS),
  "auth.rate_limit.anonymous_users": count(30, LIMITS),
  "auth.rate_limit.token_refresh": count(150, LIMITS),
  "auth.rate_limit.sign_in_sign_ups": count(30, LIMITS),
  "auth.rate_limit.token_verifications": count(30, LIMITS),
  "auth.rate_limit.web3": count(30, LIMITS),
  "auth.captcha.enabled": yesNo(false, "the local Auth asks for no captcha"),
  "auth.captcha.*": text(),
  "auth.email.enabled": yesNo(true),
  "auth.email.enable_signup": yesNo(true),
  "auth.email.double_confirm_changes": yesNo(true),
  "auth.email.enable_confirmations": yesNo(false),
  "auth.email.secure_password_change": yesNo(false, SERVER),
  "auth.email.require_current_password": yesNo(false, SERVER),
  "auth.email.max_frequency": text("1s", LIMITS),
  "auth.email.otp_length": count(6),
  "auth.email.otp_expiry": count(3600),
  "auth.email.smtp.enabled": yesNo(false, MAIL),
  "auth.email.smtp.*": { kind: "any" },
  "auth.email.template.*.subject": text(undefined, MAIL),
  "auth.email.template.*.content": text(undefined, MAIL),
  "auth.email.template.*.content_path": text(undefined, MAIL),
  "auth.email.notification.*.enabled": yesNo(false, MAIL),
  "auth.email.notification.*.*": text(),
  "auth.sms.enabled": yesNo(false, SMS),
  "auth.sms.enable_signup": yesNo(false, SMS),
  "auth.sms.enable_confirmations": yesNo(false, SMS),
  "auth.sms.template": text(),
  "auth.sms.max_frequency": text(),
  "auth.sms.test_otp.*": text(undefined, SMS),
  "auth.sms.*.enabled": yesNo(false, SMS),
  "auth.sms.*.*": text(),
  "auth.sessions.timebox": text(),
  "auth.sessions.inactivity_timeout": text(),
  "auth.hook.*.enabled": yesNo(false, HOOK),
  "auth.hook.*.uri": text(),
  "auth.hook.*.secrets": { kind: "any" },
  "auth.mfa.max_enrolled_factors": count(10),
  "auth.mfa.*.enroll_enabled": yesNo(false, MFA),
  "auth.mfa.*.verify_enabled": yesNo(false, MFA),
  "auth.mfa.*.*": { kind: "any" },
  "auth.external.*.enabled": yesNo(false, PROVIDER),
  "auth.external.*.email_optional": yesNo(false),
  "auth.external.*.skip_nonce_check": yesNo(false),
  "auth.external.*.*": { kind: "any" },
  "auth.web3.*.enabled": yesNo(false, PROVIDER),
  "auth.third_party.*.enabled": yesNo(false, "the local stack accepts tokens of its own Auth only"),
  "auth.third_party.*.*": { kind: "any" },
  "auth.oauth_server.enabled": yesNo(false, SERVER),
  "auth.oauth_server.*": { kind: "any" },

  "functions.*.enabled": yesNo(true),
  "functions.*.verify_jwt": yesNo(true),
  "functions.*.import_map": text(),
  "functions.*.entrypoint": text(),
  "functions.*.static_files": list(),
  "functions.*.env.*": text(),
  "edge_runtime.enabled": yesNo(true),
  "edge_runtime.policy": text("per_worker", "each function runs in a process that serves many requests"),
  "edge_runtime.inspector_port": count(8083, "the functions of the local stack have no inspector"),
  "edge_runtime.deno_version": count(2, "functions run on the Deno that runs the stack"),
  "edge_runtime.secrets.*": text(),

  "remotes.*.**": { kind: "any" },
  "experimental.webhooks.enabled": yesNo(true),
  "experimental.orioledb_version": text("", PAID),
  "experimental.pgdelta.enabled": yesNo(false, "migrations are applied as they are written"),
  "experimental.pgdelta.*": { kind: "any" },
  "experimental.s3_host": text(),
  "experimental.s3_region": text(),
  "experimental.s3_access_key": text(),
  "experimental.s3_secret_key": text(),
  "experimental.inspect.**": { kind: "any" },
};

interface Pattern {
  readonly parts: readonly string[];
  readonly setting: Setting;
}

const PATTERNS: readonly Pattern[] = Object.entries(SETTINGS).map(([path, setting]) => ({
  parts: path.split("."),
  setting,
}));

function matches(parts: readonly string[], path: readonly string[]): boolean {
  for (const [index, part] of parts.entries()) {
    // A table itself is not a setting, so that the settings that are named before are found.
    if (part === "**") return index < path.length;
    if (index >= path.length || (part !== "*" && part !== path[index])) return false;
  }
  return parts.length === path.length;
}

/** Returns the setting at `path`; `undefined` if the CLI does not know it. */
export function findSetting(path: readonly string[]): Setting | undefined {
  const exact = SETTINGS[path.join(".")];
  if (exact !== undefined && !path.includes("*")) return exact;
  return PATTERNS.find(({ parts }) => matches(parts, path))?.setting;
}

/** Returns whether `path` is a table of settings that the CLI knows. */
export function isSection(path: readonly string[]): boolean {
  return PATTERNS.some(({ parts }) => parts.length > path.length && matches(parts.slice(0, path.length), path));
}
