// Faults in vocabularies that are trained, merged and extended.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "merge-adds-twice",
    file: "merge.ts",
    find: "    known.add(piece);\n",
    replace: "",
    what: "a piece that the other vocabulary has twice is appended twice",
  },
  {
    id: "merge-loses-type",
    file: "merge.ts",
    find: "if (type !== pieceKind.normal) entry.number(3, type);",
    replace: "",
    what: "control tokens that are taken over are ordinary pieces then",
  },
  {
    id: "merge-before-settings",
    file: "merge.ts",
    find: "  model.set(base.subarray(end), end + tail.length);\n",
    replace: "",
    what: "what stands behind the pieces of a file is lost, such as how its text is normalized",
  },
  {
    id: "mean-of-first-rows",
    file: "new-rows.ts",
    find: "for (let first = 0; first < rows; first += step) {",
    replace: "for (let first = 0; first + step < rows; first += step) {",
    what: "the mean of all rows leaves the last ones out",
  },
  {
    id: "overlapping-pairs",
    file: "train/pairs.ts",
    find: "if (pairs.at(place) !== pair) continue;",
    replace: "",
    what: "in aaa the pair aa is merged twice",
  },
  {
    id: "padding-by-type-alone",
    file: "padding.ts",
    find: " && tokens[count - 1] === paddingPiece(count - 1)) count--;",
    replace: ") count--;",
    what: "unused pieces at the end of a vocabulary are taken for padding, whatever their names",
  },
];

export const vocabularyMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "vocabulary" }));
