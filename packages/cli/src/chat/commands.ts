// What begins with a slash within a conversation. A message that begins with one is sent with two, or behind /send.

export const chatCommands = {
  system: { use: "/system [TEXT]", about: "show or set what the model is told before the conversation" },
  undo: { use: "/undo", about: "forget the last message and its answer" },
  retry: { use: "/retry", about: "answer the last message again, with another seed" },
  reset: { use: "/reset", about: "forget the conversation" },
  send: { use: "/send TEXT, //TEXT", about: "send a message that begins with a slash" },
  help: { use: "/help", about: "list these" },
  exit: { use: "/exit", about: "end the conversation, as Ctrl-D does" },
} as const;

export type ChatCommand = keyof typeof chatCommands;

export type Said =
  | { readonly kind: "message"; readonly content: string }
  | { readonly kind: "command"; readonly name: Exclude<ChatCommand, "send">; readonly argument: string }
  | { readonly kind: "unknown"; readonly name: string };

/** What a typed line means. */
export function parseLine(line: string): Said {
  const text = line.trim();
  if (!text.startsWith("/")) return { kind: "message", content: text };
  if (text.startsWith("//")) return { kind: "message", content: text.slice(1) };
  const [, name = "", argument = ""] = /^\/(\S*)\s*(.*)$/s.exec(text) ?? [];
  if (name === "send") return { kind: "message", content: argument };
  return isCommand(name) ? { kind: "command", name, argument } : { kind: "unknown", name };
}

function isCommand(name: string): name is Exclude<ChatCommand, "send"> {
  return Object.hasOwn(chatCommands, name);
}

/** Commands and keys, one a line. */
export function chatHelp(): readonly string[] {
  const width = Math.max(...Object.values(chatCommands).map(({ use }) => use.length));
  const commands = Object.values(chatCommands).map(({ use, about }) => `${use.padEnd(width)}  ${about}`);
  const keys = [
    ["Ctrl-C", "stop an answer; twice at an empty prompt: leave"],
    ["\\", "at a line's end: the message goes on (or Alt-Enter)"],
    ['"""', "before and after a message of several lines"],
    ["", "pasted text stays one message"],
  ] as const;
  return [...commands, ...keys.map(([key, about]) => `${key.padEnd(width)}  ${about}`)];
}
