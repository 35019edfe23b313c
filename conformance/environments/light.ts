// Which cases are left out where time is short, by what their addresses say.

const large =
  /^model:(vocabulary:|layer:model=llama-2-(13b|70b)|(paths|end-to-end):model=k-quants)|^op:attention:.*past=(700|4160);/;

/** The sizes of 13B, 70B and real vocabularies, and long texts beyond the first, which take a software adapter seconds each. */
export function isLarge(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  return Number(k) * Number(m) > 2 ** 24 || large.test(address);
}

/**
 * Small enough for float64 in plain JavaScript: single operations, without matrices of more than four million elements and
 * without texts of thousands of tokens.
 */
export function isLight(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  return address.startsWith("op:") && Number(k) * Number(m) <= 2 ** 22 && !address.includes("scenario=long");
}

/**
 * A sample of the light ones that has every operation, format and kind of input, for environments in which what computes is what
 * computes elsewhere.
 */
export function isSample(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  const short = Number(k) * Number(m) <= 2 ** 12 || /;n=(1|5);k=512;/.test(address);
  return isLight(address) && short && !/;d=4096|past=4095/.test(address);
}
