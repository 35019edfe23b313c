# Renders chat templates as transformers does, for jinja-python.test.ts: from JSON lines on standard input to JSON lines.
# The environment follows transformers, src/transformers/utils/chat_template_utils.py.
import json
import sys
from datetime import datetime

import jinja2.exceptions
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


class Raised(jinja2.exceptions.TemplateError):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


now = 0
environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda format: datetime.fromtimestamp(now).strftime(format)

compiled = {}
for line in sys.stdin:
    request = json.loads(line)
    now = request["now"] / 1000
    try:
        template = request["template"]
        if template not in compiled:
            compiled[template] = environment.from_string(template)
        answer = {"text": compiled[template].render(**request["variables"])}
    except Raised as error:
        answer = {"raised": str(error)}
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
