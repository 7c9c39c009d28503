"""What Jinja makes of prompts and chats: lm-eval 0.4.13's templates over documents, transformers 5.23.0's
`apply_chat_template` over dialogues, both with jinja2 3.1.6.

    pip install lm-eval==0.4.13 transformers==5.23.0 jinja2==3.1.6
    python tests/reference/jinja/jinja.py > tests/reference/jinja/jinja.json

The documents and templates are written for this file; the templates have the shapes that lm-eval's tasks and the
chat templates of the main model families have. The five templates of src/engine/merge/vocabulary/templates are read from there.
"""

import ast
import json
import sys
import unicodedata
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import jinja2
import transformers.utils.chat_template_utils as chat_utils
from lm_eval.api.task import ConfigurableTask

PINNED = {"jinja2": "3.1.6", "transformers": "5.23.0", "lm_eval": "0.4.13"}
TODAY = (2024, 7, 6)
ROOT = Path(__file__).parents[3]

MC = {
    "question": "  Which gas do plants take in? ",
    "choices": ["Carbon dioxide", "Ox'ygen", "Nitro\"gen", "He\\lium"],
    "answer": 0,
    "subject": "high_school_biology",
    "options": {"text": ["blue", "red", "it's green"], "label": ["A", "B", "C"]},
    "answerKey": "B",
    "passage": "Plants take in a gas.\nIt is not helium.\n",
    "label": 1,
    "is_true": True,
    "nothing": None,
    "score": 0.5,
    "tiny": 0.000012,
    "huge": 1e22,
    "whole": 3.0,
    "mc1_targets": {"choices": ["Yes.", "No."], "labels": [0, 1]},
    "kit": "['It fell.', \"It didn't.\", 'Both\\n']",
    "ctx_a": "A man sits down. he",
    "ctx_b": "opens a book.",
    "endings": ["reads", "sleeps"],
    "activity_label": "Reading",
    "options_text": "(A) one (B) two",
    "target": "(B)",
    "html": "a < b & c > d 'e'",
    "facts": [{"text": "one", "n": 1}, {"text": "two", "n": 2.5}],
    "Best Answer": "Grüße, 世界\u00a0🙂",
    "solution": "So 3 + 4 = 7\n#### 7",
    "digits": "2",
    "goal": "Open a jar", "sol1": "Turn the lid", "sol2": "Eat the lid",
    "sentence": "The cup did not fit in the box because _ was too big.", "option1": "cup", "option2": "box",
    "distractor1": "d1", "distractor2": "d2", "distractor3": "d3", "correct_answer": "c", "support": "s.",
}

TEXTS = [
    "question",
    "answer",
    "score",
    "nothing",
    "is_true",
    "choices",
    "options",
    "Best Answer",
    "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
    "Question: {{question}}\nAnswer:",
    "{{passage}}\nQuestion: {{question}}?\nAnswer:",
    "{% set head = 'Q: One?\nA: One.' %}{{head + '\n\nQ: ' + question + '\nA:'}}",
    "{{support.lstrip()}}\nQuestion: {{question}}\nAnswer:",
    "Question: {{goal}}\nAnswer:",
    "{{activity_label}}: {{ctx_a}} {{ctx_b.capitalize()}}",
    "{{passage.split(' ')[:-1]|join(' ')}}",
    "{{' '+passage.split(' ')[-1]}}",
    "{% for choice in choices %}{{ 'ABCD'[loop.index0] }}. {{ choice }}\n{% endfor %}Answer:",
    "{%- for choice in options.text -%}\n{{loop.index}}/{{loop.length}} {{choice}}{% if not loop.last %}, {% endif %}\n{%- endfor %}",
    "{{ subject|replace('_', ' ')|title }} {{ subject.split('_')|length }}",
    "{{ facts }} {{ choices }} {{ options }} {{ nothing }} {{ is_true }}",
    "{{ score }} {{ tiny }} {{ huge }} {{ whole }} {{ whole * 2 }} {{ 7 // 2 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ -7 % 3 }}",
    "{{ [score, tiny, huge, whole, 1, true, none] }}",
    "{{ html }} {{ html|safe }}",
    "{{ solution.split('#### ')[-1].rstrip() }}",
    "{{ solution|regex_replace('#### .*', '') }}|{{ solution|regex_replace('(\\d) \\+ (\\d)', '\\2 + \\1', 1) }}",
    "{{ target|regex_replace('[()]', '') }}",
    "{% if label == 1 %}yes{% elif label == 0 %}no{% else %}?{% endif %}",
    "{{ 'a' if is_true else 'b' }} {{ nothing is none }} {{ missing is defined }} {{ missing|default('d') }}",
    "{{ facts|map(attribute='text')|join(', ') }} {{ facts|selectattr('n', 'gt', 1)|list|length }}",
    "{{ choices|first }} {{ choices|last }} {{ choices[-1] }} {{ choices[1:3] }} {{ choices[::-1] }}",
    "{% set ns = namespace(n=0) %}{% for c in choices %}{% set ns.n = ns.n + c|length %}{% endfor %}{{ ns.n }}",
    "{{ 'x'.join(choices) }} {{ question.strip().lower().startswith('which') }} {{ question.find('gas') }}",
    "{{ options.items()|list }} {{ options.keys()|list }} {{ options.get('none', 'fallback') }}",
    "{% macro item(letter, text) %}({{ letter }}) {{ text }}{% endmacro %}{{ item('A', sol1) }} {{ item('B', sol2) }}",
    "{# a note #}{{ question|trim }}\n",
    "line\n\n",
    "{% raw %}{{ kept }}{% endraw %} {{ '{{' }}",
    "{{ '{} or {x}'.format('one', x=2) }}",
    "{{ choices|length }} {{ choices|string }} {{ 3.7|int }} {{ '3'|int + 1 }} {{ 2.5|round }}",
    "{{ passage.splitlines() }} {{ passage|upper }} {{ 'gas' in passage }} {{ choices.index('Ox\\'ygen') }}",
    "{{ range(3)|list }} {{ range(1, 6, 2)|list }} {{ dict(a=1, b='x') }} {{ (1, 'a') }} {{ ('a',) }}",
    "{{ score ~ '/' ~ answer ~ '/' ~ is_true ~ '/' ~ nothing }}",
    "{{ choices|sort|join('|') }} {{ choices|unique|list|length }} {{ [3,1,2]|max }} {{ [1,2]|sum }}",
    "{%- set x = sentence.index('_') -%}{{ sentence[:x] + option1 + sentence[x+1:] }}",
    "{{ question.strip()[0] }}{{ 'abc'[1:] }}{{ 'abc'[-1] }}{{ 'äöü'[1] }}",
    "{{ not is_true }} {{ 1 < 2 }} {{ 'a' == 'a' and 1 }} {{ '' or 'x' }} {{ 1 in [1, 2] }}",
]

CHOICES = [
    "choices",
    "endings",
    "kit_list",
    "{{choices}}",
    "{{options.text}}",
    "{{mc1_targets.choices}}",
    "{{[sol1, sol2]}}",
    "{{[distractor1, distractor2, distractor3, correct_answer]}}",
    "['no', \"yes\", 'it\\'s', 'tab\\tbed', '\\u00e9\\x41\\101', ('nested'), 'a' 'b',]",
    "{{ options.label|map('lower')|list }}",
    "{{ kit }}",
    "{{ [html, question, passage] }}",
    '[{% for x in [1,2] %}"opt {{x}}", {% endfor %}]',
]

TARGETS = [
    "answer",
    "label",
    "solution",
    "choices",
    0,
    "{{answer}}",
    "{{options.label.index(answerKey)}}",
    "{{ ['A','B','C','D'][answer] }}",
    "{{ 'ABC'.index(answerKey) }}",
    "{{ choices }}",
    "{{ target }}",
    "{{ is_true|int }}",
    "{{mc1_targets.labels.index(1)}}",
    "[not a list]",
    "{{ ' ' + digits }}",
    "{{ digits }}",
    "3",
    "{{ [] }}",
]

LITERALS = [
    "['It fell.', \"It didn't.\"]",
    "[1, -2, 3.5, 1e3, 1_000, None, True, False]",
    "('a', 'b')",
    "('a',)",
    "()",
    "[]",
    "[[1, [2]], 'x',]",
    " ['a'\n 'b', \n 'c'] ",
    "'''a\n'b' ''c'''",
    "\"\\\"\\'\\\\\\n\\t\\r\\a\\b\\f\\v\\0\\101\\x41\\u00e9\\U0001F642\\q\\\n!\"",
    "[a, b]",
    "['a' 'b'",
    "['a', 'b'",
    "['a\nb']",
    "[1,,2]",
    "'abc",
    "",
    "nope",
    "'\\x4'",
    "01",
    "[1] 2",
    "-'a'",
    "--1",
    "- 5",
    "+.5",
]

NUMBERS = [
    0.0, -0.0, 1.0, 0.1, 1e-4, 0.00012345, 1e-5, 9.99e-5, 1e15, 123456789012345.6, 1e16, 1.5e16, 1e22, 1.5e300, 5e-324,
    -2.5e-7, 100.0, 12345.678, 1 / 3, 2**53 + 0.0, 9999999999999998.0,
]

STRINGS = ["", "it's", 'say "no"', "it's \"both\"", "\\n", "tab\tnew\nreturn\r", "\x00\x1f\x7f\x80\xa0\xad", "é世🙂",
           "\u200b\u2028\u3000\ufeff", "\U000e0001\U0010ffff"]

DATES = [(1, 1, 1), (1900, 2, 28), (1970, 1, 1), (1999, 12, 31), (2000, 2, 29), (2023, 3, 5), (2024, 2, 29), (2024, 12, 31),
         (2026, 11, 22), (2100, 3, 1), (9999, 12, 31)]
FORMATS = ["%d %b %Y", "%Y-%m-%d", "%F", "%A, %B %d, %Y", "%a %j %u %y %e|%-d|%-m|%-j", "%H:%M:%S %I %p %T %R%%", "no %%d"]

LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% for message in rest %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {% endif %}
    {% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}
    {% if message['role'] == 'user' %}
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {%- elif message['role'] == 'assistant' %}
{{ ' ' + content.strip() + ' ' + eos_token }}
    {%- endif %}
{% endfor %}"""

LLAMA31 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{#- the system message comes first #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}{{- tools | tojson(indent=4) }}{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""

GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}{%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""

QWEN25 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}{{- tool | tojson }}{%- endfor %}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a careful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN3 = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

PHI3 = """{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"""

TULU = """{% for message in messages %}
    {% if message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + '\\n' }}
    {%- elif message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + '\\n' }}
    {%- elif message['role'] == 'assistant' %}
        {%- if not loop.last %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token + '\\n' }}
        {%- else %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
        {%- endif %}
    {%- endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>\\n' }}
    {%- endif %}
{%- endfor %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if message.role == "user" or (message.role == "assistant" and message.tool_calls is not defined) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""

GENERATION = """{%- for message in messages %}
  {%- if message.role == 'assistant' %}
    {%- generation -%} {{ message.content }}{{ eos_token }} {%- endgeneration %}
  {% else %}
<{{ message.role }}>{{ message.content }}
  {% endif %}
{% generation %}
x
{% endgeneration %}
{%- endfor %}"""

LOOPS = """{%- for message in messages %}
{%- if message.role == 'system' %}{% continue %}{% endif %}
{%- if loop.index > 3 %}{% break %}{% endif %}
{{- loop.index0 }}:{{ message.role[0] }}:{{ message | tojson }}:{{ message.content | tojson(indent=2) }}
{% endfor %}
{{- {'b': [1, 2.0, none, true], 'a': {'x': '<é>'}} | tojson }}
{{ {'b': [1, {}], 'a': []} | tojson(indent=2) }}
{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}
{{ 'é🙂' | tojson(ensure_ascii=true) }}
{{ strftime_now('%A, %B %d, %Y; %Y-%m-%d %a %j %-d %-m %y %H:%M') }} {{ missing }} {{ missing is defined }}
{%- if messages[-1].role == 'user' and add_generation_prompt %}
  ->
{%- endif %}"""

CHATS = {
    "chatml": (None, {}),
    "alpaca": (None, {}),
    "exaone": (None, {}),
    "llama3": (None, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "mistral": (None, {"bos_token": "<s>", "eos_token": "</s>"}),
    "llama2": (LLAMA2, {"bos_token": "<s>", "eos_token": "</s>"}),
    "llama31": (LLAMA31, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "mistral-v3": (MISTRAL, {"bos_token": "<s>", "eos_token": "</s>"}),
    "gemma": (GEMMA, {"bos_token": "<bos>", "eos_token": "<eos>"}),
    "gemma3": (GEMMA3, {"bos_token": "<bos>"}),
    "qwen2.5": (QWEN25, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}),
    "qwen3": (QWEN3, {"eos_token": "<|im_end|>"}),
    "zephyr": (ZEPHYR, {"eos_token": "</s>"}),
    "phi3": (PHI3, {"eos_token": "<|endoftext|>"}),
    "tulu": (TULU, {"eos_token": "<|end_of_text|>"}),
    "generation": (GENERATION, {"eos_token": "</s>"}),
    "loops": (LOOPS, {}),
}

DIALOGUES = [
    [("user", "Hello!")],
    [("system", "Be brief."), ("user", " What is 2 + 2?\n")],
    [("user", "One"), ("assistant", "1 < 2 & 'x'"), ("user", "Two \"quoted\"")],
    [("system", " S "), ("user", "a"), ("assistant", "<think>\nhm\n</think>\n\nb"), ("user", "c"), ("assistant", "d é 🙂\n")],
    [("user", "a"), ("user", "b")],
]


def features(template, field):
    config = SimpleNamespace(**{"doc_to_choice": None, field: template})
    return SimpleNamespace(prompt=None, features=list(MC), config=config, _config=config)


def attempt(function):
    try:
        return {"result": function()}
    except (jinja2.TemplateError, SyntaxError, ValueError, TypeError) as error:
        # Messages of ast.literal_eval hold addresses in memory.
        message = str(error) if isinstance(error, jinja2.TemplateError) else ""
        return {"error": type(error).__name__, "message": message}


def prompts(templates, field):
    call = getattr(ConfigurableTask, field)
    return [{"template": t, **attempt(lambda: call(features(t, field), MC))} for t in templates]


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*TODAY)


def chats():
    chat_utils.datetime = Clock
    for name, (source, tokens) in CHATS.items():
        ours = ROOT / f"src/engine/merge/vocabulary/templates/{name}.jinja"
        source = source if source is not None else ours.read_text()
        cases = []
        for dialogue in DIALOGUES:
            messages = [{"role": role, "content": content} for role, content in dialogue]
            for prompted in (False, True):
                render = lambda: chat_utils.render_jinja_template(
                    conversations=[messages], chat_template=source, add_generation_prompt=prompted, **tokens
                )[0][0]
                cases.append({"messages": messages, "add_generation_prompt": prompted, **attempt(render)})
        yield {"name": name, "template": source, "tokens": tokens, "cases": cases}


def main():
    installed = {name: version(name) for name in PINNED}
    if installed != PINNED:
        sys.exit(f"expected {PINNED}, found {installed}")
    found = {
        "versions": installed,
        "today": TODAY,
        "fields": MC,
        "texts": prompts(TEXTS, "doc_to_text"),
        "choices": prompts(CHOICES, "doc_to_choice"),
        "targets": prompts(TARGETS, "doc_to_target"),
        "literals": [{"text": t, **attempt(lambda: ast.literal_eval(t))} for t in LITERALS],
        "reprs": [{"value": value, "repr": repr(value)} for value in NUMBERS + STRINGS],
        "unprintable": [
            code for code in range(0x110000)
            if not chr(code).isprintable() and unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
        ],
        "dates": [
            {"date": date, "format": format, "text": datetime(*date).strftime(format)}
            for date in DATES for format in FORMATS if date[0] >= 1000
        ],
        "chats": list(chats()),
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))


main()
