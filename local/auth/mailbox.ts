/**
 * The mails of Auth. None is sent: each is printed, and shown on the page `/mail`.
 *
 * @module
 */

/** A mail. */
export interface Mail {
  /** The address of the recipient. */
  readonly to: string;
  /** The subject. */
  readonly subject: string;
  /** The link to follow, if it has one. */
  readonly link?: string | undefined;
  /** The code to type. */
  readonly code: string;
  /** The time of creation, in ISO 8601. */
  readonly createdAt: string;
}

const KEPT = 100;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The mails, newest first. */
export class Mailbox {
  readonly #log: (line: string) => void;
  readonly #mails: Mail[] = [];

  /** @param log Called with a line for each mail. Its link signs the recipient in. */
  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  /** Keeps a mail; beyond 100 the oldest is dropped. */
  deliver(mail: Omit<Mail, "createdAt">): void {
    this.#mails.unshift({ ...mail, createdAt: new Date().toISOString() });
    this.#mails.length = Math.min(this.#mails.length, KEPT);
    this.#log(`mail to ${mail.to}: ${mail.subject}: ${mail.link ?? `the code is ${mail.code}`}`);
  }

  /** The response to a request for the page, or for its data as JSON at `/mail.json`. */
  fetch(request: Request): Response {
    // Not readable by pages of other origins: each link signs a user in.
    const headers = {
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    };
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
    }
    if (new URL(request.url).pathname === "/mail.json") return Response.json(this.#mails, { headers });
    const rows = this.#mails.map(({ to, subject, link, code, createdAt }) =>
      `<tr><td>${escape(createdAt)}<td>${escape(to)}<td>${escape(subject)}<td>${
        link === undefined ? "" : `<a href="${escape(link)}">Open the link</a>`
      }<td>${escape(code)}`
    );
    return new Response(
      `<!doctype html><meta charset="utf-8"><title>Mail</title><style>body{font-family:sans-serif}td,th{padding:.3em 1em;` +
        `text-align:left}</style><h1>Mail</h1><p>The local stack sends no mail: it is kept here until the stack stops.` +
        `<table><tr><th>Time<th>To<th>Subject<th>Link<th>Code${rows.join("")}</table>\n`,
      { headers: { ...headers, "content-type": "text/html; charset=utf-8" } },
    );
  }
}
