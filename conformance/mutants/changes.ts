// Small changes to a TypeScript source, each of which may be a fault: other operators, bounds and offsets by one,
// dropped terms and statements, swapped arguments, negated conditions. What an error says is left alone, and so are
// types and long tables.

import ts from "typescript";

export interface Change {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const operators = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
  [ts.SyntaxKind.AmpersandAmpersandToken, "||"],
  [ts.SyntaxKind.BarBarToken, "&&"],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [ts.SyntaxKind.PlusEqualsToken, "-="],
  [ts.SyntaxKind.MinusEqualsToken, "+="],
  [ts.SyntaxKind.LessThanLessThanToken, ">>"],
  [ts.SyntaxKind.GreaterThanGreaterThanToken, "<<"],
]);

/** Elements from which an array of literals is a table. */
const table = 8;

export function typescriptChanges(file: string, text: string): readonly Change[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const changes: Change[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isThrowStatement(node)) return;
    if (ts.isArrayLiteralExpression(node) && node.elements.length >= table) return;
    if (ts.isNewExpression(node) && /Error$/.test(node.expression.getText())) return;
    changes.push(...changesOf(node));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return changes;
}

function changesOf(node: ts.Node): readonly Change[] {
  if (ts.isBinaryExpression(node)) return binary(node);
  if (ts.isNumericLiteral(node)) return number(node);
  if (ts.isCallExpression(node)) return swapped(node);
  if (ts.isExpressionStatement(node)) return dropped(node);
  if (ts.isElementAccessExpression(node)) return offset(node);
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) return negated(node.expression);
  if (ts.isConditionalExpression(node)) return negated(node.condition);
  return ts.isPropertyAccessExpression(node) ? length(node) : [];
}

const over = (kind: string, node: ts.Node, replacement: string): Change => ({
  kind,
  start: node.getStart(),
  end: node.getEnd(),
  replacement,
});

function isText(node: ts.Node): boolean {
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
}

function binary(node: ts.BinaryExpression): readonly Change[] {
  const { left, right, operatorToken: token } = node;
  const other = operators.get(token.kind);
  const changes = other === undefined || isText(left) || isText(right) ? [] : [over("operator", token, other)];
  const isSum = token.kind === ts.SyntaxKind.PlusToken || token.kind === ts.SyntaxKind.MinusToken;
  const isChoice = token.kind === ts.SyntaxKind.AmpersandAmpersandToken || token.kind === ts.SyntaxKind.BarBarToken;
  if (isSum || isChoice) changes.push(over("dropped term", node, left.getText()));
  if (isChoice || token.kind === ts.SyntaxKind.PlusToken) changes.push(over("dropped term", node, right.getText()));
  return changes;
}

function number(node: ts.NumericLiteral): readonly Change[] {
  if (ts.isPropertyAssignment(node.parent) && node.parent.name === node) return [];
  const value = Number(node.getText().replaceAll("_", ""));
  if (!Number.isSafeInteger(value)) return [];
  return [over("bound", node, String(value + 1)), ...(value > 0 ? [over("bound", node, String(value - 1))] : [])];
}

function swapped(node: ts.CallExpression): readonly Change[] {
  const [first, second] = node.arguments;
  if (first === undefined || second === undefined || first.getText() === second.getText()) return [];
  const simple = (argument: ts.Node): boolean =>
    !ts.isArrowFunction(argument) && !ts.isObjectLiteralExpression(argument) && !ts.isSpreadElement(argument);
  if (!simple(first) || !simple(second)) return [];
  const replacement = `${second.getText()}, ${first.getText()}`;
  return [{ kind: "swapped arguments", start: first.getStart(), end: second.getEnd(), replacement }];
}

function dropped(node: ts.ExpressionStatement): readonly Change[] {
  const { expression } = node;
  if (!ts.isCallExpression(expression) && !ts.isBinaryExpression(expression)) return [];
  return expression.getText().startsWith("super") ? [] : [over("dropped statement", node, ";")];
}

function offset({ argumentExpression: at }: ts.ElementAccessExpression): readonly Change[] {
  return isText(at) || ts.isNumericLiteral(at) ? [] : [over("offset", at, `${at.getText()} + 1`)];
}

function negated(condition: ts.Expression): readonly Change[] {
  return [over("negated condition", condition, `!(${condition.getText()})`)];
}

function length(node: ts.PropertyAccessExpression): readonly Change[] {
  const { parent } = node;
  if (node.name.text !== "length" || (ts.isBinaryExpression(parent) && parent.left === node)) return [];
  return [over("array end", node, `(${node.getText()} - 1)`)];
}
