// Whether tests in a page can have the development data, which lie beside the project (`shared.ts`). In CI they must.

import { beforeEach, inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly developmentData: boolean;
  }
}

export const developmentData: boolean = inject("developmentData");

/** Leaves out all tests of a file where the data is missing. */
export function needDevelopmentData(): void {
  beforeEach(({ skip }) => skip(!developmentData, "needs the development data"));
}
