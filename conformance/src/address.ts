// Cases are data with addresses, so that a finding can be named, listed, filtered and run again alone:
// `op:linear:format=q4_0;n=1;k=4096;m=11008;input=normal`.

import { PolyllamaError } from "@polyllama/core";

export type Parameters = Readonly<Record<string, string | number>>;

/** `suite:name:key=value;key=value`. Parameters keep their order. */
export function formatAddress(suite: string, name: string, parameters: Parameters): string {
  const listed = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  return [suite, name, ...(listed.length > 0 ? [listed.join(";")] : [])].join(":");
}

/**
 * A test of addresses by a filter such as `op:linear`, `op:*:format=q4_0` or `op:linear:k=4096;n=1`: suite and name may
 * be `*` or left out, and every parameter that is given must be there.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for a filter of another form.
 */
export function addressFilter(filter: string): (address: string) => boolean {
  const wanted = parse(filter);
  if (wanted === undefined) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `"${filter}" is not a filter of cases; write suite:name:key=value;key=value.`,
    );
  }
  return (address) => {
    const { suite, name, parameters } = parse(address)!; // addresses are made by formatAddress
    return (
      ["", "*", suite].includes(wanted.suite) &&
      ["", "*", name].includes(wanted.name) &&
      [...wanted.parameters].every(([key, value]) => parameters.get(key) === value)
    );
  };
}

function parse(address: string) {
  const [suite = "", name = "", listed = "", ...rest] = address.split(":");
  const entries = listed === "" ? [] : listed.split(";").map((entry) => entry.split("="));
  if (rest.length > 0 || entries.some((entry) => entry.length !== 2 || entry[0] === "")) return undefined;
  const parameters = new Map(entries.map(([key, value]) => [key!, value!]));
  return { suite, name, parameters };
}
