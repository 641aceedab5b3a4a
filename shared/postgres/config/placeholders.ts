/**
 * Placeholders of documents and dashboards, which are often left in a copied URL.
 *
 * @module
 */

/** The words that a placeholder is about. */
const SUBJECT =
  /\b(?:your|my|pass(?:word|wd)?|pwd|secret|project|ref|region|host|user(?:name)?|db|database|name|port)\b/i;

/** A marked placeholder: `[YOUR-PASSWORD]`, `<password>`, `{password}`, `{{password}}`, `${PASSWORD}`. */
const MARKED = /\[[a-z][\w .-]*\]|<[a-z][\w .-]*>|\$?\{{1,2} ?[a-z][\w .-]* ?\}{1,2}/gi;

/** A placeholder without marks: `your-password`, `YOUR_PROJECT_REF`, `yourpassword`. */
const UNMARKED =
  /\byour[-_ ]?(?:(?:db|database|postgres|supabase|super[-_ ]?secret)[-_ ]?)?(?:password|project(?:[-_ ]?(?:ref|id))?)\b/gi;

/**
 * Returns the placeholder in a value, or `undefined`. It is safe to show: a placeholder is not a secret.
 *
 * @param whole True if only a value that is nothing but a placeholder counts, as for a password.
 */
export function placeholderIn(value: string, whole: boolean): string | undefined {
  const marked = [...value.matchAll(MARKED)].map(([text]) => text)
    .filter((text) => SUBJECT.test(text.replace(/[^a-z]+/gi, " ")));
  const found = [...marked, ...[...value.matchAll(UNMARKED)].map(([text]) => text)];
  return whole ? found.find((text) => text === value.trim()) : found[0];
}
