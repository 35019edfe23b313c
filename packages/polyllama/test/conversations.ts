// Conversations from a seed: roles in and out of order, tools, and texts of all that may stand in one.

const pieces = [
  ...[
    "Hello",
    "world",
    "What is 2+2?",
    "def f(x):",
    "你好",
    "床前明月光",
    "Привет",
    "naïve café",
    "ǆungla ß ﬁn İ",
    "😀",
    "👩‍👩‍👧",
  ],
  ...[
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "\r\n",
    "\r",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u0085",
    "\u001c",
    "\v",
    "\f",
    "\ufeff",
    "\u200b",
  ],
  ...[
    "'",
    '"',
    "\\",
    "`",
    "{{ x }}",
    "{% if %}",
    "{# #}",
    "%s",
    "{}",
    "<b>&amp;</b>",
    "###",
    "# # #",
    "a:b",
    "12",
    "3.5",
    "-7",
    "1e3",
  ],
  ...["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<<SYS>>", "<|eot_id|>", "<｜User｜>"],
  ...[
    "</think>",
    "<think>",
    "<|im_start|",
    "s>",
    "<",
    "\ufdd0",
    "\uffff",
    "\u0000",
    "\u007f",
    "e\u0301",
    "\u0660\u0661",
  ],
];

export interface Conversation {
  readonly messages: readonly (Readonly<Record<string, unknown>> & {
    readonly role: string;
    readonly content: string;
  })[];
  readonly tools: readonly unknown[] | null;
  readonly add_generation_prompt: boolean;
}

/** Numbers in [0, count), the same for the same seed. */
function dice(seed: number): (count: number) => number {
  let state = seed + 0x9e3779b9;
  return (count) => {
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b) + 0x6d2b79f5;
    return (Math.imul(state ^ (state >>> 13), 0xc2b2ae35) >>> 0) % count;
  };
}

const tool = (name: string, description: string): unknown => ({
  type: "function",
  function: {
    name,
    description,
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", description: 'The "city", 城市', enum: ["Paris", "北京"] },
        days: { type: "integer", default: 3, minimum: 0.5 },
        items: { type: "array", items: { type: "number" } },
      },
      required: ["city"],
    },
  },
});

export function conversation(seed: number): Conversation {
  const roll = dice(seed);
  const text = (): string =>
    Array.from({ length: roll(8) === 0 ? 0 : 1 + roll(9) }, () => pieces[roll(pieces.length)]).join("");
  const messages: (Record<string, unknown> & { role: string; content: string })[] = [];
  if (roll(2) === 0) messages.push({ role: "system", content: text() });
  const turns = 1 + roll(6);
  for (let turn = 0; turn < turns; turn++) {
    const orderly = turn % 2 === 0 ? "user" : "assistant";
    const role = roll(12) === 0 ? ["user", "assistant", "system", "tool", "critic"][roll(5)]! : orderly;
    const call = {
      id: ["123456789", "short"][roll(8) === 0 ? 1 : 0],
      type: "function",
      function: { name: "weather", arguments: { city: text(), days: roll(5) } },
    };
    messages.push({
      role,
      content: text(),
      ...(role === "assistant" && roll(5) === 0 && { tool_calls: roll(6) === 0 ? [call, call] : [call] }),
      ...(roll(10) === 0 && { name: text() }),
    });
    if ("tool_calls" in messages.at(-1)!) messages.push({ role: "tool", content: text() });
  }
  return {
    messages,
    tools: roll(3) === 0 ? [tool("weather", text()), tool("search", "Looks something up.")].slice(0, roll(3)) : null,
    add_generation_prompt: roll(3) > 0,
  };
}
