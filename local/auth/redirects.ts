/**
 * The addresses that links may lead to.
 *
 * @module
 */
import type { ProjectConfig } from "../config/mod.ts";

/** Returns the regular expression of a glob: `*` and `?` match no `.` and no `/`, `**` matches all. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/\*\*|\*|\?|[.+^${}()|[\]\\]/g, (part) => {
    if (part === "**") return ".*";
    if (part === "*") return "[^./]*";
    return part === "?" ? "[^./]" : `\\${part}`;
  });
  return new RegExp(`^${source}$`);
}

function isLoopback(hostname: string): boolean {
  return ["localhost", "[::1]"].includes(hostname) || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Returns `requested` if the project allows it; otherwise the URL of its site. */
export function checkRedirect(config: ProjectConfig["auth"], requested: string | null | undefined): string {
  const url = requested ? URL.parse(requested) : null;
  if (!requested || !url) return config.siteUrl;
  const site = URL.parse(config.siteUrl);
  const sameHost = site !== null && url.protocol === site.protocol && url.hostname === site.hostname;
  if (sameHost && (url.port === site.port || isLoopback(url.hostname))) return requested;
  const target = requested.split("#")[0] ?? "";
  return config.additionalRedirectUrls.some((glob) => globToRegExp(glob).test(target)) ? requested : config.siteUrl;
}
