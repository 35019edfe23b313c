// What is asked of JSON that came with a checkpoint.

/** Values that a header, configuration or index has at most: far more than any model's, and little memory. */
export const mostJsonValues: number = 2 ** 18;

/** The value as a record, when it is a JSON object. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>; // JSON objects have nothing but named members
}
