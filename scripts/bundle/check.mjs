// Whether the archive runs: with nothing in PATH and, where the system allows that, without a network.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manifest, root, run, say } from "./tools.mjs";

/** Unpacks the archive into an empty folder and tries what must work there, with nothing in PATH. */
export function check(archive) {
  const folder = mkdtempSync(join(tmpdir(), "polyllama bundle "));
  try {
    run("tar", ["-xf", archive, "-C", folder]);
    const [name] = readdirSync(folder);
    const home = join(folder, name);
    // Without a network, as root or where users may make namespaces of their own.
    const alone = ["unshare", "--net"];
    const cutOff = spawnSync(alone[0], [...alone.slice(1), "true"], { stdio: "ignore" }).status === 0;
    if (!cutOff) say("check: the network could not be cut off here; PATH is empty all the same");
    const environment = ["env", "-i", "PATH=/nonexistent", `HOME=${folder}`];
    const command = [...(cutOff ? alone : []), ...environment];
    const attempt = (program, rest, pattern, expected = 0) => {
      const output = run(command[0], [...command.slice(1), join(home, program), ...rest], { cwd: home, expected });
      if (!pattern.test(output)) throw new Error(`${program} ${rest.join(" ")} printed something else:\n${output}`);
      say(`check: ${program} ${JSON.stringify(rest.join(" "))}: as it should be`);
    };
    const onnxruntime = existsSync(join(home, "node_modules/onnxruntime-node"));
    const { version } = manifest(join(root, "packages/cli"));
    attempt("polyllama", ["--version"], new RegExp(`^${version}\n$`));
    const text = ["generate", "-p", "春夜\n李白\n", "-n", "24", "--seed", "1"];
    attempt("polyllama", [...text, "--backend", "reference"], /\p{L}{5}/u);
    attempt("polyllama", text, /\p{L}{5}/u);
    attempt("polyllama", ["doctor"], /reference: .*works/);
    for (const name of onnxruntime ? ["cpu", "onnxruntime"] : ["cpu"]) {
      const agrees = new RegExp(`${name} agrees with reference`);
      attempt("polyllama", ["parity", "--backends", `${name},reference`, "--tokens", "2"], agrees);
    }
    attempt("polyllama", ["inspect", "synthetic://llama-2-70b"], /70/);
    const card = existsSync("/dev/nvidiactl");
    if (!card) {
      attempt("gpu-check", ["--minutes", "1", "--no-webgpu"], /^not run: cuda was not run: No NVIDIA driver/m, 3);
      attempt("bench", ["cuda"], /70B q4_0 \| decode at 4000 \| not run: no card/, 3);
    }
    attempt("bench", ["nothing"], /^$/, 2);
    attempt("serve", ["--help"], /^usage: /);
    attempt("serve", ["--backend", "nothing"], /^$/, 2);
    for (const file of card ? [] : ["gpu-check.json", "gpu-check.md", "bench-cuda.json"]) {
      if (!existsSync(join(home, file))) throw new Error(`${file} was not written`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
