/**
 * Sources of metrics, such as pools and caches: their names, and the totals that they count themselves.
 *
 * @module
 */
import type { CounterSeries } from "./instruments.ts";
import { labelValue, MAX_LABEL_LENGTH } from "./names.ts";
import type { MetricsRegistry } from "./registry.ts";

/** The sources of a registry. */
interface Sources {
  /** The names of those that report now, by the label that shows them. */
  readonly names: Map<string, Set<string>>;
  /** The totals of each source that were counted, by counter. */
  readonly totals: WeakMap<object, Map<string, number>>;
}

const all = new WeakMap<MetricsRegistry, Sources>();

function sourcesOf(registry: MetricsRegistry): Sources {
  const known = all.get(registry) ?? { names: new Map(), totals: new WeakMap() };
  all.set(registry, known);
  return known;
}

/**
 * Returns a name that no other source of the registry has now: `name`, or `name 2`. It is free again when the result is
 * disposed of.
 *
 * @param label The label that shows the name.
 */
export function claimName(
  registry: MetricsRegistry,
  label: string,
  name: string,
): Disposable & { readonly name: string } {
  const { names } = sourcesOf(registry);
  const taken = names.get(label) ?? new Set();
  names.set(label, taken);
  let own = labelValue(name);
  for (let next = 2; taken.has(own); next++) {
    const suffix = ` ${next}`;
    // The suffix must not be what a long name loses.
    own = labelValue(labelValue(name).slice(0, MAX_LABEL_LENGTH - suffix.length)) + suffix;
  }
  taken.add(own);
  let isHeld = true;
  return {
    name: own,
    [Symbol.dispose]: () => {
      // Once: another source may have the name by now.
      if (isHeld) taken.delete(own);
      isHeld = false;
    },
  };
}

/**
 * Returns a function that adds to a counter what a source has counted since the last time. What sources of the same name
 * have counted before stays, and nothing is counted twice when a source is observed again. A total that falls was reset.
 *
 * @param key Identifies the counter among those of the source.
 */
export function totalOf(
  registry: MetricsRegistry,
  source: object,
  key: string,
  series: CounterSeries,
): (total: number | undefined) => void {
  const { totals } = sourcesOf(registry);
  const counted = totals.get(source) ?? new Map<string, number>();
  totals.set(source, counted);
  return (total) => {
    if (!Number.isFinite(total)) return;
    const [now, before] = [total as number, counted.get(key) ?? 0];
    series.add(now >= before ? now - before : now);
    counted.set(key, now);
  };
}
