// Why a conversation has no text: typed, since a template that refuses, one that is wrong and a bug of this project are
// told apart by programs that choose what to do next.

import { PolyllamaError } from "@polyllama/core";
import type { FailureKind } from "./jinja/budget.ts";

const what: Readonly<Record<FailureKind, string>> = {
  raised: "The chat template refuses this conversation",
  failed: "The chat template fails",
  unsupported: "The chat template cannot be rendered exactly",
  limit: "The chat template was stopped",
  bug: "Rendering the chat template failed by a bug of polyllama, not of the template; please report it with the template",
};

/** A chat template gave no text; `kind` says whose fault that is. */
export class ChatTemplateError extends PolyllamaError {
  override readonly name = "ChatTemplateError";
  /**
   * `raised`: the template refuses the conversation; `failed`: it is wrong, in Python too; `unsupported`: it needs what
   * this project does not know of Python; `limit`: it takes more time or memory than a chat template needs; `bug`: this
   * project is wrong.
   */
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    const remedy =
      kind === "raised"
        ? ""
        : ` Choose another format with the option \`template\`${kind === "bug" ? "." : ", or mend this one: `template: { jinja }`."}`;
    super("ERR_CHAT", `${what[kind]}: ${message.replace(/\.$/, "")}.${remedy}`, options);
    this.kind = kind;
  }
}
