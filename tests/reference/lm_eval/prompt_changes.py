"""What lm-eval's `hf` backend says of tasks of docs/tasks whose files were changed by hand, as a recipe's `prompts` changes them.

    pip install -r requirements.txt
    python docs_models.py && python prompt_changes.py

Writes prompt_changes/<model>.json: as docs/<model>.json (see docs.py), but each run has the name of the unchanged task, and `change`: the
entry of `prompts`. What the change stands for is written into a copy of the task's YAML file here, in lm-eval's words; letters as answers
in Jinja.
"""

import os
import pathlib
import shutil
import sys
import tempfile

import yaml

import docs
from docs_models import CONFIGS, HERE

LINES = "{% for choice in ends %}\n{{ 'ABCDEFGH'[loop.index0] }}. {{ choice | trim }}{% endfor %}\nAnswer:"
LETTERS = "{{ ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'][:ends | length] }}"
LETTER = dict(answer_style="letter")
# Task, change, what it means in the task's file, what it means on lm-eval's command line.
CASES = [
    ("shots_train", dict(num_fewshot=0), dict(num_fewshot=0), {}),
    ("shots_train", dict(num_fewshot=1), dict(num_fewshot=1), {}),
    ("shots_train", dict(num_fewshot=2, system_instruction=docs.SYSTEM), dict(num_fewshot=2), dict(system_instruction=docs.SYSTEM)),
    ("shots_listed", dict(num_fewshot=1), dict(num_fewshot=1), {}),
    ("generated_shots", dict(num_fewshot=1, max_gen_toks=5), dict(num_fewshot=1, generation_kwargs=dict(max_gen_toks=5)), {}),
    ("generated_shots", dict(num_fewshot=0, system_instruction=docs.SYSTEM), dict(num_fewshot=0), dict(system_instruction=docs.SYSTEM)),
    ("shots_train", dict(num_fewshot=2, doc_to_text="{{topic}}, {{start | upper}} and"), dict(num_fewshot=2, doc_to_text="{{topic}}, {{start | upper}} and"), {}),
    ("generated", dict(doc_to_text="question"), dict(doc_to_text="question"), {}),
    ("field_choices", dict(doc_to_text="Say: {{prompt}}\n"), dict(doc_to_text="Say: {{prompt}}\n"), {}),
    ("shots_train", dict(LETTER, num_fewshot=2), dict(num_fewshot=2, doc_to_text="Start: {{start}}\nEnd:" + LINES, doc_to_choice=LETTERS), {}),
    ("shots_train", dict(LETTER, num_fewshot=1, doc_to_text="{{start}}"), dict(num_fewshot=1, doc_to_text="{{start}}" + LINES, doc_to_choice=LETTERS), {}),
    ("shots_listed", LETTER, dict(doc_to_text="\n{{start}} ..." + LINES, doc_to_choice=LETTERS, doc_to_target="{{ 'ABCDEFGH'[right] }}"), {}),
    ("list_choices", LETTER, dict(doc_to_text="{{statement}}\nQuestion: {{question}}? yes, maybe or no?\nAnswer:\nA. yes\nB. maybe\nC. no\nAnswer:",
                                  doc_to_choice=["A", "B", "C"]), {}),
    ("trailing_blank", LETTER, dict(doc_to_text="{{ prompt.rstrip() }}" + LINES.replace("ends", "choices"), doc_to_choice=["A", "B", "C"],
                                    target_delimiter=" "), {}),
    ("list_choices", dict(LETTER, apply_chat_template=True),
     dict(doc_to_text="{{statement}}\nQuestion: {{question}}? yes, maybe or no?\nAnswer:\nA. yes\nB. maybe\nC. no\nAnswer:", doc_to_choice=["A", "B", "C"]),
     docs.CHAT),
    ("list_choices", docs.CHAT, {}, docs.CHAT),
]
MODELS = ("llama", "qwen2")
TASKS = docs.TASKS


def changed(task, place, keys, folder):
    """A copy of the task's file with other values, under a name of its own."""
    name = f"{task}_{place}"
    own = yaml.safe_load((TASKS / f"{task}.yaml").read_text(encoding="utf-8"))
    for key, value in keys.items():
        own[key] = own.get(key, {}) | value if isinstance(value, dict) else value
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(own | {"task": name}, allow_unicode=True), encoding="utf-8")
    return name


def main():
    names = sys.argv[1:] or MODELS
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tasks = scratch / "tasks"
        tasks.mkdir()
        for file in TASKS.glob("*.jsonl"):
            shutil.copy(file, tasks)
        docs.TASKS = tasks
        os.chdir(tasks)
        for name in names:
            assert name in CONFIGS, name
            model = docs.loaded(docs.as_written(name, scratch / name))
            docs.check(model, scratch / name)
            found = []
            for place, (task, change, keys, options) in enumerate(CASES):
                own = changed(task, place, keys, tasks)
                found += [run | {"task": task, "change": change} for run in docs.run(model, [own], options)]
            report = {"model": name, "lm_eval": docs.PINNED["lm-eval"], "transformers": docs.PINNED["transformers"], "runs": found}
            path = HERE / "prompt_changes" / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(docs.compact(report), encoding="utf-8")
            print(name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
