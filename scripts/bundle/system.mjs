// Node itself, launchers that need nothing of the system but its C library, and which version of that they need.
import { chmodSync, copyFileSync, existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { copy } from "./packages.mjs";
import { filesIn, has, root, run, say } from "./tools.mjs";

/** Node with the libraries of its compiler, for systems that lack them. Debugging symbols are a tenth of it. */
export function stageNode(stage) {
  const node = join(stage, "bin", "node");
  copy(process.execPath, node);
  chmodSync(node, 0o755);
  if (has("strip")) run("strip", [node]);
  else say("there is no `strip`, so that Node keeps its symbols");
  const licences = [
    join(dirname(process.execPath), "..", "LICENSE"),
    join(dirname(process.execPath), "..", "share/doc/nodejs/LICENSE"),
  ];
  const licence = licences.find((path) => existsSync(path));
  if (licence !== undefined) copy(licence, join(stage, "bin", "LICENSE"));
  const lines = run("ldd", [node]).split("\n");
  const needed = lines.flatMap((line) => /^\s*(\S+) => (\/\S+)/.exec(line)?.slice(1, 3).join(" ") ?? []);
  for (const line of needed) {
    const [name, path] = line.split(" ");
    if (/^lib(stdc\+\+|gcc_s|atomic)\.so/.test(name)) copy(realpathSync(path), join(stage, "lib", name));
    else if (!/^(lib(c|m|dl|rt|pthread)\.so|ld-linux)/.test(name)) {
      throw new Error(`this Node needs ${name}, which other systems may lack; use the one from https://nodejs.org`);
    }
  }
}

const launcher = (start) => `#!/bin/sh
# Uses the shell's own commands only, so that it runs with nothing in PATH.
case $0 in */*) here=\${0%/*} ;; *) here=. ;; esac
if [ ! -x "$here/bin/node" ]; then
  echo "$0: start this file where it lies, not through a link" >&2
  exit 1
fi
# Systems without a C++ library of their own, or with an older one, get the one in lib.
if ! "$here/bin/node" --version >/dev/null 2>&1; then
  LD_LIBRARY_PATH="$here/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export LD_LIBRARY_PATH
fi
${start}
`;

const readme = (version, glibc) => `polyllama ${version} for Linux x64 (glibc ${glibc}), with all that it needs.

  ./polyllama doctor             what this machine can run, and why not
  ./polyllama generate -p TEXT   continue a text; --backend cpu, onnxruntime, webgpu, cuda or reference; --model FILE for your own
  ./polyllama parity             do the backends agree on this machine?
  ./gpu-check                    check an NVIDIA card: results, memory errors, speed; at most 8 minutes
  ./bench cuda | capacity | big  benchmarks
  ./serve --backend cuda         text over HTTP

Copy the folder where you like; nothing is installed, and nothing is fetched.
`;

export function stageLaunchers(stage, version, glibc) {
  const files = {
    polyllama: launcher('exec "$here/bin/node" "$here/node_modules/@polyllama/cli/dist/main.js" "$@"'),
    serve: launcher('exec "$here/bin/node" "$here/apps/server/main.js" "$@"'),
    "gpu-check": launcher('exec "$here/bin/node" "$here/node_modules/@polyllama/gpu-check/dist/main.js" "$@"'),
    bench: launcher(
      [
        "name=$1",
        'case $name in cuda | capacity | big) shift ;; *) echo "usage: $0 cuda | capacity | big [options]" >&2; exit 2 ;; esac',
        'exec "$here/bin/node" "$here/benchmarks/$name.js" "$@"',
      ].join("\n"),
    ),
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(stage, name), text);
    chmodSync(join(stage, name), 0o755);
  }
  writeFileSync(join(stage, "README.txt"), readme(version, glibc));
  copyFileSync(join(root, "LICENSE"), join(stage, "LICENSE"));
}

/** The newest version of the C library that binaries ask for; those in lib are for systems that are new enough. */
export function neededGlibc(stage, isMeant) {
  let newest = [0, 0];
  for (const path of filesIn(stage).filter(isMeant)) {
    if (path.startsWith("lib/") || !/(^bin\/node|\.node|\.so[.\d]*)$/.test(path)) continue;
    for (const [, major, minor] of readFileSync(join(stage, path), "latin1").matchAll(/GLIBC_(\d+)\.(\d+)/g)) {
      const version = [Number(major), Number(minor)];
      if (version[0] > newest[0] || (version[0] === newest[0] && version[1] > newest[1])) newest = version;
    }
  }
  return newest.join(".");
}
