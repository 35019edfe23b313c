// Personal data in text, by its form: what has a checksum is checked, and what has digits on both sides is none.
// Full-width letters and digits count as plain ones.

/** What was found. */
export type PersonalKind =
  | "mail address"
  | "resident identity number"
  | "card number"
  | "social security number"
  | "phone number"
  | "IP address";

/** A place in a text. */
export interface PersonalData {
  readonly kind: PersonalKind;
  /** UTF-16 offsets. */
  readonly start: number;
  readonly end: number;
}

interface Form {
  readonly kind: PersonalKind;
  readonly pattern: RegExp;
  readonly accepts?: (found: string) => boolean;
}

/** The more certain ones first: a place is only taken once. */
const forms: readonly Form[] = [
  {
    kind: "mail address",
    pattern: /(?<![\w.%+-])[\w.%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])/gi,
  },
  { kind: "resident identity number", pattern: /(?<!\d)[1-9]\d{16}[\dXx](?![\dA-Za-z])/g, accepts: residentNumber },
  { kind: "card number", pattern: /(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])/g, accepts: cardNumber },
  {
    kind: "social security number",
    pattern: /(?<![\d-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\d-])/g,
  },
  { kind: "phone number", pattern: /(?<![\d+])\+\d(?:[ .()-]{0,2}\d){7,14}(?!\d)/g },
  { kind: "phone number", pattern: /(?<![\d-])(?:86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}(?![\d-])/g },
  { kind: "phone number", pattern: /(?<![\d-])(?:0\d{2,3}-|\(0\d{2,3}\) ?)[1-9]\d{6,7}(?![\d-])/g },
  {
    kind: "phone number",
    pattern: /(?<![\d-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\d-])/g,
  },
  {
    kind: "IP address",
    pattern: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\.?\d)/g,
  },
];

/** What a text holds, in order. */
export function findPersonalData(text: string): readonly PersonalData[] {
  const plain = text.replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0));
  if (!/[@\d]/.test(plain)) return [];
  const found: PersonalData[] = [];
  for (const { kind, pattern, accepts } of forms) {
    for (const match of plain.matchAll(pattern)) {
      const [start, end] = [match.index, match.index + match[0].length];
      if (accepts?.(match[0]) === false) continue;
      if (!found.some((other) => start < other.end && other.start < end)) found.push({ kind, start, end });
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

/** Puts the kind in place of what was found, in brackets. */
export function maskPersonalData(text: string, found: readonly PersonalData[]): string {
  let masked = "";
  let from = 0;
  for (const { kind, start, end } of found) {
    masked += `${text.slice(from, start)}[${kind}]`;
    from = end;
  }
  return masked + text.slice(from);
}

/** A Chinese identity number: a date of birth and the checksum of ISO 7064, MOD 11-2. */
function residentNumber(digits: string): boolean {
  const [year, month, day] = [digits.slice(6, 10), digits.slice(10, 12), digits.slice(12, 14)].map(Number) as [
    number,
    number,
    number, // three slices
  ];
  const date = new Date(Date.UTC(year, month - 1, day));
  if (year < 1850 || year > 2100 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return false;
  let sum = 0;
  for (let at = 0; at < 17; at++) sum += (2 ** (17 - at) % 11) * Number(digits[at]);
  return "10X98765432"[sum % 11] === digits[17]!.toUpperCase(); // 18 characters, by the pattern
}

/** The checksum of Luhn. */
function cardNumber(found: string): boolean {
  const digits = Array.from(found.replace(/[ -]/g, ""), Number).reverse();
  if (digits.every((digit) => digit === digits[0])) return false;
  const sum = digits.reduce((all, digit, at) => {
    const value = at % 2 === 0 ? digit : 2 * digit;
    return all + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
