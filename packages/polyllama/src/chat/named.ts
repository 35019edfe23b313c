// Chat formats that are asked for by name, beside those of core that run in code: written in Jinja after their makers'
// descriptions. Sources: ChatML: github.com/openai/openai-python, chatml.md; Alpaca:
// github.com/tatsu-lab/stanford_alpaca; Vicuna: github.com/lm-sys/FastChat, fastchat/conversation.py; Zephyr:
// huggingface.co/HuggingFaceH4/zephyr-7b-beta; OpenChat: github.com/imoneoi/openchat; Llama 3:
// github.com/meta-llama/llama-models, prompt formats.

import { type ChatTemplateName as CodeFormatName, chatTemplateNames as codeFormatNames } from "@polyllama/core";

const jinja = {
  chatml: `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
  alpaca: `{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set turns = messages[1:] %}{% else %}Below is an instruction that describes a task. Write a response that appropriately completes the request.{% set turns = messages %}{% endif %}
{% for m in turns %}{{ '\\n\\n' + ('### Response:' if m.role == 'assistant' else '### Instruction:') + '\\n' + m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}`,
  vicuna: `{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set turns = messages[1:] %}{% else %}A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.{% set turns = messages %}{% endif %}
{% for m in turns %}{{ ' ' }}{{ 'ASSISTANT: ' + m.content + eos_token if m.role == 'assistant' else 'USER: ' + m.content }}{% endfor %}{{ ' ASSISTANT:' if add_generation_prompt }}`,
  zephyr: `{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}{{ eos_token }}
{{- '\\n' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`,
  openchat: `{% for m in messages %}{{ 'GPT4 Correct ' + m.role | capitalize + ': ' + m.content + '<|end_of_turn|>' }}{% endfor %}{{ 'GPT4 Correct Assistant:' if add_generation_prompt }}`,
  "llama-3": `{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ '\\n\\n' + m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{{ '\\n\\n' }}{% endif %}`,
} as const;

/**
 * A chat format by name: `llama-2`, `chinese-alpaca-2`, `chinese-alpaca`, `chatml`, `alpaca`, `vicuna`, `zephyr`,
 * `openchat`, `llama-3`.
 */
export type ChatTemplateName = CodeFormatName | keyof typeof jinja;

/**
 * A chat format: by name, or a template in Jinja as checkpoints have them. Names are the known ones, then those of the
 * checkpoint's own templates; `default` is its own one without a name.
 */
export type ChatTemplate = ChatTemplateName | (string & {}) | { readonly jinja: string };

/** The names of chat formats. */
export const chatTemplateNames: readonly ChatTemplateName[] = [
  ...codeFormatNames,
  ...(Object.keys(jinja) as (keyof typeof jinja)[]), // its own keys
];

/** The Jinja of a format, or undefined for those that run in code. */
export function jinjaOf(name: ChatTemplateName): string | undefined {
  return name in jinja ? jinja[name as keyof typeof jinja] : undefined;
}

export function isKnownFormat(name: string): name is ChatTemplateName {
  return chatTemplateNames.some((known) => known === name);
}

export function isCodeFormat(name: string): name is CodeFormatName {
  return codeFormatNames.some((known) => known === name);
}
