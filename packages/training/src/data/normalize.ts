// A text as duplicates are looked for: what differs between two copies of it, such as width, case, punctuation and
// white space, is gone.

const other = /[^\p{L}\p{N}]+/gu;

/** Letters and digits of a text, in one form and in lower case. */
export function comparable(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(other, "");
}
