// A comparison as it is printed.

import { comparisonTables, type ModelComparison, type Table } from "@polyllama/conformance";
import { table } from "../format.ts";
import { heading, print } from "../terminal.ts";

export function printComparison({ backends, tokens }: ModelComparison): void {
  for (const backend of backends) {
    if (backend.status === "not run") continue;
    const { device } = backend;
    heading(`${backend.name}: ${device.device}`);
    const details = Object.entries(device.details).map(([key, value]) => `${key} ${value}`);
    if (details.length > 0) print(details.join(", "));
    for (const found of comparisonTables(backend, tokens.length)) printTable(found);
    print();
  }
  for (const { status, verdict } of backends) {
    print(verdict, status === "agrees" ? "green" : "red");
  }
}

function printTable({ title, header, rows }: Table): void {
  print();
  heading(title);
  const texts = rows.map((row) => row.map(({ text, differs }) => (differs ? `${text} !` : text)));
  const lines = table(header.some((cell) => cell !== "") ? [header, ...texts] : texts, [0, 1, 2]);
  for (const line of lines) print(`  ${line}`);
}
