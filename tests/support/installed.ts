// The packages as npm installs them, without npm: manifests, the files that are published, and the JavaScript that
// `npm run build` emits, made by the same compiler without a look at types, which takes seconds. That the real tarballs
// install is shown by packages.test.ts; this serves tests of what bundles and runs them.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly files: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Folders of the repository's packages by name. */
const packages: ReadonlyMap<string, string> = new Map(
  readdirSync(join(root, "packages")).map((name) => {
    const folder = join(root, "packages", name);
    return [readManifest(folder).name, folder];
  }),
);

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}

/**
 * Puts packages of this repository, and what they depend on, into `project`'s node_modules. Packages of others are
 * copied, as some bundlers refuse links; `link: true` links them instead, for those with large native libraries.
 */
export function installPackages(
  project: string,
  names: readonly string[],
  { link = false }: { readonly link?: boolean } = {},
): void {
  for (const name of names) install(join(project, "node_modules"), name, link);
}

function install(modules: string, name: string, link: boolean): void {
  const target = join(modules, name);
  if (existsSync(target)) return;
  const own = packages.get(name);
  const source = own ?? join(root, "node_modules", name);
  if (!existsSync(source)) return; // an optional one, for another platform
  mkdirSync(dirname(target), { recursive: true });
  if (own !== undefined) installOwn(own, target);
  else if (link) symlinkSync(source, target, "junction");
  else cpSync(source, target, { recursive: true });
  if (own === undefined && link) return; // what it needs is found beside the original
  const { dependencies, optionalDependencies } = readManifest(source);
  for (const needed of Object.keys({ ...dependencies, ...(link && optionalDependencies) }))
    install(modules, needed, link);
}

function installOwn(source: string, target: string): void {
  const { files } = readManifest(source);
  for (const file of ["package.json", ...files]) {
    if (file !== "dist") cpSync(join(source, file), join(target, file), { recursive: true });
  }
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(source, "tsconfig.build.json"), ts.sys.readFile).config,
    ts.sys,
    source,
  );
  for (const file of readdirSync(join(source, "src"), { recursive: true, encoding: "utf8" })) {
    if (!/\.[jt]s$/.test(file)) continue;
    const fileName = join(source, "src", file);
    // A file alone does not say that its package is one of ES modules.
    const compilerOptions = { ...options, module: ts.ModuleKind.ESNext, declaration: false, sourceMap: false };
    const { outputText } = ts.transpileModule(readFileSync(fileName, "utf8"), { fileName, compilerOptions });
    const output = join(target, "dist", relative(join(source, "src"), fileName).replace(/\.ts$/, ".js"));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, outputText);
  }
}
