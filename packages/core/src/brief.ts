// What `console.log` and `JSON.stringify` show of objects that hold a whole model: a few facts instead of all that can
// be reached.

const inspect = Symbol.for("nodejs.util.inspect.custom"); // Node's, Bun's and Deno's

/**
 * Makes an object, or with a prototype all objects of a class, show the given facts: as one line where it is logged, as
 * an object in JSON.
 *
 * @param own Whether copies by spread shall show them too.
 */
export function showBriefly<Self extends object>(
  target: Self,
  name: string,
  facts: (self: Self) => Readonly<Record<string, unknown>>,
  own: boolean = false,
): Self {
  return Object.defineProperties(target, {
    toJSON: {
      configurable: true,
      enumerable: own,
      value(this: Self) {
        return facts(this);
      },
    },
    [inspect]: {
      configurable: true,
      enumerable: own,
      value(this: Self) {
        const entries = Object.entries(facts(this)).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
        return `${name} { ${entries.join(", ")} }`;
      },
    },
  });
}
