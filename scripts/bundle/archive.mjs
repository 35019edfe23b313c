// The archive. Its parts are compressed one by one and joined, which xz and gzip allow, so that each part's size is
// exact and a part that does not fit the limit can be left out.
import { spawn } from "node:child_process";
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { limit, parts } from "./contents.mjs";
import { filesIn, has, megabytes, run, say } from "./tools.mjs";

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

/** Packs a folder into an archive in the folder `output`, and returns its path. */
export async function pack(stageParent, name, output) {
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
    mkdirSync(output, { recursive: true });
    const archive = join(output, `${name}.tar.${xz ? "xz" : "gz"}`);
    rmSync(archive, { force: true });
    for (const piece of [...pieces, end])
      await pipeline(createReadStream(piece), createWriteStream(archive, { flags: "a" }));
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
