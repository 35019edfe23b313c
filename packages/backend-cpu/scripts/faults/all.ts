// All faults that are planted in the C++.

import type { NativeFault } from "./fault.ts";
import { kernelFaults } from "./kernels.ts";
import { libraryFaults } from "./library.ts";
import { productFaults } from "./products.ts";
import { trainingFaults } from "./training.ts";

export const faults: readonly NativeFault[] = [...productFaults, ...kernelFaults, ...libraryFaults, ...trainingFaults];
