// @polyllama/cli: the `polyllama` command. One file per command lies in commands/, one per concern beside this one.

export { run } from "./program.ts";
