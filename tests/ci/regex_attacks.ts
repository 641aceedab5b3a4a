/**
 * Regular expressions of the sources, and texts on which one that is not linear takes long.
 *
 * @module
 */

/** A regular expression in a source. */
export interface FoundRegex {
  /** `path:line`. */
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

/** Returns every regular expression literal of a module. Works under `deno test` only. */
export function findRegexes(path: string, text: string): FoundRegex[] {
  const found: FoundRegex[] = [];
  const created: string[] = [];
  const plugin: Deno.lint.Plugin = {
    name: "regexes",
    rules: {
      regexes: {
        create: (context) => {
          const where = (start: number) => `${path}:${context.sourceCode.text.slice(0, start).split("\n").length}`;
          return {
            Literal: (node) => {
              if (!("regex" in node) || !node.regex) return;
              found.push({ where: where(node.range[0]), source: node.regex.pattern, flags: node.regex.flags });
            },
            Identifier: (node) => {
              const { parent, name, range } = node;
              const isCall = parent.type === "NewExpression" || parent.type === "CallExpression";
              if (name === "RegExp" && isCall && parent.callee === node) created.push(where(range[0]));
            },
          };
        },
      },
    },
  };
  Deno.lint.runPlugin(plugin, path, text);
  // One that is put together at run time could not be checked here.
  if (created[0] !== undefined) throw new Error(`${created[0]} creates a RegExp from a text: write a literal`);
  return found;
}

/** A part of a pattern: its samples are texts that it matches. */
type Part =
  | { readonly kind: "empty" }
  | { readonly kind: "char"; readonly samples: readonly string[] }
  | { readonly kind: "any"; readonly options: readonly Part[] }
  | { readonly kind: "all"; readonly parts: readonly Part[] }
  | { readonly kind: "repeat"; readonly part: Part; readonly least: number; readonly most: number };

const EMPTY: Part = { kind: "empty" };

/** Characters to try, beside those of the pattern itself. */
const CANDIDATES = [..."aZ0_ -./:@\n\t\"',=?()!#\u00e9\u2018\0"];
const MAX_SAMPLES = 4;

/** Kinds of characters. */
const KINDS = [/[a-z]/i, /\d/, /\s/, /[^\w\s]/];

/** Parses patterns as far as their samples need it. */
class PatternParser {
  readonly #text: string;
  readonly #flags: string;
  readonly #candidates: readonly string[];
  #at = 0;
  /** The contents of negative lookaheads: a text that ends with one keeps the rest from matching. */
  readonly negated: Part[] = [];

  constructor({ source, flags }: Pick<FoundRegex, "source" | "flags">) {
    this.#text = source;
    this.#flags = flags.replaceAll(/[gy]/g, "");
    this.#candidates = [...new Set([...source, ...CANDIDATES])];
  }

  parse(): Part {
    const options: Part[] = [this.#sequence()];
    while (this.#text[this.#at] === "|") {
      this.#at++;
      options.push(this.#sequence());
    }
    return options.length === 1 ? options[0] ?? EMPTY : { kind: "any", options };
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#text[this.#at] ?? "")) {
      parts.push(this.#quantified(this.#atom()));
    }
    return { kind: "all", parts };
  }

  #quantified(part: Part): Part {
    const [all, symbol, least, comma, most] = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(this.#text.slice(this.#at)) ??
      [];
    if (all === undefined) return part;
    this.#at += all.length;
    if (symbol) return { kind: "repeat", part, least: symbol === "+" ? 1 : 0, most: symbol === "?" ? 1 : Infinity };
    const low = Number(least);
    return { kind: "repeat", part, least: low, most: comma ? Number(most || Infinity) : low };
  }

  #atom(): Part {
    const rest = this.#text.slice(this.#at);
    const group = /^\((?:\?(?::|<?[=!]|<\w+>))?/.exec(rest)?.[0];
    if (group !== undefined) {
      this.#at += group.length;
      const inner = this.parse();
      this.#at++;
      // What a lookahead matches is tried as a text, too.
      if (group.endsWith("!")) this.negated.push(inner);
      return /[=!]$/.test(group) ? { kind: "any", options: [EMPTY, inner] } : inner;
    }
    const token = /^(?:\[(?:[^\]\\]|\\.)*\]|\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|.)|.)/s
      .exec(rest)?.[0] ?? "";
    this.#at += Math.max(token.length, 1);
    if (/^(?:[\^$]|\\[bB])$/.test(token)) return EMPTY;
    const member = new RegExp(`^(?:${token})$`, this.#flags);
    const matched = this.#candidates.filter((char) => member.test(char));
    // One of each kind: a boundary of words, for example, is between two kinds.
    const samples = KINDS.map((kind) => matched.find((char) => kind.test(char))).filter((char) => char !== undefined);
    return { kind: "char", samples: samples.length > 0 ? samples : ["a"] };
  }
}

/** Returns a few texts that `part` matches. */
function samplesOf(part: Part): string[] {
  switch (part.kind) {
    case "empty":
      return [""];
    case "char":
      return [...part.samples];
    case "any":
      return part.options.flatMap((option) => samplesOf(option).slice(0, 2)).slice(0, 2 * MAX_SAMPLES);
    case "all": {
      const lists = part.parts.map(samplesOf);
      return Array.from(
        { length: Math.min(MAX_SAMPLES, Math.max(1, ...lists.map(({ length }) => length))) },
        (_, index) => lists.map((list) => list[index % list.length] ?? "").join(""),
      );
    }
    case "repeat": {
      const inner = samplesOf(part.part);
      if (part.least === 0) return ["", ...inner.slice(0, 3)];
      return inner.map((sample) => sample.repeat(Math.min(part.least, 64)));
    }
  }
}

/** A repetition, or a position between parts, with a text that leads to it. */
interface Position {
  readonly before: string;
  readonly pumps: readonly string[];
}

function* positionsOf(part: Part, before: string): Generator<Position> {
  if (part.kind === "any") { for (const option of part.options) yield* positionsOf(option, before); }
  if (part.kind === "repeat") {
    // A fixed number of characters cannot grow with the text.
    if (part.most > 1) yield { before, pumps: samplesOf(part.part) };
    yield* positionsOf(part.part, before);
  }
  if (part.kind !== "all") return;
  let text = before;
  for (const inner of part.parts) {
    yield* positionsOf(inner, text);
    const samples = samplesOf(inner);
    // The beginning of a match, again and again: each is a start from which the rest is searched.
    yield { before: "", pumps: samples.map((sample) => text + sample) };
    text += samples[0] ?? "";
  }
}

const TAILS = ["", "!", "\0", "\n", "a"];

/** Creates texts that repeat what `regex` repeats, or its beginning, and then do not match. */
export function attacksOn(regex: Pick<FoundRegex, "source" | "flags">): ((length: number) => string)[] {
  const attacks = new Map<string, (length: number) => string>();
  const parser = new PatternParser(regex);
  const pattern = parser.parse();
  const tails = [...TAILS, ...parser.negated.flatMap((part) => samplesOf(part).slice(0, 1).map((text) => ` ${text}`))];
  for (const { before, pumps } of positionsOf(pattern, "")) {
    const words = new Set(pumps.filter((pump) => pump !== ""));
    words.add(pumps.join(""));
    for (const word of words) {
      if (word === "") continue;
      for (const tail of tails) {
        const text = (length: number) => before + word.repeat(Math.ceil(length / word.length)) + tail;
        attacks.set(text(32), text);
      }
    }
  }
  return [...attacks.values()];
}

/** Lengths that tell the growths apart, with limits in ms: an exponential one takes long at 28, a cubic one at 2,000. */
const LENGTHS = [[16, 25], [20, 25], [24, 25], [28, 25], [256, 25], [2_000, 25], [12_000, 25], [100_000, 150]] as const;
/** A slow moment of the machine does not come three times. */
const TRIES = 3;

function durationMs(regex: RegExp, text: string): number {
  const startMs = performance.now();
  if (regex.global) text.replaceAll(regex, "");
  else regex.test(text);
  return performance.now() - startMs;
}

/** Returns a text that takes `regex` too long, shortened, or `undefined` if its time grows with the length of the text only. */
export function slowText({ source, flags }: Pick<FoundRegex, "source" | "flags">): string | undefined {
  const regex = new RegExp(source, flags);
  for (const attack of attacksOn({ source, flags })) {
    for (const [length, limitMs] of LENGTHS) {
      const text = attack(length);
      let tries = 0;
      while (tries < TRIES && durationMs(regex, text) > limitMs) tries++;
      if (tries === TRIES) return `${JSON.stringify(text.slice(0, 60))} of ${text.length} characters`;
    }
  }
  return undefined;
}
