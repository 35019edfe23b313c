// `npm run setup:system`: what some tests need beside npm packages. A software Vulkan driver (Mesa's lavapipe, 25 or
// later: Dawn finds no adapter in older ones), a headless Chromium, Python's jinja2 and Deno; with `--full` the other
// runtimes and the bundlers of `npm test -- --full` too. All of it stands in a folder of the user's own cache; the
// system stays as it is. Where there is no Debian, `--chromium PATH`, `--vulkan-icd PATH` and `--jinja2 PATH` name what
// was installed by hand.
//
// What was found is written to one file, by which `system.mjs` finds it. When that is complete, nothing is done.
import { chmodSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { checkLibraries, codename, distributions, prepareApt, run, say, triplets, unpack } from "./debian.mjs";
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
/**
 * Installs one thing unless it is there, in that version if one is named; one that fails does not keep the others from
 * being tried.
 */
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
