// A template's syntax tree, from the library's lexer and parser. Where they read an expression otherwise than Python's,
// the tokens between the two are mended: `~` binds tighter than `+`, a conditional without `else` in brackets gets one,
// tests take arguments (they become filters named `is ...`), and a chain of comparisons, which the library would take
// for another, is refused.

import { parse, tokenize, type tokenize as tokenizeType } from "@huggingface/jinja";
import { fail, TemplateError, unsupported } from "./budget.ts";
import { normalizeSource } from "./source.ts";

type Token = ReturnType<typeof tokenizeType>[number];

export type Expression =
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral" | "Identifier"; readonly value: string }
  | { readonly type: "ArrayLiteral" | "TupleLiteral"; readonly value: readonly Expression[] }
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Expression, Expression> }
  | {
      readonly type: "BinaryExpression";
      readonly operator: { readonly value: string };
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly type: "UnaryExpression"; readonly operator: { readonly value: string }; readonly argument: Expression }
  | { readonly type: "FilterExpression"; readonly operand: Expression; readonly filter: Expression }
  | { readonly type: "SelectExpression"; readonly lhs: Expression; readonly test: Expression }
  | {
      readonly type: "Ternary";
      readonly condition: Expression;
      readonly trueExpr: Expression;
      readonly falseExpr: Expression;
    }
  | MemberExpression
  | SliceExpression
  | CallExpression
  | KeywordArgument
  | { readonly type: "SpreadExpression" | "KeywordSpreadExpression"; readonly argument: Expression };

export interface MemberExpression {
  readonly type: "MemberExpression";
  readonly object: Expression;
  readonly property: Expression;
  /** In brackets, not behind a dot. */
  readonly computed: boolean;
}

export interface SliceExpression {
  readonly type: "SliceExpression";
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}

export interface CallExpression {
  readonly type: "CallExpression";
  readonly callee: Expression;
  readonly args: readonly Expression[];
}

export interface KeywordArgument {
  readonly type: "KeywordArgumentExpression";
  readonly key: { readonly value: string };
  readonly value: Expression;
}

export interface ForStatement {
  readonly type: "For";
  readonly loopvar: Expression;
  readonly iterable: Expression;
  readonly body: readonly Statement[];
  readonly defaultBlock: readonly Statement[];
}

export interface SetStatement {
  readonly type: "Set";
  readonly assignee: Expression;
  readonly value: Expression | null;
  readonly body: readonly Statement[];
}

export interface MacroStatement {
  readonly type: "Macro";
  readonly name: { readonly value: string };
  readonly args: readonly Expression[];
  readonly body: readonly Statement[];
}

export interface CallStatement {
  readonly type: "CallStatement";
  readonly call: CallExpression;
  readonly callerArgs: readonly Expression[] | null;
  readonly body: readonly Statement[];
}

export type Statement =
  | Expression
  | {
      readonly type: "If";
      readonly test: Expression;
      readonly body: readonly Statement[];
      readonly alternate: readonly Statement[];
    }
  | { readonly type: "Break" | "Continue" }
  | { readonly type: "FilterStatement"; readonly filter: Expression; readonly body: readonly Statement[] }
  | ForStatement
  | SetStatement
  | MacroStatement
  | CallStatement;

/** The name of a function that makes a tuple, since the library knows none with a comma at its end. */
export const tupleName = "__tuple__";
/** The name of a value that is undefined. */
export const undefinedName = "__undefined__";

/** @throws {TemplateError} for what is no template, or one that this engine cannot read as Python does */
export function parseTemplate(template: string): readonly Statement[] {
  try {
    // as the parser's own types say
    return parse(mend(withTests(tokenize(normalizeSource(template))))).body as readonly Statement[];
  } catch (error) {
    if (error instanceof TemplateError) throw error;
    if (error instanceof RangeError) throw new TemplateError("limit", "it nests too deeply to be read");
    // Of an end that is missing the library says nothing that would help.
    const reason = error instanceof TypeError || !(error instanceof Error) ? "it ends within a block" : error.message;
    return fail(`it cannot be read: ${reason}`);
  }
}

const token = (value: string, type: Token["type"]): Token => ({ value, type });
const isName = (given: Token | undefined, ...names: readonly string[]): boolean =>
  given?.type === "Identifier" && names.includes(given.value);

/** Writes each test, `x is [not] name argument`, as a filter named `is name` or `is not name`. */
function withTests(tokens: readonly Token[]): Token[] {
  const output: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const current = tokens[at]!;
    if (!isName(current, "is") || isMember(tokens[at - 1])) {
      output.push(current);
      continue;
    }
    const negated = isName(tokens[at + 1], "not");
    const name = tokens[at + (negated ? 2 : 1)];
    if (name?.type !== "Identifier") fail('a test\'s name is missing behind "is"');
    output.push(token("|", "Pipe"), token(`is ${negated ? "not " : ""}${name.value}`, "Identifier"));
    at += negated ? 2 : 1;
    const next = tokens[at + 1];
    if (next === undefined || next.type === "OpenParen" || !beginsArgument(next)) continue;
    const end = endOfOperand(tokens, at + 1);
    output.push(token("(", "OpenParen"), ...withTests(tokens.slice(at + 1, end)), token(")", "CloseParen"));
    at = end - 1;
  }
  return output;
}

function beginsArgument(next: Token): boolean {
  if (next.type === "Identifier") return !["else", "or", "and", "if", "not", "in", "is"].includes(next.value);
  return ["StringLiteral", "NumericLiteral", "OpenSquareBracket", "OpenCurlyBracket"].includes(next.type);
}

function isMember(previous: Token | undefined): boolean {
  return previous?.type === "Dot" || previous?.type === "Pipe";
}

/** Behind a literal, name or bracket and what is called, taken or sliced of it. */
function endOfOperand(tokens: readonly Token[], start: number): number {
  const behindBracket = (at: number): number => {
    let depth = 0;
    for (let index = at; index < tokens.length; index++) {
      if (/^Open(?:Paren|SquareBracket|CurlyBracket)$/.test(tokens[index]!.type)) depth++;
      if (/^Close(?:Paren|SquareBracket|CurlyBracket)$/.test(tokens[index]!.type) && --depth === 0) return index + 1;
    }
    return tokens.length;
  };
  let at = tokens[start]!.type.startsWith("Open") ? behindBracket(start) : start + 1;
  for (;;) {
    const type = tokens[at]?.type;
    if (type === "Dot") at += 2;
    else if (type === "OpenParen" || type === "OpenSquareBracket") at = behindBracket(at);
    else return at;
  }
}

/** One level of brackets, or a tag's own. */
interface Level {
  /** Where in the output the operand behind the last binary + or - begins. */
  operand: number | undefined;
  /** A bracket was put there. */
  grouped: boolean;
  comparisons: number;
  /** Conditionals that still lack their `else`. */
  conditionals: number;
  /** Where in the output the bracket stands that groups, and does not call. */
  readonly group: number | undefined;
}

const newLevel = (group?: number): Level => ({
  operand: undefined,
  grouped: false,
  comparisons: 0,
  conditionals: 0,
  group,
});

function mend(tokens: readonly Token[]): Token[] {
  const output: Token[] = [];
  let levels: Level[] = [newLevel()];
  let awaitsIn = false; // within `for ... in`
  const endSum = (level: Level): void => {
    if (level.grouped) output.push(token(")", "CloseParen"));
    level.operand = undefined;
    level.grouped = false;
  };
  const endExpression = (level: Level): void => {
    endSum(level);
    level.comparisons = 0;
    for (; levels.length > 1 && level.conditionals > 0; level.conditionals--) {
      output.push(token("else", "Identifier"), token(undefinedName, "Identifier"));
    }
    level.conditionals = 0;
  };
  const compare = (level: Level): void => {
    endSum(level);
    if (++level.comparisons > 1) unsupported("a chain of comparisons without brackets");
  };

  for (const [at, current] of tokens.entries()) {
    const level = levels.at(-1) ?? fail("a bracket is closed that was not opened");
    const previous = tokens[at - 1];
    switch (current.type) {
      case "OpenStatement":
      case "OpenExpression":
        levels = [newLevel()];
        awaitsIn = isName(tokens[at + 1], "for");
        break;
      case "CloseStatement":
      case "CloseExpression":
      case "Comma":
      case "Colon":
      case "Equals":
        endExpression(level);
        break;
      case "CloseParen":
      case "CloseSquareBracket":
      case "CloseCurlyBracket":
        endExpression(level);
        if (level.group !== undefined && (previous?.type === "Comma" || previous?.type === "OpenParen")) {
          output.splice(level.group, 0, token(tupleName, "Identifier"));
        }
        levels.pop();
        break;
      case "ComparisonBinaryOperator":
        compare(level);
        break;
      case "Identifier":
        if (isMember(previous)) break;
        if (current.value === "in" && awaitsIn) {
          endExpression(level);
          awaitsIn = false;
        } else if (current.value === "in") {
          if (!isName(previous, "not")) compare(level);
        } else if (current.value === "not" && isName(tokens[at + 1], "in")) compare(level);
        else if (["and", "or", "not", "if", "else"].includes(current.value)) {
          endSum(level);
          level.comparisons = 0;
          if (current.value === "if") level.conditionals++;
          else if (current.value === "else") level.conditionals--;
        }
        break;
      case "AdditiveBinaryOperator":
        if (current.value !== "~") {
          endSum(level);
          if (endsOperand(previous)) level.operand = output.length + 1;
        } else if (level.operand !== undefined && !level.grouped) {
          output.splice(level.operand, 0, token("(", "OpenParen"));
          level.grouped = true;
        }
        break;
      default:
        break;
    }
    output.push(current);
    if (/^Open(?:Paren|SquareBracket|CurlyBracket)$/.test(current.type)) {
      const groups = current.type === "OpenParen" && !endsOperand(previous);
      levels.push(newLevel(groups ? output.length - 1 : undefined));
    }
  }
  return output;
}

/** Whether a + or - behind this token stands between two operands, and a bracket calls. */
function endsOperand(previous: Token | undefined): boolean {
  if (previous?.type === "Identifier") return !["if", "else", "and", "or", "not", "in"].includes(previous.value);
  return ["NumericLiteral", "StringLiteral", "CloseParen", "CloseSquareBracket", "CloseCurlyBracket"].includes(
    previous?.type ?? "",
  );
}
