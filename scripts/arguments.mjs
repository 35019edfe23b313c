// Arguments of the repository's own programs: `--help` prints what there is, and what is wrong is one line and exit
// code 2. Plain JavaScript, since some of these programs run before any package is installed; types stand in
// arguments.d.mts.
import { parseArgs } from "node:util";

export function readArguments(command, about, options) {
  const known = { ...options, help: { type: "boolean", short: "h", about: "print this help" } };
  try {
    const { values } = parseArgs({ options: known, allowNegative: true });
    if (!values.help) return values;
  } catch (error) {
    if (!String(error.code).startsWith("ERR_PARSE_ARGS")) throw error;
    process.stderr.write(`error: ${error.message.split(". ")[0]}; \`${command} -- --help\` lists the options\n`);
    process.exit(2);
  }
  process.stdout.write(help(command, about, known));
  process.exit(0);
}

function help(command, about, options) {
  const rows = Object.entries(options).map(([name, { type, default: value, multiple, about: text }]) => {
    const flag = `--${type === "boolean" && value === true ? "no-" : ""}${name}${type === "string" ? " VALUE" : ""}`;
    const shown = type === "string" && value !== undefined ? ` (default: ${value})` : "";
    return [flag, `${text}${multiple ? "; repeatable" : ""}${shown}`];
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  const lines = rows.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}\n`);
  return `usage: ${command} -- [options]\n\n${about}\n\n${lines.join("")}`;
}
