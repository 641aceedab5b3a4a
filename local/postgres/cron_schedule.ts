/**
 * Schedules of `pg_cron`.
 *
 * @module
 */

/** A schedule: an interval, or the minutes at which a job runs. */
export type Schedule =
  | { readonly everyS: number }
  | { readonly matches: (time: Date) => boolean };

const ALIASES: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Returns the numbers that a field names; `undefined` if it is not valid. */
function parseField(text: string, least: number, most: number, names: readonly string[] = []): Set<number> | undefined {
  const numberOf = (word: string) => {
    const index = names.indexOf(word);
    return index >= 0 ? index + least : /^\d{1,2}$/.test(word) ? Number(word) : NaN;
  };
  const found = new Set<number>();
  for (const item of text.split(",")) {
    const [, first = "", last, step = "1"] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d{1,2}))?$/.exec(item) ?? [];
    const [start, end] = first === "*"
      ? [least, most]
      : [numberOf(first), last === undefined ? (item.includes("/") ? most : numberOf(first)) : numberOf(last)];
    if (!(start >= least && end <= most && start <= end && Number(step) > 0)) return undefined;
    for (let value = start; value <= end; value += Number(step)) found.add(value);
  }
  return found;
}

/** Returns a schedule; `undefined` if `text` is not valid. Times are in UTC, as on the hosted platform. */
export function parseSchedule(text: string): Schedule | undefined {
  const trimmed = text.trim().toLowerCase();
  const seconds = /^(\d+)\s+seconds?$/.exec(trimmed)?.[1];
  if (seconds !== undefined) {
    return Number(seconds) >= 1 && Number(seconds) <= 59 ? { everyS: Number(seconds) } : undefined;
  }
  const fields = (ALIASES[trimmed] ?? trimmed).split(/\s+/);
  if (fields.length !== 5) return undefined;
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const [minutes, hours, months] = [
    parseField(minute, 0, 59),
    parseField(hour, 0, 23),
    parseField(month, 1, 12, MONTHS),
  ];
  // `$` is the last day of the month. Day 7 is Sunday as well.
  const [days, weekdays] = [
    day === "$" ? new Set<number>() : parseField(day, 1, 31),
    parseField(weekday, 0, 7, DAYS),
  ];
  if (!minutes || !hours || !months || !days || !weekdays) return undefined;
  if (weekdays.has(7)) weekdays.add(0);
  const isDay = (time: Date) => {
    const isLast = new Date(time.getTime() + 86_400_000).getUTCDate() === 1;
    const onDay = day === "$" ? isLast : days.has(time.getUTCDate());
    const onWeekday = weekdays.has(time.getUTCDay());
    // Either is enough if both are restricted, as in cron.
    return day.startsWith("*") || weekday.startsWith("*") ? onDay && onWeekday : onDay || onWeekday;
  };
  return {
    matches: (time) =>
      minutes.has(time.getUTCMinutes()) && hours.has(time.getUTCHours()) && months.has(time.getUTCMonth() + 1) &&
      isDay(time),
  };
}
