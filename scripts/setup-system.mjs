// `npm run setup:system`: what some tests need beside npm packages. A software Vulkan driver (Mesa's lavapipe, 25 or later:
// Dawn finds no adapter in older ones), a headless Chromium, Python's jinja2 and Deno, with `--full` the other runtimes and the
// bundlers of `npm test -- --full` too, in a folder of the user's own cache. The system itself, its apt configuration included, stays as it is, and nothing here needs root: Debian's packages are resolved against
// private sources, downloaded and unpacked, with those libraries that the system lacks or has too old. Where there is no
// Debian, `--chromium PATH` and `--vulkan-icd PATH` name what was installed by hand.
//
// What was found is written to one file, by which `system.mjs` finds it. When that is complete, nothing is done.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { readSystem, systemFile, systemFolder } from "./system.mjs";

/** Of each runtime the npm package that holds its program for this machine, with the version. */
const libc = process.platform === "linux" ? "-glibc" : "";
const deno = { name: `@deno/${process.platform}-${process.arch}${libc}`, program: "deno", version: "2.9.6" };
const others = {
  bun: {
    name: `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`,
    program: "bin/bun",
    version: "1.4.5",
  },
  node22: { name: `node-${process.platform}-${process.arch}`, program: "bin/node", version: "22.23.5" },
  node24: { name: `node-${process.platform}-${process.arch}`, program: "bin/node", version: "24.22.3" },
};
const bundlers = JSON.parse(readFileSync(new URL("../tests/bundlers/package.json", import.meta.url), "utf8"));
const MINUTE = 60_000;

const given = readArguments(
  "npm run setup:system",
  "Fetches what some tests need beside npm packages into the cache of the user.",
  {
    chromium: { type: "string", about: "a Chromium that is installed already" },
    "vulkan-icd": { type: "string", about: "the ICD file of a Vulkan driver that is installed already" },
    jinja2: { type: "string", about: "the folder of a jinja2 that is installed already" },
    full: { type: "boolean", default: false, about: "what npm run test:full needs, too" },
    force: { type: "boolean", default: false, about: "fetch everything anew" },
  },
);

const runtimes = given.full ? { deno, ...others } : { deno };
const bundlersVersion = Object.entries(bundlers.dependencies).flat().join(" ");

const distributions = {
  bookworm: { vulkanFrom: "bookworm-backports" }, // its own Mesa is 22
  trixie: { vulkanFrom: "trixie" }, // not tried
};
const triplets = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

const say = (text) => console.log(`setup:system: ${text}`);

/** Runs a program to its end. @throws with what it printed, also when it took too long */
function run(command, rest, { minutes = 5, env = {}, cwd } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, rest, {
    cwd,
    env: { ...process.env, LC_ALL: "C", ...env },
    encoding: "utf8",
    timeout: minutes * MINUTE,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32" && command === "npm",
  });
  if (status === 0) return stdout;
  const reason = error?.code === "ETIMEDOUT" ? `took more than ${minutes} minutes` : `ended with ${status ?? signal}`;
  throw new Error(
    `${command} ${rest.join(" ")}: ${error?.code === "ENOENT" ? "there is no such program" : reason}\n${stdout ?? ""}${stderr ?? ""}`,
  );
}

/** The release's code name, as `bookworm`. */
function codename() {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (name) => new RegExp(`^${name}="?([^"\n]*)`, "m").exec(text)?.[1];
  return { id: field("ID"), release: field("VERSION_CODENAME"), name: field("PRETTY_NAME") ?? process.platform };
}

/** Options that keep apt within a folder of ours, and lists that are up to date. */
function prepareApt(release) {
  const folder = join(systemFolder, "apt");
  for (const part of ["lists/partial", "archives/partial", "parts"]) mkdirSync(join(folder, part), { recursive: true });
  const line = (path, suite) =>
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/${path} ${suite} main`;
  const suites = [release, `${release}-updates`, distributions[release].vulkanFrom];
  const lines = [...new Set(suites)].map((suite) => line("debian", suite));
  writeFileSync(
    join(folder, "sources.list"),
    [...lines, line("debian-security", `${release}-security`), ""].join("\n"),
  );
  const settings = {
    "Dir::Etc::SourceList": join(folder, "sources.list"),
    "Dir::Etc::SourceParts": join(folder, "parts"),
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": join(folder, "parts"),
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::Cache": folder,
    "Dir::Cache::archives": join(folder, "archives"),
    "Debug::NoLocking": "true",
    "APT::Sandbox::User": "",
    "Acquire::Retries": "3",
    "Acquire::http::Timeout": "30",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  say("reading Debian's package lists ...");
  run("apt-get", [...options, "--error-on=any", "update"]);
  return { options, archives: join(folder, "archives") };
}

/** Unpacks packages, and those that they need and the system lacks, into a new folder of that name. */
function unpack({ options, archives }, name, packages, from = []) {
  // Reinstalling is how apt is made to list a package that the system has as well.
  const simulated = run("apt-get", [
    ...options,
    ...["-s", "-y", "--no-install-recommends", "--reinstall", ...from, "install", ...packages],
  ]);
  const wanted = [...simulated.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)/gm)].map(
    ([, packageName, version, architecture]) => `${packageName.split(":")[0]}:${architecture}=${version}`,
  );
  say(`${name}: downloading ${wanted.length} packages ...`);
  run("apt-get", [...options, "download", ...wanted.map((id) => id.replace(":all=", "="))], {
    minutes: 10,
    cwd: archives,
  });
  const target = join(systemFolder, name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const file of readdirSync(archives).filter((entry) => entry.endsWith(".deb"))) {
    run("dpkg-deb", ["-x", join(archives, file), target]);
    rmSync(join(archives, file));
  }
  const version = wanted.find((id) => id.startsWith(`${packages[0]}:`)).split("=")[1];
  return { target, version };
}

/** @throws when a library that the program or library needs is nowhere */
function checkLibraries(file, libraryPath) {
  const missing = run("ldd", [file], { env: { LD_LIBRARY_PATH: libraryPath } })
    .split("\n")
    .filter((line) => line.includes("not found"));
  if (missing.length > 0) throw new Error(`${file} lacks libraries:\n${missing.join("\n")}`);
}

function installVulkan(apt, release) {
  const from = ["-t", distributions[release].vulkanFrom];
  const { target, version } = unpack(apt, "vulkan", ["mesa-vulkan-drivers", "libvulkan1"], from);
  const libraryPath = join(target, "usr", "lib", triplets[process.arch]);
  const driver = join(libraryPath, "libvulkan_lvp.so");
  checkLibraries(driver, libraryPath);
  const icd = join(target, "lavapipe.json");
  const content = { file_format_version: "1.0.0", ICD: { library_path: driver, api_version: "1.4.305" } };
  writeFileSync(icd, JSON.stringify(content));
  return { icd, libraryPath, version };
}

function installChromium(apt) {
  // The font is for Chinese text in screenshots.
  const { target, version } = unpack(apt, "chromium", ["chromium-headless-shell", "fonts-wqy-microhei"]);
  const program = join(target, "usr", "lib", "chromium", "chromium-headless-shell");
  const libraries = join(target, "usr", "lib", triplets[process.arch]);
  const libraryPath = `${libraries}:${join(libraries, "pulseaudio")}`;
  checkLibraries(program, libraryPath);
  const executable = join(target, "chromium.sh");
  const environment = [`LD_LIBRARY_PATH="${libraryPath}"`, `XDG_DATA_HOME="${join(target, "usr", "share")}"`];
  writeFileSync(executable, `#!/bin/sh\nexec env ${environment.join(" ")} "${program}" "$@"\n`);
  chmodSync(executable, 0o755);
  return { executable, version };
}

/** Debian's jinja2, which runs on whatever python3 there is. */
function installJinja2(apt) {
  const { target, version } = unpack(apt, "jinja2", ["python3-jinja2", "python3-markupsafe"]);
  const folder = join(target, "usr", "lib", "python3", "dist-packages");
  run("python3", ["-c", "import jinja2.sandbox"], { minutes: 1, env: { PYTHONPATH: folder } });
  return { folder, version };
}

/** npm packages in a folder of their own, without their install scripts. */
function installPackages(folder, manifest) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    minutes: 10,
  });
}

/** The package proper of a runtime only has a script that picks the one for this machine; it is not needed. */
function installRuntime(key) {
  const { name, program, version } = runtimes[key];
  const folder = join(systemFolder, key);
  say(`${key}: installing ${version} ...`);
  installPackages(folder, { private: true, dependencies: { [name]: version } });
  const executable = join(folder, "node_modules", name, process.platform === "win32" ? `${program}.exe` : program);
  chmodSync(executable, 0o755);
  startedVersion(executable);
  return { executable, version };
}

function installBundlers() {
  const folder = join(systemFolder, "bundlers");
  const { dependencies } = bundlers;
  say("bundlers: installing ...");
  installPackages(folder, { private: true, dependencies });
  return { folder, version: bundlersVersion };
}

/** @throws when it does not start */
function startedVersion(executable) {
  const [line = ""] = run(executable, ["--version"], { minutes: 1 }).split("\n");
  return line.trim();
}

const found = given.force ? {} : { ...readSystem() };
if (given.chromium !== undefined) {
  const executable = realpathSync(resolve(given.chromium));
  found.chromium = { executable, version: startedVersion(executable) };
}
if (given["vulkan-icd"] !== undefined)
  found.vulkan = { icd: realpathSync(resolve(given["vulkan-icd"])), version: "own" };

if (given.jinja2 !== undefined) found.jinja2 = { folder: realpathSync(resolve(given.jinja2)), version: "own" };

const save = () => writeFileSync(systemFile, `${JSON.stringify(found, undefined, 2)}\n`);
mkdirSync(systemFolder, { recursive: true });

const { id, release, name } = codename();
const known = id === "debian" && release in distributions && process.arch in triplets;
const failures = [];
/** Installs one thing unless it is there, in that version if one is named; one that fails does not keep the others from being tried. */
function provide(key, install, version = found[key]?.version) {
  if (found[key] !== undefined && found[key].version === version) return;
  try {
    found[key] = install();
    save();
  } catch (error) {
    failures.push(`${key}: ${error.message}`);
  }
}

let apt;
const lists = () => {
  apt ??= prepareApt(release);
  return apt;
};
if (known) {
  provide("vulkan", () => installVulkan(lists(), release));
  provide("chromium", () => {
    const chromium = installChromium(lists());
    startedVersion(chromium.executable);
    return chromium;
  });
  provide("jinja2", () => installJinja2(lists()));
} else {
  const byHand = {
    vulkan: "a Vulkan driver (Mesa 25 or later for lavapipe); name its ICD file with --vulkan-icd PATH",
    chromium: "Chromium or Chrome; name its program with --chromium PATH",
    jinja2: "Python's jinja2; name the folder that it is in with --jinja2 PATH",
  };
  for (const [key, text] of Object.entries(byHand)) {
    if (found[key] === undefined) failures.push(`${key}: not installed by this script on ${name}. Install ${text}.`);
  }
}
for (const [key, { version }] of Object.entries(runtimes)) provide(key, () => installRuntime(key), version);
if (given.full) provide("bundlers", installBundlers, bundlersVersion);
save();

for (const [key, value] of Object.entries(found))
  say(`${key} ${value.version}: ${value.executable ?? value.icd ?? value.folder}`);
for (const failure of failures) console.error(`setup:system: FAILED: ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
