// The suite in Chromium, on SwiftShader: no f16, subgroups of 4, other treatment of subnormals and bounds than lavapipe. A subset
// that covers every kernel; `npm run conformance:webgpu` runs all.

import { webgpu } from "@polyllama/backend-webgpu";
import { conformance } from "@polyllama/conformance/vitest";

const smallModels = /^model:(nodes|end-to-end|paths|repetition|overflow):/;
const tooLarge = 2 ** 22;

function chosen(address: string): boolean {
  if (smallModels.test(address)) return true;
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  return address.startsWith("op:") && Number(k) * Number(m) <= tooLarge && !address.includes("scenario=long");
}

conformance(() => webgpu(), { filter: chosen });
