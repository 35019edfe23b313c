// `npm run bundle`: everything that runs polyllama on a Linux x64 machine without a network, as one archive: Node itself, the built
// packages with what they need at run time, and launchers. `--check` unpacks it and tries it with nothing in PATH and, where the
// system allows that, without a network. `--no-build` takes the packages as they were built last.
//
// The archive's parts are compressed one by one and joined, which xz and gzip allow, so that each part's size is exact and a part
// that does not fit the limit can be left out.
import "./setup.mjs";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join, relative, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { readArguments } from "./arguments.mjs";

const limit = 55e6;
const root = fileURLToPath(new URL("..", import.meta.url));
const options = readArguments(
  "npm run bundle",
  "Packs everything that runs polyllama on Linux x64 without a network into one archive.",
  {
    output: { type: "string", default: "bundle", about: "folder for the archive" },
    check: { type: "boolean", default: false, about: "unpack it and try it" },
    build: { type: "boolean", default: true, about: "take the packages as they were built last" },
  },
);

/** Workspaces that the bundle begins with; what they depend on follows. */
const roots = ["packages/cli", "apps/server"];
/** Programs of this repository that are no packages, and where they go. */
const programs = {
  "benchmarks/cuda.ts": "benchmarks/cuda.js",
  "benchmarks/capacity.ts": "benchmarks/capacity.js",
  "benchmarks/big.ts": "benchmarks/big.js",
  "benchmarks/engines/protocol.ts": "benchmarks/engines/protocol.js",
  ...Object.fromEntries(
    readdirSync(join(root, "apps/server/src")).map((file) => [
      `apps/server/src/${file}`,
      `apps/server/${file.replace(/\.ts$/, ".js")}`,
    ]),
  ),
};
/** Files of packages that bring more than is run here. */
const chosenFiles = {
  "onnxruntime-node": ["package.json", "README.md", "bin/napi-v6/linux/x64/libonnxruntime.so.1"],
  webgpu: ["package.json", "LICENSE.md", "index.js", "dist/linux-x64/dawn.node"],
  "@koromix/koffi-linux-x64": ["package.json", "index.js", "linux_x64/koffi.node"],
  "@bufbuild/protobuf": ["package.json", "README.md", "dist/esm"],
};
/** What these need is for their installation, or for types. */
const withoutDependencies = new Set(["onnxruntime-node", "webgpu"]);
/** Parts by the beginning of a path, the first that fits; the last one takes the rest. The optional ones may be left out. */
const parts = [
  { name: "Node", paths: ["bin/", "lib/"] },
  { name: "Dawn (webgpu)", paths: ["node_modules/webgpu/"] },
  { name: "poet", paths: ["node_modules/@polyllama/model-poet/"] },
  { name: "CUDA kernels", paths: ["node_modules/@polyllama/backend-cuda/images/"] },
  { name: "packages and programs", paths: [""] },
  {
    name: "ONNX Runtime",
    paths: ["node_modules/onnxruntime-node/"],
    optional: "without it --backend onnxruntime does not run; use reference, webgpu or cuda",
  },
];

const say = (text) => console.log(`bundle: ${text}`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** Runs a program to its end and returns its standard output. @throws with what it printed */
function run(command, rest, { cwd = root, env = process.env, expected = 0, minutes = 10 } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, rest, {
    cwd,
    env,
    encoding: "utf8",
    timeout: minutes * 60_000,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 28,
  });
  if (status === expected) return stdout;
  const reason = error?.message ?? `ended with ${status ?? signal} instead of ${expected}`;
  throw new Error(`${command} ${rest.join(" ")}: ${reason}\n${stdout ?? ""}${stderr ?? ""}`);
}

const has = (program) => spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
const manifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/** The folder of a package as Node would find it from another one; undefined where it is not installed. */
function findPackage(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

/** All packages that are needed, by their real folder, with their place in the bundle. */
function collectPackages() {
  const found = new Map();
  const add = (folder, place) => {
    const real = realpathSync(folder);
    if (found.has(real)) return;
    const { name, dependencies = {}, optionalDependencies = {} } = manifest(real);
    found.set(real, { name, place, own: !real.includes("node_modules") });
    if (withoutDependencies.has(name)) return;
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const at = findPackage(needed, real);
      if (at !== undefined) {
        // A package that lies within another one's folder stays there, since another version has its usual place.
        const nested = relative(real, at).startsWith("..") ? undefined : join(place, "node_modules", needed);
        add(at, nested ?? join("node_modules", needed));
      } else if (!(needed in optionalDependencies)) throw new Error(`${name} needs ${needed}, which is not installed`);
    }
  };
  for (const workspace of roots) add(join(root, workspace), join("node_modules", manifest(join(root, workspace)).name));
  return found;
}

/** Paths of files below a folder, other packages' excluded. */
function filesOf(folder, below = "") {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === "node_modules" ? [] : filesOf(folder, path);
  });
}

const runs = new Set([".js", ".mjs", ".cjs", ".json", ".node", ".py"]);

/** What of a package is run, with its licence. */
function chosen(folder, { name, own }) {
  const isIn = (path, listed) => path === listed || path.startsWith(`${listed}/`);
  const listed = chosenFiles[name] ?? (own ? ["package.json", ...(manifest(folder).files ?? [])] : undefined);
  const files = filesOf(folder).filter((path) => listed === undefined || listed.some((entry) => isIn(path, entry)));
  if (chosenFiles[name] !== undefined) return files.filter((path) => !/\.(map|d\.[cm]?ts)$/.test(path));
  return files.filter((path) =>
    own
      ? !/\.(map|d\.ts)$/.test(path) && !path.includes("__pycache__")
      : runs.has(extname(path)) || /licen[sc]e/i.test(path),
  );
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

function stagePackages(stage) {
  for (const [folder, info] of collectPackages()) {
    if (info.name === "@polyllama/app-server") continue; // its program is compiled below
    if (info.own && !existsSync(join(folder, "dist")))
      throw new Error(`${info.name} is not built; leave out --no-build`);
    for (const path of chosen(folder, info)) copy(join(folder, path), join(stage, info.place, path));
  }
  for (const [source, target] of Object.entries(programs)) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, source), "utf8"), {
      fileName: source,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    mkdirSync(dirname(join(stage, target)), { recursive: true });
    writeFileSync(join(stage, target), outputText);
  }
  copy(join(root, "scripts", "arguments.mjs"), join(stage, "scripts", "arguments.mjs"));
  for (const folder of ["benchmarks", "apps"])
    writeFileSync(join(stage, folder, "package.json"), '{ "type": "module" }\n');
}

/** Node with the libraries of its compiler, for systems that lack them. Debugging symbols are a tenth of it. */
function stageNode(stage) {
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
  ./polyllama generate -p TEXT   continue a text; --backend onnxruntime, webgpu, cuda or reference; --model FILE for your own
  ./polyllama parity             do the backends agree on this machine?
  ./polyllama gpu-check          check an NVIDIA card: results, memory errors, speed; at most 8 minutes
  ./bench cuda | capacity | big  benchmarks
  ./serve --backend cuda         text over HTTP

Copy the folder where you like; nothing is installed, and nothing is fetched.
`;

function stageLaunchers(stage, version, glibc) {
  const files = {
    polyllama: launcher('exec "$here/bin/node" "$here/node_modules/@polyllama/cli/dist/main.js" "$@"'),
    serve: launcher('exec "$here/bin/node" "$here/apps/server/main.js" "$@"'),
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
function neededGlibc(stage, isMeant) {
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

/** All files of the bundle, sorted. */
function filesIn(stage, below = "") {
  return readdirSync(join(stage, below), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(below, entry.name);
      return entry.isDirectory() ? filesIn(stage, path) : [path];
    })
    .sort();
}

/** The files as a tar stream without the blocks that end an archive, compressed into a file. */
async function compress(base, files, compressor, target) {
  const tarball = `${target}.tar`;
  const list = `${target}.list`;
  writeFileSync(list, `${files.join("\n")}\n`);
  const same = [
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "--mode=u+rw,go+r,go-w",
    "--format=gnu",
    "-b1",
  ];
  run("tar", [...same, "-cf", tarball, "-T", list], { cwd: base });
  const end = statSync(tarball).size - 1024;
  await compressStream(createReadStream(tarball, { end: end - 1 }), compressor, target);
  rmSync(tarball);
}

async function compressStream(input, [command, ...rest], target) {
  const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => (code === 0 ? done() : fail(new Error(`${command} ended with ${code}`))));
  });
  await Promise.all([pipeline(input, child.stdin), pipeline(child.stdout, createWriteStream(target)), ended]);
}

async function pack(stageParent, name) {
  const stage = join(stageParent, name);
  const xz = has("xz");
  if (!xz) say("there is no `xz`; gzip makes the archive larger");
  const compressor = xz ? ["xz", "-6", "--threads=2", "--stdout"] : ["gzip", "-9", "--no-name", "--stdout"];
  const partOf = (path) =>
    parts.find(({ paths }) => paths.some((start) => start !== "" && path.startsWith(start))) ??
    parts.find(({ paths }) => paths[0] === "");
  const byPart = new Map(parts.map((part) => [part, []]));
  for (const path of filesIn(stage)) byPart.get(partOf(path)).push(path);

  const work = mkdtempSync(join(tmpdir(), "polyllama-bundle-"));
  const pieces = [];
  let total = 0;
  try {
    for (const [part, files] of byPart) {
      if (files.length === 0) {
        say(`${part.name}: nothing`);
        continue;
      }
      const target = join(work, String(pieces.length));
      await compress(
        stageParent,
        files.map((path) => join(name, path)),
        compressor,
        target,
      );
      const { size } = statSync(target);
      const raw = files.reduce((sum, path) => sum + statSync(join(stage, path)).size, 0);
      const line = `${part.name}: ${megabytes(size)} (${megabytes(raw)} unpacked, ${files.length} files)`;
      if (part.optional !== undefined && total + size + 1024 > limit) {
        say(`LEFT OUT ${line}: ${part.optional}`);
        continue;
      }
      say(line);
      total += size;
      pieces.push(target);
    }
    const end = join(work, "end");
    writeFileSync(`${end}.zero`, Buffer.alloc(1024));
    await compressStream(createReadStream(`${end}.zero`), compressor, end);
    mkdirSync(resolve(root, options.output), { recursive: true });
    const archive = resolve(root, options.output, `${name}.tar.${xz ? "xz" : "gz"}`);
    rmSync(archive, { force: true });
    for (const piece of [...pieces, end])
      await pipeline(createReadStream(piece), createWriteStream(archive, { flags: "a" }));
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Unpacks the archive into an empty folder and tries what must work there, with nothing in PATH. */
function check(archive) {
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
    const cpu = existsSync(join(home, "node_modules/onnxruntime-node"));
    const { version } = manifest(join(root, "packages/cli"));
    attempt("polyllama", ["--version"], new RegExp(`^${version}\n$`));
    const text = ["generate", "-p", "春夜\n李白\n", "-n", "24", "--seed", "1"];
    attempt("polyllama", [...text, "--backend", "reference"], /\p{L}{5}/u);
    if (cpu) attempt("polyllama", text, /\p{L}{5}/u);
    attempt("polyllama", ["doctor", "--backend", cpu ? "onnxruntime" : "reference"], /reference: .*works/);
    if (cpu)
      attempt(
        "polyllama",
        ["parity", "--backends", "onnxruntime,reference", "--tokens", "2"],
        /onnxruntime agrees with reference/,
      );
    attempt("polyllama", ["inspect", "synthetic://llama-2-70b"], /70/);
    const card = existsSync("/dev/nvidiactl");
    if (!card) {
      attempt(
        "polyllama",
        ["gpu-check", "--minutes", "1", "--no-webgpu"],
        /^not run: cuda was not run: No NVIDIA driver/m,
        3,
      );
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

if (process.platform !== "linux" || process.arch !== "x64") {
  console.error(
    "bundle: the bundle is for Linux x64, and its binaries are taken from there; run this on such a machine.",
  );
  process.exit(1);
}
if (options.build) {
  say("building the packages ...");
  const wanted = roots.map((workspace) => `--filter=${manifest(join(root, workspace)).name}...`);
  run("npx", ["turbo", "run", "build", ...wanted, "--output-logs=errors-only"], { minutes: 20 });
}
const { version } = manifest(join(root, "packages/cli"));
const name = `polyllama-${version}-linux-x64`;
const work = mkdtempSync(join(tmpdir(), "polyllama-stage-"));
try {
  const stage = join(work, name);
  stagePackages(stage);
  stageNode(stage);
  const isDawn = (path) => path.startsWith("node_modules/webgpu/");
  const glibc = `${neededGlibc(stage, (path) => !isDawn(path))} or later, for the webgpu backend ${neededGlibc(stage, isDawn)}`;
  stageLaunchers(stage, version, glibc);
  say(`Node ${process.version}; needs glibc ${glibc}`);
  const archive = await pack(work, name);
  const { size } = statSync(archive);
  const hash = createHash("sha256");
  await pipeline(createReadStream(archive), hash);
  const sum = hash.digest("hex");
  writeFileSync(`${archive}.sha256`, `${sum}  ${name}${archive.slice(archive.indexOf(".tar"))}\n`);
  say(`${relative(process.cwd(), archive)}: ${megabytes(size)} of ${megabytes(limit)}`);
  say(`sha256 ${sum}`);
  if (size > limit) throw new Error(`the archive exceeds ${megabytes(limit)}`);
  if (options.check) check(archive);
} finally {
  rmSync(work, { recursive: true, force: true });
}
