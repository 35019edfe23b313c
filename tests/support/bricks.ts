// Pictures of walls drawn with box characters: what each brick has written on it, and which bricks it stands on.

export interface Brick {
  /** Its words, in their order. */
  readonly words: readonly string[];
  /** Numbers of the bricks right beneath it. */
  readonly on: readonly number[];
}

const lines = /[─│┌┐└┘├┤┬┴┼]/;

/** Reads a picture. Bricks are numbered from above, and from the left. */
export function readBricks(picture: string): readonly Brick[] {
  const rows = picture.split("\n").map((row) => [...row]);
  const isInside = (row: number, column: number): boolean => {
    const character = rows[row]?.[column];
    return character !== undefined && !lines.test(character);
  };
  const numbers = new Map<string, number>();
  const brickAt = (row: number, column: number): number | undefined => numbers.get(`${row},${column}`);
  const fill = (row: number, column: number, number: number): void => {
    if (!isInside(row, column) || brickAt(row, column) !== undefined) return;
    numbers.set(`${row},${column}`, number);
    for (const [down, right] of [
      [0, 1],
      [0, -1],
      [1, 0],
      [-1, 0],
    ] as const)
      fill(row + down, column + right, number);
  };
  const words: string[][] = [];
  const on: Set<number>[] = [];
  for (const [row, characters] of rows.entries()) {
    for (const column of characters.keys()) {
      if (!isInside(row, column)) continue;
      if (brickAt(row, column) === undefined) {
        fill(row, column, words.length);
        words.push([]);
        on.push(new Set());
      }
    }
    for (const { 0: word, index } of characters.join("").matchAll(/[^\s─│┌┐└┘├┤┬┴┼]+/g)) {
      words[brickAt(row, index)!]!.push(word); // every word is inside a brick
    }
  }
  for (const [row, characters] of rows.entries()) {
    for (const [column, character] of characters.entries()) {
      const [above, below] = [brickAt(row - 1, column), brickAt(row + 1, column)];
      if (lines.test(character) && above !== undefined && below !== undefined) on[above]!.add(below);
    }
  }
  return words.map((each, number) => ({ words: each, on: [...on[number]!].sort((a, b) => a - b) }));
}
