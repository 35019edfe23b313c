// How files hang together: a file uses another one when it imports it, or a name of it through the entry of its
// package.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import type { Imports } from "../../scripts/lint/imports.ts";

const parse = (root: string, file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ES2022);

/** Names that a file imports by a specifier; undefined where it imports all at once, as at run time. */
function importedNames(source: ts.SourceFile, specifier: string): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const from = statement.moduleSpecifier;
    if (from === undefined || !ts.isStringLiteral(from) || from.text !== specifier) continue;
    const clause = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : statement.exportClause;
    if (clause === undefined || !(ts.isNamedImports(clause) || ts.isNamedExports(clause))) return undefined;
    for (const { name, propertyName } of clause.elements) names.add((propertyName ?? name).text);
  }
  return names.size === 0 ? undefined : names;
}

/** Names that a file declares and exports. */
function exportedNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  for (const statement of source.statements) {
    if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
      for (const { name } of statement.exportClause.elements) names.add(name.text);
    }
    if (!ts.canHaveModifiers(statement)) continue;
    if (!ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) if (ts.isIdentifier(name)) names.add(name.text);
    } else if ("name" in statement && statement.name !== undefined) {
      names.add((statement.name as ts.Identifier).text); // of a declaration
    }
  }
  return names;
}

/**
 * Whether a file uses another one.
 *
 * @param entries Files that packages' exports lead to, which only pass on what others declare.
 */
export function uses(
  root: string,
  graph: Imports["graph"],
  entries: ReadonlySet<string>,
  from: string,
  to: string,
): boolean {
  return (graph.get(from) ?? []).some(({ specifier, file }) => {
    if (file === to) return true;
    if (!entries.has(file) || !reaches(graph, entries, file, to)) return false;
    const names = importedNames(parse(root, from), specifier);
    const exported = exportedNames(parse(root, to));
    return names === undefined || [...names].some((name) => exported.has(name));
  });
}

/** Whether an entry passes on a file, by itself or through other entries. */
function reaches(graph: Imports["graph"], entries: ReadonlySet<string>, entry: string, to: string): boolean {
  return (graph.get(entry) ?? []).some(
    ({ file }) => file === to || (entries.has(file) && file !== entry && reaches(graph, entries, file, to)),
  );
}
