// What lies in place of a file: a pointer of Git LFS, git-annex or Xet after a clone without the large files, a web
// page or a server's answer that was saved under its name, nothing at all. Every reader of a file asks here first,
// whatever it reads, since each would otherwise find something of its own to complain about.

import { CheckpointError, quoted } from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";

/** Bytes that tell. */
const startBytes = 256;

interface StandIn {
  readonly pattern: RegExp;
  readonly what: string;
  readonly remedy: string;
}

const standIns: readonly StandIn[] = [
  {
    pattern: /^version https?:\/\/(?:git-lfs|hawser|git-media)\b/,
    what: "a pointer of Git LFS, not the file itself",
    remedy: "Fetch it, in its folder, with: git lfs pull",
  },
  {
    pattern: /^(?:\/annex\/objects\/|(?:\.\.?\/)*\.git\/annex\/objects\/)/,
    what: "a pointer of git-annex, not the file itself",
    remedy: "Fetch it, in its folder, with: git annex get .",
  },
  {
    pattern: /^# xet version/,
    what: "a pointer of Xet, not the file itself",
    remedy: "Fetch it, in its folder, with: git xet checkout, or download the file again.",
  },
  {
    pattern: /^\s*<(?:!doctype|html|head|body|script|meta|\?xml|Error>)/i,
    what: "a web page, or a server's answer, that was saved in place of the file",
    remedy:
      "Download the file again, by its own address (on the hub with /resolve/ in place of /blob/), and logged in where it is gated.",
  },
  {
    pattern: /^\s*\{\s*"(?:error|message|detail)"\s*:\s*"[^"]*"/,
    what: "a server's answer that was saved in place of the file",
    remedy: "Download the file again, logged in where it is gated.",
  },
  {
    pattern:
      /^(?:Entry|Repository|Not|File|404)[ :]\s*(?:not )?found\b|^Access to model .{1,120} is restricted|^Invalid (?:username|credentials)/i,
    what: "a server's answer that was saved in place of the file",
    remedy: "Download the file again, logged in where it is gated.",
  },
  {
    pattern: new RegExp(`^\\0{${startBytes}}$`),
    what: "a file of zeros: its place was reserved and its content never came",
    remedy: "Download it again.",
  },
];

/** @throws {CheckpointError} where something else lies in place of the file. */
export async function refuseStandIn(source: ByteSource, signal?: AbortSignal): Promise<void> {
  const { name, size } = source;
  if (size === 0) throw new CheckpointError({ file: name }, "the file is empty", "Download or copy it again.");
  const start = String.fromCharCode(...(await source.read(0, Math.min(startBytes, size), signal)));
  const found = standIns.find(({ pattern }) => pattern.test(start.replace(/^\u00ef\u00bb\u00bf/, "")));
  if (found === undefined) return;
  const answer = found.what.startsWith("a server") ? ` (${quoted(start.trim(), 100)})` : "";
  throw new CheckpointError({ file: name }, `this is ${found.what}${answer}`, found.remedy);
}
