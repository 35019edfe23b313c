// Whether tests in a page can have the development data, which lie beside the project (`shared.ts`). In CI they must.

import { beforeEach, inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly developmentData: boolean;
    readonly full: boolean;
  }
}

export const developmentData: boolean = inject("developmentData");

/** Whether the tests are run that `npm test` leaves out for their time, see `full.ts`. */
export const full: boolean = inject("full");

/** Leaves out all tests of a file where the data is missing. */
export function needDevelopmentData(): void {
  beforeEach(({ skip }) => skip(!developmentData, "needs the development data"));
}
