// `npm run bench:cuda`: how fast an NVIDIA card runs models of 7B, 13B and 70B, beside the card's own copies and beside PyTorch where
// that is installed. It is the last part of `polyllama gpu-check`, without its limit of time; what was not run says why.

import { run } from "@polyllama/cli";

const part = ["--only", "cards,bench", "--minutes", "240", "--output", "bench-cuda"];
process.exit(await run(["gpu-check", ...part, ...process.argv.slice(2)]));
