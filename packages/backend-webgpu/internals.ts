// What benchmarks of this repository use of the inside: the time of each kernel.

export { canProfile, Profile } from "./src/profile.ts";
