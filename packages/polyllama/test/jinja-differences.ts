// Small templates, each for one thing that Python does otherwise than JavaScript, or than the library's own evaluation.

const jinja = String.raw;

export const differences: readonly string[] = [
  // Values as text
  ...["{{ none }}", "{{ true }} {{ false }}", "{{ 1.0 }} {{ 0.0000001 }}", "{{ 10000000000000000.0 }}", "{{ -0.0 }}"],
  ...[
    "{{ [1, 'a', none, 2.5] }}",
    "{{ {'a': [true]} }}",
    "{{ ('a',) }}",
    "{{ () }}",
    jinja`{{ ["it's", 'say "x"', '\n\t\\', 'é\u200b'] }}`,
  ],
  ...[
    "{{ range(3) }}",
    "{{ {'a': 1}.items() }}",
    "{{ {'a': 1}.keys() }}",
    "{{ nothing }}",
    "{{ [nothing] }}",
    "{{ namespace(a=1) }}",
  ],
  // Arithmetic
  ...[
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ 7.5 // 2 }}",
    "{{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 % 2 }}",
    "{{ 7 / 2 }} {{ 4 / 2 }}",
  ],
  ...[
    "{{ 2 ** 3 ** 2 }} {{ 2 ** -1 }} {{ -2 ** 2 }}",
    "{{ true + true }}",
    "{{ 1 / 0 }}",
    "{{ 1 + '1' }}",
    "{{ '1' + 1 }}",
    "{{ 'ab' * 3 }}",
  ],
  ...[
    "{{ [1] * 2 }}",
    "{{ 1 ~ 2 + 3 }}",
    "{{ 'a' + 1 ~ 2 }}",
    "{{ 1 + 1 ~ 'x' }}",
    "{{ '%s and %d' % ('a', 3.7) }}",
    "{{ '%.2f' % 2.675 }}",
  ],
  // Comparison
  ...[
    "{{ 1 == '1' }} {{ none == false }} {{ 1 == true }} {{ [] == [] }} {{ {'a': 1} == {'a': 1.0} }}",
    "{{ nothing == none }} {{ nothing == nothing }}",
  ],
  ...[
    "{{ 'b' > 'a' }} {{ [1, 2] < [1, 3] }}",
    "{% set a = {'n': 3, 'l': [2]} %}{{ 6 is divisibleby a.n }} {{ 7 is divisibleby a.l[0] }}",
    "{{ 1 > 2 }} {{ 2 < 1 }} {{ 1 >= 2 }} {{ 2 >= 1 }} {{ 2 >= 2 }} {{ 1 <= 2 }} {{ 2 <= 1 }} {{ 2 <= 2 }}",
    "{{ 1 < 'a' }}",
    "{{ none < 1 }}",
    jinja`{{ '\uffff' < '😀' }}`,
    jinja`{{ '\uffff' < '\U00010000' }} {{ '\ue000' < '\U0010ffff' }} {{ '\ud7ff' < '\ue000' }}`,
    "{% for x in ['a', 'b'] if x in 'a' and 'b' not in x %}{{ x }}{% endfor %}",
    "{{ 'x' in nothing }}",
    "{{ 1 in 'a1' }}",
  ],
  ...[
    "{{ 'a' in {'a': 1} }} {{ 1 in [true] }} {{ [1] in [[1]] }}",
    "{{ nothing in [1] }}",
    "{{ not 'a' in 'b' }}",
    "{{ 2 not in [1] }}",
  ],
  // Undefined, attributes and keys
  ...[
    "{{ nothing.x }}",
    "{{ messages[99] }}",
    "{{ messages[99].role }}",
    "{{ none.x }}",
    "{{ messages[0].nothing.more }}",
    "{{ nothing() }}",
  ],
  ...[
    "{{ {'items': 1}.items is callable }}",
    "{{ {'items': 1}['items'] }}",
    "{{ 'abc'.nothing is defined }}",
    "{{ 'abc'[1] }} {{ 'abc'[-1] }}",
    "{{ 'abc'[9] is defined }}",
  ],
  ...[
    "{{ '😀b'[1] }} {{ '😀b' | length }} {{ '😀b'[::-1] }}",
    "{{ [1, 2, 3][::2] }} {{ [1, 2, 3][-2:] }} {{ [1, 2, 3][5:] }}",
    "{{ 'abc'['x':] is defined }}",
  ],
  ...["{{ [1].append(2) }}", "{{ {}.update({'a': 1}) }}", "{{ ''.__class__ }}", "{{ messages.append }}"],
  // Texts
  ...[
    jinja`[{{ '\u3000\x1c\x85 a \ufeff' | trim }}]`,
    jinja`[{{ ' a\u200b '.strip() }}]`,
    "{{ 'xxaxx'.strip('x') }} {{ 'abc'.rstrip('cb') }}",
    "[{{ ' 😀a😀 '.strip(' 😀') }}] [{{ '😀 '.lstrip('😀') }}] [{{ '😀😀'.rstrip('😀') }}] {{ 'abab'.count('ab') }}",
    "{% set s = 'a😀bé' %}{{ s[-1] }}{{ s[-3] }}{{ s[4] is defined }}{{ s[-5] is defined }} {{ s[1:] }} {{ s[:-2] }} {{ s[-3:3] }} {{ s[3:1] }}.",
    "{% set s = 'a😀bé' %}{{ s[::2] }} {{ s[-2::-1] }} {{ s[9:] }}. {{ s[-9:2] }} {{ s.find('b', 1) }} {{ s.find('b', -1) }} {{ s.count('b', 2, 9) }}",
    jinja`{{ ["it's", 'a"b', "'"", '😀é­　\ 	'] }} {{ '１a'.isalnum() }} {{ ''.isalpha() }} {{ 'a😀'.isalpha() }}`,
    "{{ 'abab'.removesuffix('ab') }} {{ 'abab'.removeprefix('ab') }} {{ 'ab'.removesuffix('') }} {{ 'ab'.removesuffix('a') }} {{ 'ab'.removeprefix('b') }}",
    "{{ '%.1f %.1f %.0f %.0f %.0f' % (0.25, -0.25, 0.5, 1.5, 2.5) }} {{ range(5) | batch(2, 'x') | list }} {{ range(4) | batch(3) | list }}",
    jinja`{{ ['\u0600', '\xad', '\U000e0001'] }}`,
    "{{ 'a,b,,c'.rsplit(',', 2) }} {{ 'a b  c'.rsplit(none, 1) }} {{ '😀x'.capitalize() }}",
  ],
  ...[
    "{{ \"they're bill's\" | title }} {{ \"they're bill's\".title() }}",
    "{{ 'hELLO wORLD'.capitalize() }}",
    jinja`{{ 'ß ﬁ ǆ'.title() }}`,
  ],
  ...[
    "{{ 'a b  c'.split() }} {{ 'a b  c'.split(' ') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a b '.split(none, 1) }}",
    "{{ 'a,b,c'.rsplit(',', 1) }}",
    "{{ ''.split() }} {{ ''.split(',') }}",
  ],
  ...[
    jinja`{{ 'a\nb\r\nc\x1cd'.splitlines() }}`,
    "{{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }}",
    "{{ 'abc'.find('z') }}",
    "{{ 'abc'.index('z') }}",
  ],
  ...[
    "{{ '-'.join(['a', 'b']) }}",
    "{{ '-'.join([1]) }}",
    "{{ [1, none, 'a'] | join('-') }}",
    "{{ 'ab' | join('-') }}",
    "{{ 'a'.zfill(3) }}{{ 'a'.ljust(3, '.') }}",
  ],
  ...[
    "{{ 'x{}y{}'.format(1, 'a') }}",
    "{{ '%s %(a)s' | format(1, a=2) }}",
    "{{ 'x{1}y{0}{a}{{}}'.format(1, 'a', a=2) }}",
    "{{ '١٢'.isdigit() }} {{ '١٢' | int }} {{ '²'.isdecimal() }}",
    "{{ ' 12_0 ' | int }} {{ '12.9' | int }} {{ 'x' | int(7) }} {{ '1e2' | float }}",
  ],
  // Filters and tests
  ...[
    "{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.665 | round(2) }} {{ 5 | round }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }}",
    "{{ [1, 'a'] | sort }}",
  ],
  ...[
    "{{ [1, 2, 3] | map('string') | list }}",
    "{{ [1, 2] | map('nothing') | list }}",
    "{{ [] | first is defined }} {{ [] | last is defined }} {{ [] | max is defined }}",
  ],
  ...[
    "{{ 5 | length }}",
    "{{ none | length }}",
    "{{ nothing | length }} {{ nothing | upper }}",
    "{{ [1, 1.0, true] | unique | list }}",
    "{{ {'b': 1, 'a': 2} | dictsort }}",
  ],
  ...[
    "{{ {'a': nothing} | tojson }}",
    "{{ {'a': 1.0, 'b': '<é>' } | tojson }}",
    "{{ {1: 2, 'é': '\\u007f'} | tojson(ensure_ascii=true) }}",
    "{{ [] | tojson(indent=2) }}{{ {'a': []} | tojson(indent=0) }}",
  ],
  ...[
    "{{ 'a\nb' | indent }}|{{ '\na\n' | indent(2, true, true) }}",
    "{{ {'a': 1} is mapping }} {{ 'a' is iterable }} {{ 1 is number }} {{ true is integer }} {{ range(2) is sequence }}",
  ],
  ...[
    "{{ 3 is odd }} {{ 4 is divisibleby(2) }} {{ 3 is not in [1] }} {{ 'a' is eq 'a' }}",
    "{{ 'x' is odd }}",
    "{{ nothing is none }} {{ none is none }} {{ nothing is string }}",
  ],
  ...[
    "{% for x in [1, 2] | select('odd') %}{{ x }}{% endfor %}",
    "{% set g = [1, 2] | map('string') %}{{ g | list }}{{ g | list }}",
    "{{ ([] | select) is true }}",
  ],
  // Scopes, loops and macros
  ...[
    "{% for x in [1, 2] %}{% if loop.first %}{% set y = 1 %}{% endif %}{{ y }}{% endfor %}{{ y }}",
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 1 %}{% endfor %}{{ x }}",
  ],
  ...[
    "{% macro m() %}{{ x }}{% endmacro %}{% for x in [1] %}{{ m() }}{% endfor %}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m() }}",
  ],
  ...[
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
  ],
  ...[
    "{% for x in [1, 2, 3] %}a{{ x }}{% if x == 2 %}{% break %}{% endif %}b{% else %}none{% endfor %}",
    "{% for x in [1] %}{% continue %}{% else %}else{% endfor %}",
    "{% for x in 'ab' %}{{ x }}{% endfor %}",
  ],
  ...[
    "{% for x in nothing %}{{ x }}{% else %}empty{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for a, b in {'x': 1}.items() %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
  ],
  ...[
    "{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}{{ loop.last }}{{ loop.previtem }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in ([1, 2] if true) %}{{ x }}{% endfor %}",
  ],
  ...[
    "{% set ns = namespace({'a': 1}, b=2) %}{% for x in [1, 2] %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}",
    "{% set d = {} %}{% set d.a = 1 %}",
    "{% set a, b = 'xy' %}{{ a }}{{ b }}",
  ],
  ...[
    "{% set x %} a {% endset %}[{{ x }}]",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}",
    "{{ 'x' if false }}|{{ ('x' if false) is defined }}",
    "{% generation %}a{% set z = 1 %}{% endgeneration %}{{ z }}",
  ],
  // White space
  ...[
    "  {% if true %}\n  a\n  {% endif %}\n b",
    "a\n  {{ 1 }}\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif %}  \nc",
    "{%+ if true %} a {%+ endif +%}\nb",
    "{# c #}\n a {#- d -#} b\n\n",
    "a {# x\n #}\nb\r\nc\rd\n",
  ],
  ...[
    "{% raw %}{{ x }}{% endraw %}\n.",
    "  {%- raw -%}  a {%- endraw -%}  b",
    "{{ '{{' }}{{ '}}' }}{{ '%}' }}",
    "50%}\n #}\n",
    "{% set x = 1 %}\n  {% if x %}\n  y\n  {% endif %}\n{{ x }}\n  {% set y = 2 %}{{ y }}",
    "{{ 1 }}  {% set x = 2 %}{{ x }}{# c #}  {% set x = 3 %}\n{{ x }}{# c #}\n  {% set x = 4 %}{{ x }}",
    "\u3000{% if true %}a{% endif %}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
  ],
  ...[
    jinja`{{ '\d\101\x41\u0041\U00000041\a' }}`,
    "{{ 'a' 'b' }}",
    '{{ "x\ny" }}',
    "{{ raise_exception('no: ' ~ 1) }}",
    "{{ strftime_now('%d %B %Y, %H:%M %-d %j %p') }}",
  ],
];
