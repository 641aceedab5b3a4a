/**
 * Looks for secrets where none may be: in logs, errors, headers and bodies.
 *
 * @module
 */

/** A secret that was found. It says which and where, and never shows it. */
export class SecretShownError extends Error {
  override readonly name = "SecretShownError";

  constructor(what: string, where: string) {
    super(`${what} is shown in ${where}`);
  }
}

/** What nobody may show, whoever's it is. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]{10,}\.[\w-]{10,}/, "something like a token"],
  [/\bsb_(secret|publishable)_\w/, "something like an API key"],
  [/\bBearer\s+(?!\[|token\b)[\w.~+/-]{8,}/i, "something like a bearer token"],
  [/:\/\/[^\s/@"'[\]]+:[^\s/@"'[\]]+@/, "something like a connection string"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "something like a private key"],
];

/** Shorter ones are words that any text may hold. */
const MIN_LENGTH = 12;

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** How a secret may look once it has gone through something. */
function formsOf(secret: string): Set<string> {
  const plain = base64(secret).replace(/=+$/, "");
  // The last character also holds bits of whatever follows.
  const encoded = [plain, plain.replaceAll("+", "-").replaceAll("/", "_")].map((form) => form.slice(0, -1));
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), ...encoded];
  // Half a token is a leak too: what it says of its user, and what proves it. The first part is the same for all.
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(secret)) forms.push(...secret.split(".").slice(1));
  return new Set(forms.filter(({ length }) => length >= MIN_LENGTH));
}

/** The two characters before `end`, as one number of 16 bits. */
function pairAt(text: string, end: number): number {
  return ((text.charCodeAt(end - 2) & 0xff) << 8) | (text.charCodeAt(end - 1) & 0xff);
}

/** Knows the secrets of a run, and looks for them and for all that looks like one. */
export class SecretWatch {
  /** The known forms by their last characters, so that a text is gone through once, however many there are. */
  readonly #byEnd = new Map<string, [form: string, what: string][]>();
  /** The pairs of characters that known forms end with: most of a text ends with none of them. */
  readonly #pairs = new Uint8Array(1 << 16);
  readonly #known = new Set<string>();
  #texts = 0;

  /** How many texts have been looked at. */
  get texts(): number {
    return this.#texts;
  }

  /** From now on `secret` may not be shown; errors call it `what`. Too short ones are left alone. */
  know(what: string, secret: string | null | undefined): void {
    if (!secret || this.#known.has(secret)) return;
    this.#known.add(secret);
    for (const form of formsOf(secret)) {
      const end = form.slice(-MIN_LENGTH);
      this.#pairs[pairAt(form, form.length)] = 1;
      const bucket = this.#byEnd.get(end);
      if (bucket) bucket.push([form, what]);
      else this.#byEnd.set(end, [[form, what]]);
    }
  }

  /** What of a secret `text` shows, or `undefined` when nothing. */
  find(text: string): string | undefined {
    this.#texts++;
    for (let end = MIN_LENGTH; end <= text.length; end++) {
      if (this.#pairs[pairAt(text, end)] === 0) continue;
      for (const [form, what] of this.#byEnd.get(text.slice(end - MIN_LENGTH, end)) ?? []) {
        if (text.endsWith(form, end)) return what;
      }
    }
    return SHAPES.find(([shape]) => shape.test(text))?.[1];
  }

  /** @throws {SecretShownError} when `text` shows a secret. */
  inspect(where: string, text: string): void {
    const what = this.find(text);
    if (what !== undefined) throw new SecretShownError(what, where);
  }

  /**
   * Looks at a thrown value as anybody could: its message, its stack, its own
   * fields and its causes.
   */
  inspectError(where: string, error: unknown): void {
    this.inspect(where, Deno.inspect(error, { depth: 8, colors: false, showHidden: false }));
    this.inspect(where, String(error));
    this.inspect(where, JSON.stringify(error) ?? "");
  }

  /** Looks at the status text and at each header, its name included. */
  inspectHeaders(where: string, { status, statusText, headers }: Response): void {
    const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
    this.inspect(`${where}, the headers of an answer of ${status}`, [statusText, ...lines].join("\n"));
  }
}
