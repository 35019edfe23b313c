// `strftime` of Python's datetime in the C locale, in the machine's own time zone.

import { unsupported } from "./budget.ts";

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

/** @throws {TemplateError} for a directive that is not known here */
export function strftime(date: Date, format: string): string {
  const padded = (number: number, width = 2): string => String(number).padStart(width, "0");
  const hour = date.getHours() % 12 || 12;
  const start = Date.UTC(date.getFullYear(), 0, 0);
  const dayOfYear = (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / 86_400_000;
  const values: Readonly<Record<string, string>> = {
    "%": "%",
    A: days[date.getDay()]!,
    a: days[date.getDay()]!.slice(0, 3),
    B: months[date.getMonth()]!,
    b: months[date.getMonth()]!.slice(0, 3),
    d: padded(date.getDate()),
    "-d": String(date.getDate()),
    H: padded(date.getHours()),
    "-H": String(date.getHours()),
    I: padded(hour),
    "-I": String(hour),
    j: padded(dayOfYear, 3),
    M: padded(date.getMinutes()),
    m: padded(date.getMonth() + 1),
    "-m": String(date.getMonth() + 1),
    p: date.getHours() < 12 ? "AM" : "PM",
    S: padded(date.getSeconds()),
    w: String(date.getDay()),
    Y: String(date.getFullYear()),
    y: padded(date.getFullYear() % 100),
  };
  return format.replace(/%(-?.)?/gs, (whole, directive?: string) =>
    directive !== undefined && Object.hasOwn(values, directive)
      ? values[directive]!
      : unsupported(`strftime's ${whole}`),
  );
}
