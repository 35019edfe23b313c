// `npm run bench:cuda`: how fast an NVIDIA card runs models of 7B, 13B and 70B, beside the card's own copies and beside
// PyTorch where that is installed. It is the last part of `npm run gpu-check`, without its limit of time; what was not
// run says why.

import { run } from "@polyllama/gpu-check";

const part = ["--only", "card,bench", "--minutes", "240", "--output", "bench-cuda"];
process.exit(await run([...part, ...process.argv.slice(2)]));
