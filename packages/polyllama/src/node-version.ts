// Says which Node is needed before anything of a later Node is missed. In browsers there is nothing to check; Bun and
// Deno call themselves a Node of the version that they are like.

const found = globalThis.process?.versions?.node?.split(".").map(Number);
if (found !== undefined) {
  const [major = 0, minor = 0] = found;
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`polyllama needs Node 20.19 or later; this is ${found.join(".")}.`);
  }
}
