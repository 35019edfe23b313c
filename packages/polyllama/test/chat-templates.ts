// Chat templates of public models of the Llama family, written anew by the formats that their makers document, in the
// breadth of Jinja that such templates use.

const jinja = String.raw;

/** Template by name. */
export const chatTemplates: Readonly<Record<string, string>> = {
  alpaca: jinja`{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] | trim }}{% set rest = messages[1:] %}{% else %}Below is an instruction that describes a task. Write a response that appropriately completes the request.{% set rest = messages %}{% endif %}

{% for message in rest %}
{% if message['role'] == 'user' %}

### Instruction:
{{ message['content'] | trim }}
{% elif message['role'] == 'assistant' %}

### Response:
{{ message['content'] | trim }}{{ eos_token }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}

### Response:
{% endif %}
`,

  vicuna: jinja`{%- set ns = namespace(system='A chat between a curious user and an artificial intelligence assistant.') -%}
{%- for message in messages -%}
  {%- if message.role == 'system' -%}{%- set ns.system = message.content -%}{%- endif -%}
{%- endfor -%}
{{ bos_token ~ ns.system }}
{%- for message in messages if message.role != 'system' -%}
  {{ ' USER: ' ~ message.content if message.role == 'user' else ' ASSISTANT: ' ~ message.content ~ eos_token }}
{%- endfor -%}
{{- ' ASSISTANT:' if add_generation_prompt -}}
`,

  chatml: jinja`{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,

  zephyr: jinja`{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`,

  "llama-2": jinja`{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set turns = messages %}{% set system = false %}{% endif %}
{% for message in turns %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must take turns, and message ' ~ loop.index0 ~ ' is of ' ~ message['role']) }}{% endif %}
{%- if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}
{%- if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}
{%- endfor %}`,

  "llama-2-tools": jinja`{%- macro signature(function) -%}
{{ function.name }}({% for name, schema in function.parameters.properties.items() %}{{ name }}: {{ schema.type | default('any') }}{% if name not in function.parameters.required %} = {{ schema.default | tojson if schema.default is defined else 'none' }}{% endif %}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro -%}
{%- set system = messages[0].content if messages[0].role == 'system' else '' -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- bos_token + '[INST] ' -}}
    {%- if loop.index0 <= 1 and (system or tools) -%}
      {{- '<<SYS>>\n' + system | trim -}}
      {%- if tools is not none and tools | length > 0 -%}
        {{- '\nTools:' -}}
        {%- for tool in tools %}{{ '\n- ' + signature(tool.function) + ': ' + tool.function.description }}{% endfor -%}
        {{- '\n' + tools | tojson(indent=2) -}}
      {%- endif -%}
      {{- '\n<</SYS>>\n\n' -}}
    {%- endif -%}
    {{- message.content | trim + ' [/INST]' -}}
  {%- elif message.role == 'assistant' -%}
    {{- ' ' + message.content | trim + ' ' + eos_token -}}
  {%- elif message.role == 'tool' -%}
    {{- '[TOOL_RESULTS] ' ~ {'content': message.content, 'index': loop.index} | tojson ~ ' [/TOOL_RESULTS]' -}}
  {%- endif -%}
{%- endfor -%}`,

  "chinese-alpaca-2": jinja`{%- if messages[0]['role'] == 'system' -%}
{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}
{%- else -%}
{%- set system = 'You are a helpful assistant. 你是一个乐于助人的助手。' -%}{%- set turns = messages -%}
{%- endif -%}
{%- for turn in turns -%}
{%- if turn['role'] == 'user' -%}
{{ bos_token }}[INST] {% if loop.first %}<<SYS>>
{{ system }}
<</SYS>>

{% endif %}{{ turn['content'] }} [/INST]
{%- else -%}
{{ ' ' + turn['content'] + eos_token }}
{%- endif -%}
{%- endfor -%}`,

  orca: jinja`{% for message in messages %}
{{- '### ' + message['role'] | capitalize + ':\n' + message['content'] + '\n\n' }}
{%- endfor %}
{%- if add_generation_prompt %}### Assistant:
{% endif %}`,

  phind: jinja`{#- Phind's format: headings, each answer closed by a blank line -#}
{%- if messages[0].role != 'system' -%}
### System Prompt
You are an intelligent programming assistant.

{% endif -%}
{%- for m in messages %}
{{- {'system': '### System Prompt', 'user': '### User Message', 'assistant': '### Assistant'}.get(m.role, '### ' ~ m.role | title) }}
{{ m.content }}

{% endfor -%}
{% if add_generation_prompt %}### Assistant
{% endif %}`,

  yi: jinja`{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}{% endif %}{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|im_start|>user\n' + content + '<|im_end|>\n' }}{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\n' }}{% endif %}{% if message['role'] == 'user' and (not loop.last or add_generation_prompt) %}{{ '<|im_start|>assistant\n' }}{% endif %}{% endfor %}`,

  mistral: jinja`{{- bos_token }}
{%- set ns = namespace(index=0, last_user=-1) %}
{%- for message in messages %}
    {%- if message.role == "user" %}{% set ns.last_user = loop.index0 %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role not in ["user", "assistant", "system", "tool"] %}
        {{- raise_exception("Only user, assistant, system and tool roles are known, not " + message["role"]) }}
    {%- endif %}
    {%- if message.role == "user" %}
        {%- if tools is not none and loop.index0 == ns.last_user %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{% endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{% else %}{{- "]" }}{% endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
        {{- "[INST] " + message["content"] + "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if tool_call.id is not defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{% else %}{{- "]" + eos_token }}{% endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + "}[/TOOL_RESULTS]" }}
    {%- endif %}
{%- endfor %}
`,

  guanaco: jinja`{%- for m in messages -%}
{%- set name = 'Human' if m.role in ('user', 'system') else 'Assistant' -%}
{%- if loop.changed(name) or loop.first -%}{{- '\n' if not loop.first -}}### {{ name }}: {% endif -%}
{{- m.content.strip() | replace('###', '# # #') -}}
{{- ' ' if not loop.last and loop.nextitem.role == m.role -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '\n### Assistant:' }}{%- endif -%}`,

  wizardlm: jinja`{% set system = (messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list) %}
{{ (system | first if system else "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.") }}
{%- for message in messages | rejectattr('role', 'eq', 'system') %}
{% if message.role == 'user' %} USER: {{ message.content }}{% else %} ASSISTANT: {{ message.content }}{{ eos_token }}{% endif %}
{% endfor %}
{%+ if add_generation_prompt %} ASSISTANT:{% endif %}`,

  openchat: jinja`{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end_of_turn|>'}}{% endfor %}{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}`,

  tulu: jinja`{% for message in messages %}
{% if message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] }}
{% elif message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>
' }}
{% endif %}
{% endfor %}`,

  saiga: jinja`{%- set default = 'Ты — Сайга, русскоязычный автоматический ассистент.' -%}
{%- if messages[0]['role'] != 'system' -%}{{ bos_token + 'system\n' + default + eos_token }}{%- endif -%}
{%- for m in messages -%}
{{ bos_token }}{{ 'bot' if m['role'] == 'assistant' else m['role'] | lower }}
{{ m['content'] | trim }}{{ eos_token }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ bos_token + 'bot\n' }}{%- endif -%}`,

  "nous-hermes": jinja`{%- macro type_of(schema) -%}
{%- set names = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} -%}
{%- if schema.type == 'array' -%}list[{{ type_of(schema['items']) if schema['items'] is defined else 'Any' }}]
{%- elif schema.enum is defined -%}Literal[{% for choice in schema.enum %}{{ choice | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]
{%- else -%}{{ names.get(schema.type, 'Any') }}{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- if tools -%}
<|im_start|>system
You are a function calling AI model. <tools>
{% for tool in tools %}
{%- set function = tool.function if tool.function is defined else tool -%}
{"type": "function", "function": {"name": {{ function.name | tojson }}, "signature": "{{ function.name }}(
{%- for name, schema in function.parameters.properties.items() -%}
{{ name + ': ' + type_of(schema) }}{{ ', ' if not loop.last else '' }}
{%- endfor -%}
)", "parameters": {{ function.parameters | tojson }}}}
{% endfor -%}
</tools><|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{%- if loop.previtem is undefined or loop.previtem.role != 'tool' %}<|im_start|>tool{{ '\n' }}{% endif -%}
<tool_response>
{{ message.content }}
</tool_response>
{%- if not loop.last and loop.nextitem.role == 'tool' -%}{{ '\n' }}{%- else -%}<|im_end|>{{ '\n' }}{%- endif -%}
{%- elif message.role == 'assistant' and message.tool_calls -%}
<|im_start|>assistant
{%- for call in message.tool_calls %}

<tool_call>
{{ dict(name=call.function.name, arguments=call.function.arguments) | tojson(ensure_ascii=True) }}
</tool_call>
{%- endfor -%}
<|im_end|>
{% else -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}`,

  "tinyllama-chat": jinja`{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`,

  "llama-3": jinja`{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if tools is not none %}{{- "Environment: ipython\n" }}{%- endif %}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
`,

  deepseek: jinja`{% set ns = namespace(is_first=true, system='', outputs=[]) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system = ns.system + ('\n\n' if ns.system else '') + message['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system }}{%- for message in messages %}{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{%- endif %}{%- if message['role'] == 'assistant' %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' + content.lstrip('\n') + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- if message['role'] == 'tool' %}{% set ns.outputs = ns.outputs + [message['content']] %}{{ '<｜tool▁output▁begin｜>' + (ns.outputs | last) + '<｜tool▁output▁end｜>' + ns.outputs | length | string }}{%- endif %}{%- endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}`,

  airoboros: jinja`{%- set separator = '\n' if tools else ' ' -%}
{{ bos_token }}{% for message in messages %}
{%- if message['role'] == 'system' -%}
A chat{% generation %}{{ separator ~ message['content'].strip() }}{% endgeneration %}
{%- elif message['role'] == 'user' -%}
{{ separator }}USER: {{ message['content'] | trim | indent(2) }}
{%- else -%}
{{ separator }}ASSISTANT: {% generation %}{{ message['content'] | trim }}{{ eos_token }}{% endgeneration %}
{%- endif -%}
{%- endfor -%}
{%- filter upper -%}{{ separator if add_generation_prompt }}{{ 'assistant:' if add_generation_prompt }}{%- endfilter -%}`,

  "breadth-1": jinja`{# Breaks, elses, captured blocks and what comes around -#}
{% set parts = namespace(all=[]) %}
{% for message in messages %}
{% if message.content == '' %}{% continue %}{% endif %}
{% set label %}
[{{ loop.index }}/{{ loop.length }} {{ loop.cycle('odd', 'even') }}]
{% endset %}
{% set parts.all = parts.all + [label ~ message.content[:12]] %}
{% if loop.index > 5 %}{{ 'cut at ' ~ loop.index }}{% break %}{% endif %}
{% else %}
nothing
{% endfor %}
{{ parts.all | join('|') }} {{ parts.all }} {{ parts.all | length }}
{{ messages | map(attribute='role') | unique | sort | join(',') }}
{{ messages[-1].content[::-1] }}{{ messages[-1]['content'][1:-1] }}{{ messages[-1].content | length }}
{% raw %}{{ not rendered }} {% if %}{% endraw %}
{% for message in messages | reverse %}{{ message.role[0] | upper }}{% endfor %}
{{ none }} {{ true }} {{ [1, 2.5, 'a"b', none, false] }} {{ {'k': [1], "q'": 2.0} }} {{ (1, 2) }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 10 / 5 }}
`,

  "breadth-2": jinja`
{%- macro shown(text, width=10) -%}
{{ text | replace('\n', '⏎') | replace('\t', '⇥') }}{{ '…' if text | length > width }}{{ varargs | join('/') }}{{ kwargs.get('extra', '') }}
{%- endmacro %}
{%- for m in messages %}
{% set words = m.content.split() %}
{{ m.role.upper() }} {{ words | length }} {{ words[:3] | join(' ') }} {{ shown(m.content, 5) }} {{ shown(m.content, 3, 'a', 'b', extra=loop.index) }}
{{ m.content.split('\n', 1)[0].rstrip() }}|{{ m.content.rsplit(' ', 1) | last }}|{{ m.content.rsplit(none, 2) }}|{{ m.content.split(maxsplit=2) }}|{{ m.content.startswith(('<', '[')) }}|{{ m.content.find('e') }}|{{ m.content.count('a') }}|{{ m.content.partition(':')[0] | lower }}
{{ m.content.splitlines() | tojson }}{{ m.content | tojson }}{{ m.content | title }}{{ m.content.capitalize() }}{{ m.content.lower() | upper }}{{ m.content.title() }}{{ m.content.strip('<>| ') }}{{ [m.content] }}
{{ 'yes' if m.content is string and m.content is not mapping and m is mapping and m.nothing is not defined else 'no' }}{{ m.nothing }}{{ m.nothing | default('-') }}{{ m.content or 'empty' }}{{ m.get('name', 'anonymous') }}
{{ m.content | int }} {{ m.content | float }} {{ loop.index is odd }} {{ loop.index is divisibleby 3 }} {{ loop.revindex0 }} {{ m.role is in ['user', 'tool'] }} {{ '%s-%d' % (m.role, loop.index) }} {{ '{} {}'.format(m.role, loop.index) }}
{% for key, value in m | dictsort if key != 'content' %}{{ key }}={{ value }};{% endfor %}
{% for letter in m.role %}{{ letter }}{% if not loop.last %}.{% endif %}{% endfor %}{{ m.content | indent(width=2, first=true, blank=true) }}
{%- endfor %}`,

  "breadth-3": jinja`{% macro twice() %}{{ caller('one') }}{{ caller('two') }}{% endmacro %}{% call(x) twice() %}{{ x }}!{% endcall %}
{% for a, b in [('x', 1), ('y', 2)] %}{{ a * b }}{% endfor %}{{ range(3) | list }}{{ range(1, 8, 3) | join(',') }} {{ [3, 1, 2] | sort(reverse=true) }} {{ [1, 2, 3] | sum }} {{ ['b', 'A'] | sort }} {{ 3.7 | round }} {{ 2.5 | round }} {{ 2.675 | round(2) }}
{{ [[1, 2], [3]] | map('length') | list }} {{ [0, 1, '', 'x'] | select | list }} {{ [1, 2, 3, 4] | reject('even') | list }} {{ tools | tojson if tools else 'no tools' }} {{ 1 < 2 and not 2 > 3 }} {{ 'a' ~ 1 ~ 2.0 }} {{ 1.0 }} {{ 100000000000000000000.0 }} {{ 0.00001 }} {{ 0.1 + 0.2 }} {{ ('x',) }} {{ () }} {{ 1 + 2 * 3 ** 2 }} {{ (1 if false) }} {{ -3 | abs }} {{ not none }} {{ 'a' in 'abc' }} {{ 3 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ [1] + [2] == [1, 2] }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ none == false }} {{ true + 1 }}
{{ messages | length }}{% for m in messages %}{% if m.role == 'system' %}{% set seen = m.content %}{% endif %}{{ seen }}{% endfor %}{{ seen is defined }}{{ (messages | first).role }}{{ messages | map(attribute='content') | join('; ') }}{{ {'a': [1, {'b': none}], 'c': 'é"\u2028</script>'} | tojson(indent=4) }}{{ [1, [], {}] | tojson(separators=(',', ':')) }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}
{{ messages[99] is defined }}{{ 'nested' if messages and (messages | last).content | trim | length > 3 else 'short' }}  
  {% if true %}  
  kept
  {%- endif +%}
  {#- gone -#}  end
`,
};
