// The function that a place in a source lies in, by the name that V8 gives it.

import ts from "typescript";

/**
 * Name of the innermost named function around `offset`; undefined at the top level and where the file is not
 * TypeScript.
 */
export function enclosingFunction(file: string, text: string, offset: number): string | undefined {
  if (!file.endsWith(".ts")) return undefined;
  let name: string | undefined;
  const visit = (node: ts.Node): void => {
    if (offset < node.getFullStart() || offset >= node.getEnd()) return;
    name = nameOf(node) ?? name;
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return name;
}

function nameOf(node: ts.Node): string | undefined {
  if (ts.isConstructorDeclaration(node)) return node.parent.name?.text;
  if (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) || ts.isAccessor(node))
    return node.name?.getText();
  if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return undefined;
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText();
  return undefined;
}
