// The built packages with what they need at run time, and the programs that are no packages.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import ts from "typescript";
import { chosenFiles, programs, roots, withoutDependencies } from "./contents.mjs";
import { manifest, root } from "./tools.mjs";

/** The folder of a package as Node would find it from another one; undefined where it is not installed. */
function findPackage(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

/** All packages that are needed, by their real folder, with their place in the bundle. */
function collectPackages() {
  const found = new Map();
  const add = (folder, place) => {
    const real = realpathSync(folder);
    if (found.has(real)) return;
    const { name, dependencies = {}, optionalDependencies = {} } = manifest(real);
    found.set(real, { name, place, own: !real.includes("node_modules") });
    if (withoutDependencies.has(name)) return;
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const at = findPackage(needed, real);
      if (at !== undefined) {
        // A package that lies within another one's folder stays there, since another version has its usual place.
        const nested = relative(real, at).startsWith("..") ? undefined : join(place, "node_modules", needed);
        add(at, nested ?? join("node_modules", needed));
      } else if (!(needed in optionalDependencies)) throw new Error(`${name} needs ${needed}, which is not installed`);
    }
  };
  for (const workspace of roots) add(join(root, workspace), join("node_modules", manifest(join(root, workspace)).name));
  return found;
}

/** Paths of files below a folder, other packages' excluded. */
function filesOf(folder, below = "") {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === "node_modules" ? [] : filesOf(folder, path);
  });
}

const runs = new Set([".js", ".mjs", ".cjs", ".json", ".node", ".py"]);

/** What of a package is run, with its licence. */
function chosen(folder, { name, own }) {
  const isIn = (path, listed) => path === listed || path.startsWith(`${listed}/`);
  const listed = chosenFiles[name] ?? (own ? ["package.json", ...(manifest(folder).files ?? [])] : undefined);
  const files = filesOf(folder).filter((path) => listed === undefined || listed.some((entry) => isIn(path, entry)));
  if (chosenFiles[name] !== undefined) return files.filter((path) => !/\.(map|d\.[cm]?ts)$/.test(path));
  return files.filter((path) =>
    own
      ? !/\.(map|d\.ts)$/.test(path) && !path.includes("__pycache__")
      : runs.has(extname(path)) || /licen[sc]e/i.test(path),
  );
}

export function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

export function stagePackages(stage) {
  for (const [folder, info] of collectPackages()) {
    if (info.name === "@polyllama/app-server") continue; // its program is compiled below
    if (info.own && !existsSync(join(folder, "dist")))
      throw new Error(`${info.name} is not built; leave out --no-build`);
    for (const path of chosen(folder, info)) copy(join(folder, path), join(stage, info.place, path));
  }
  for (const [source, target] of Object.entries(programs)) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, source), "utf8"), {
      fileName: source,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    mkdirSync(dirname(join(stage, target)), { recursive: true });
    writeFileSync(join(stage, target), outputText);
  }
  copy(join(root, "scripts", "arguments.mjs"), join(stage, "scripts", "arguments.mjs"));
  for (const folder of ["benchmarks", "apps"])
    writeFileSync(join(stage, folder, "package.json"), '{ "type": "module" }\n');
}
