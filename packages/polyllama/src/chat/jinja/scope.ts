// Names and their values. Scopes nest as Jinja's do: each turn of a loop, each macro and each captured block has its
// own, whose assignments nobody outside sees; branches of `if` have none. A macro sees the scope in which it stands,
// not its caller's.

import type { Value } from "./values.ts";

export class Scope {
  readonly #variables = new Map<string, Value>();
  readonly #parent: Scope | undefined;

  constructor(parent?: Scope) {
    this.#parent = parent;
  }

  set(name: string, value: Value): void {
    this.#variables.set(name, value);
  }

  get(name: string): Value | undefined {
    const own = this.#variables.get(name);
    return own === undefined ? this.#parent?.get(name) : own;
  }
}
