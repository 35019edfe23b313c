// Which cases are small enough for float64 in plain JavaScript wherever time is short: single operations, without matrices of more
// than four million elements and without texts of thousands of tokens.

export function isLight(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  return address.startsWith("op:") && Number(k) * Number(m) <= 2 ** 22 && !address.includes("scenario=long");
}
