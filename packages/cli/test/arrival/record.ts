// What was seen to arrive.

/** Values by function and option, in the order of the calls. */
export const notes: Map<string, unknown[]> = new Map();

/** Notes down a call; what is no data (functions, signals) is left out. */
export function record(where: string, given: object): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || typeof value === "function" || value instanceof AbortSignal) continue;
    const place = `${where}.${name}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) record(place, value);
    else notes.set(place, [...(notes.get(place) ?? []), value === -Infinity ? "-Infinity" : value]);
  }
}
