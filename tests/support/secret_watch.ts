/**
 * Finds secrets in logs, errors, headers and bodies.
 *
 * @module
 */

/** A secret that was found. The message says which and where, without the secret. */
export class SecretShownError extends Error {
  override readonly name = "SecretShownError";

  constructor(what: string, where: string) {
    super(`${what} is shown in ${where}`);
  }
}

/** Patterns of secrets that are not known by value. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]{10,}\.[\w-]{10,}/, "something like a token"],
  [/\bsb_(secret|publishable)_\w/, "something like an API key"],
  [/\bBearer\s+(?!\[|token\b)[\w.~+/-]{8,}/i, "something like a bearer token"],
  [/:\/\/[^\s/@"'[\]]+:[^\s/@"'[\]]+@/, "something like a connection string"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "something like a private key"],
];

/** Minimum length of a secret, in characters: shorter ones may occur in any text. */
const MIN_LENGTH = 12;

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** Returns the encodings in which a secret may appear. */
function formsOf(secret: string): Set<string> {
  const plain = base64(secret).replace(/=+$/, "");
  // The last character also contains bits of what follows.
  const encoded = [plain, plain.replaceAll("+", "-").replaceAll("/", "_")].map((form) => form.slice(0, -1));
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), ...encoded];
  // The payload and the signature of a token are secrets too. Its header is the same for all tokens.
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(secret)) forms.push(...secret.split(".").slice(1));
  return new Set(forms.filter(({ length }) => length >= MIN_LENGTH));
}

/** Returns the two characters before `end` as a number of 16 bits. */
function pairAt(text: string, end: number): number {
  return ((text.charCodeAt(end - 2) & 0xff) << 8) | (text.charCodeAt(end - 1) & 0xff);
}

/** Finds the secrets of a test run, and texts that look like secrets. */
export class SecretWatch {
  /** The known forms by their last characters, so that a text is scanned once for all of them. */
  readonly #byEnd = new Map<string, [form: string, what: string][]>();
  /** The pairs of characters that known forms end with: most positions of a text match none of them. */
  readonly #pairs = new Uint8Array(1 << 16);
  readonly #known = new Set<string>();
  #texts = 0;

  /** The number of texts that were scanned. */
  get texts(): number {
    return this.#texts;
  }

  /** Adds a secret; errors call it `what`. Secrets that are too short are ignored. */
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

  /** Returns the name of a secret that `text` contains, or `undefined`. */
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

  /** @throws {SecretShownError} If `text` contains a secret. */
  inspect(where: string, text: string): void {
    const what = this.find(text);
    if (what !== undefined) throw new SecretShownError(what, where);
  }

  /**
   * Inspects a thrown value: its message, its stack, its own members and its causes.
   */
  inspectError(where: string, error: unknown): void {
    this.inspect(where, Deno.inspect(error, { depth: 8, colors: false, showHidden: false }));
    this.inspect(where, String(error));
    this.inspect(where, JSON.stringify(error) ?? "");
  }

  /** Inspects the status text and the names and values of all headers. */
  inspectHeaders(where: string, { status, statusText, headers }: Response): void {
    const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
    this.inspect(`${where}, the headers of a response of ${status}`, [statusText, ...lines].join("\n"));
  }
}
