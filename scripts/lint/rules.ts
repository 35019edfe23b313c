// The layers and manifests as rules of dependency-cruiser, which parses the files, resolves what they import, and finds
// circles.

import type { IForbiddenRuleType } from "dependency-cruiser";
import { type Layer, optionalModules } from "./config.ts";
import { commonDependencies, type Package, readPackages } from "./packages.ts";

/** Where a name of the layers lies. */
function folderOf(name: string): string {
  return name.includes("/") || name === "conformance" ? name : `packages/${name}`;
}

/** Folders of all packages beneath a layer. @throws where a layer stands on one that does not exist, or on itself */
function beneath(layers: readonly Layer[], { name, on }: Layer, above: readonly string[] = []): Set<string> {
  if (above.includes(name)) throw new Error(`Layer ${name} stands on itself: ${[...above, name].join(" on ")}.`);
  return new Set(
    on.flatMap((lower) => {
      const layer = layers.find((each) => each.name === lower);
      if (layer === undefined) throw new Error(`Layer ${name} stands on ${lower}, which does not exist.`);
      return [...layer.packages.map(folderOf), ...beneath(layers, layer, [...above, name])];
    }),
  );
}

/** Rules by name, most general first. @throws where a package is in no layer or in two */
export function importRules(root: string, layers: readonly Layer[]): readonly IForbiddenRuleType[] {
  const packages = readPackages(root);
  const published = packages.filter((each) => each.published);
  const common = commonDependencies(root);
  const inside = `^(${packages.map(({ folder }) => quoted(folder)).join("|")})/`;
  return [
    { name: "file-circle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "unresolved",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: `^(${optionalModules.join("|")})($|/)` },
    },
    {
      name: "path-into-package",
      severity: "error",
      from: { path: inside },
      to: { path: inside, pathNot: "^$1/", dependencyTypes: ["local"], dependencyTypesNot: ["aliased"] },
    },
    {
      name: "path-into-package",
      severity: "error",
      from: { pathNot: inside },
      to: { path: inside, dependencyTypes: ["local"], dependencyTypesNot: ["aliased"] },
    },
    {
      name: "sources-import-sources",
      severity: "error",
      from: { path: `^(${published.map(({ folder }) => quoted(folder)).join("|")})/src/` },
      to: { dependencyTypes: ["local"], dependencyTypesNot: ["aliased-workspace"], pathNot: "^$1/src/" },
    },
    ...packages.flatMap((each) => packageRules(each, packages, layers, common)),
  ];
}

function packageRules(
  { folder, name, dependencies, devDependencies }: Package,
  packages: readonly Package[],
  layers: readonly Layer[],
  common: readonly string[],
): readonly IForbiddenRuleType[] {
  const [layer, ...more] = layers.filter((each) => each.packages.map(folderOf).includes(folder));
  if (layer === undefined || more.length > 0) {
    throw new Error(`${folder} must be in exactly one layer of scripts/lint/config.ts.`);
  }
  const others = packages.filter((each) => each.folder !== folder);
  const allowed = beneath(layers, layer);
  const upward = others.filter((each) => !allowed.has(each.folder)).map((each) => each.folder);
  const declared = [name, ...dependencies];
  return [
    {
      name: "upward-import",
      severity: "error",
      from: { path: `^${quoted(folder)}/src/` },
      to: { path: anyOf(upward) },
    },
    undeclared(`^${quoted(folder)}/src/`, undefined, declared, others),
    undeclared(`^${quoted(folder)}/`, `^${quoted(folder)}/src/`, [...declared, ...devDependencies, ...common], others),
  ];
}

/** That files import nothing but what is declared: neither another package of the repository nor one from elsewhere. */
function undeclared(
  path: string,
  pathNot: string | undefined,
  declared: readonly string[],
  packages: readonly Package[],
): IForbiddenRuleType {
  const own = packages.filter(({ name }) => !declared.includes(name)).map(({ folder }) => folder);
  const types = declared.map((name) => `@types/${name}`);
  return {
    name: "undeclared-dependency",
    severity: "error",
    from: { path, ...(pathNot !== undefined && { pathNot }) },
    to: {
      path: [anyOf(own), "(^|/)node_modules/"],
      pathNot: `(^|/)node_modules/(${[...declared, ...types].map(quoted).join("|")})/`,
    },
  };
}

/** A pattern for files in folders; where there are none, one that nothing fits. */
function anyOf(folders: readonly string[]): string {
  return folders.length === 0 ? "^$" : `^(${folders.map(quoted).join("|")})/`;
}

function quoted(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
