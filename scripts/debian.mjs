// Debian's packages in a folder of the user's own: resolved against private sources, downloaded and unpacked, with
// those libraries that the system lacks or has too old. Nothing needs root, and the system's own apt stays as it is.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemFolder } from "./system.mjs";

const minute = 60_000;

export const distributions = {
  bookworm: { vulkanFrom: "bookworm-backports" }, // its own Mesa is 22
  trixie: { vulkanFrom: "trixie" }, // not tried
};
export const triplets = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

export const say = (text) => console.log(`setup:system: ${text}`);

/** Runs a program to its end. @throws with what it printed, also when it took too long */
export function run(command, rest, { minutes = 5, env = {}, cwd } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, rest, {
    cwd,
    env: { ...process.env, LC_ALL: "C", ...env },
    encoding: "utf8",
    timeout: minutes * minute,
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
export function codename() {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (name) => new RegExp(`^${name}="?([^"\n]*)`, "m").exec(text)?.[1];
  return { id: field("ID"), release: field("VERSION_CODENAME"), name: field("PRETTY_NAME") ?? process.platform };
}

/** Options that keep apt within a folder of ours, and lists that are up to date. */
export function prepareApt(release) {
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
export function unpack({ options, archives }, name, packages, from = []) {
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
export function checkLibraries(file, libraryPath) {
  const missing = run("ldd", [file], { env: { LD_LIBRARY_PATH: libraryPath } })
    .split("\n")
    .filter((line) => line.includes("not found"));
  if (missing.length > 0) throw new Error(`${file} lacks libraries:\n${missing.join("\n")}`);
}
