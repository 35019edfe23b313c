// Files that were cut into pieces to fit a limit of some server, by split, by hand or by an archiver. Unlike the parts
// that llama-gguf-split makes, a piece is no file of its own: the pieces have to be joined, and this says how.

import { CheckpointError } from "@polyllama/core";

/**
 * How the name of a piece is read: the whole's name, which piece it is, and how many there are where the name says so.
 */
const spellings: readonly RegExp[] = [
  /^(?<whole>.+?)[-._]part-?(?<piece>\d+)[-_]?of[-_]?(?<count>\d+)$/i,
  /^(?<whole>.+?\.\w+)[-._](?:split|part|chunk|piece)[-_.]?(?<piece>\d+|[a-z]{1,3})$/i,
  /^(?<whole>.+?\.(?:gguf|safetensors|bin|pth|ggml))\.(?<piece>\d{2,4}|[a-z]{2})$/i,
];

interface Piece {
  readonly name: string;
  readonly whole: string;
  readonly piece: string;
  readonly count: number | undefined;
}

function pieceOf(name: string): Piece | undefined {
  for (const spelling of spellings) {
    const { whole, piece, count } = spelling.exec(name)?.groups ?? {};
    if (whole !== undefined && piece !== undefined) {
      return { name, whole, piece, count: count === undefined ? undefined : Number(count) };
    }
  }
  return undefined;
}

/** Whether a file of this name is a piece of another. */
export function isPiece(name: string): boolean {
  return pieceOf(name) !== undefined;
}

/**
 * What to do about a file that is a piece, or one that is not there while its pieces are.
 *
 * @param path As it was given, for the message.
 * @param name Its last part; of a folder undefined: then pieces of any file count.
 * @param beside Names of the files in its folder.
 */
export function handCut(
  path: string,
  name: string | undefined,
  beside: readonly string[],
): CheckpointError | undefined {
  const pieces = beside.flatMap((other) => pieceOf(other) ?? []);
  const whole = name === undefined ? pieces[0]?.whole : (pieceOf(name)?.whole ?? name);
  const own = pieces.filter((piece) => piece.whole === whole).sort((a, b) => order(a.piece, b.piece));
  if (whole === undefined || own.length === 0) return undefined;
  const problem =
    name === undefined || name === whole
      ? `${whole} was cut into pieces`
      : `this is one piece of ${whole}, which was cut by hand`;
  const count = own.find((piece) => piece.count !== undefined)?.count ?? own.length;
  if (own.length < count || own.length < 2) {
    const there = own.map((piece) => piece.name).join(", ");
    return new CheckpointError(
      { file: path },
      `${problem}; of its ${count < 2 ? "" : `${count} `}pieces only ${there} ${own.length === 1 ? "is" : "are"} here`,
      "Download the others into the folder, then open it again to see how they are joined.",
    );
  }
  return new CheckpointError({ file: path }, problem, `Join its pieces first: ${joining(own, whole)}`);
}

function joining(pieces: readonly Piece[], whole: string): string {
  const names = pieces.map((piece) => shell(piece.name));
  return `cat ${names.join(" ")} > ${shell(whole)} (on Windows: copy /b ${names.join(" + ")} ${shell(whole)})`;
}

/** A name as a shell takes it. */
function shell(name: string): string {
  return /^[\w.+=@%-]+$/.test(name) && !name.startsWith("-") ? name : `"./${name.replace(/["$`\\]/g, "\\$&")}"`;
}

/** By number, else by letters, as split counts. */
function order(a: string, b: string): number {
  const numbers = /^\d+$/.test(a) && /^\d+$/.test(b);
  return numbers ? Number(a) - Number(b) : a.length - b.length || (a < b ? -1 : 1);
}
