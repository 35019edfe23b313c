// Whether the tests are run that `npm test` leaves out for their time (`npm test -- --full`): files named
// `*.full.test.ts`, and more inputs where a test draws them.

export const full: boolean = process.env["POLYLLAMA_TEST_FULL"] === "1";

/** How many inputs a test draws: `few` in `npm test`, `many` in `npm test -- --full`. */
export function amount(few: number, many: number): number {
  return full ? many : few;
}
