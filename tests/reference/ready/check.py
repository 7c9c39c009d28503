"""The prompts, choices and targets of the ready task files over the files of make.py, as lm-evaluation-harness renders them.

    pip install -r requirements.txt && python make.py && python check.py

Reads datasets/<task>/task.toml of every task with a hub dataset, gives lm-eval the same keys over tests/reference/ready/hub,
asks for what each document looks like, stops where something is not as it should be, and writes EXPECTED.json: per task the
number of documents of each split it names, and the first and last document of the split it is dealt from or evaluated on. Conversations
are beyond lm-eval: their documents and prompts are made here, with its Jinja settings. Prompts with a chat template are
rendered with CHATML below.
"""

import csv
import fnmatch
import json
import logging
import os
import pathlib
import re
import tempfile
import tomllib

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": tempfile.mkdtemp(), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import jinja2  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.utils import env as LM_EVAL  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TASKS = HERE.parents[2] / "datasets"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LICENSES = """Apache-2.0 CC-BY-4.0 CC-BY-NC-ND-4.0 CC-BY-SA-3.0 MIT NOASSERTION""".split()
SPLITS = ["training_split", "validation_split", "test_split"]
OURS = "summary license id splits where conversation apply_chat_template dataset_kwargs".split()
READERS = {".parquet": "parquet", ".jsonl": "json", ".csv": "csv"}


def rows_of(path: pathlib.Path) -> list[dict]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(task: dict, split: str) -> list[pathlib.Path]:
    """What the task file names; else what the listing has for the config and the split, in the layout of the hub."""
    root = HERE / "hub" / task["dataset_path"]
    listed = [entry["rfilename"] for entry in json.loads((root / "hub.json").read_text())["siblings"]]
    named = task["dataset_kwargs"].get("data_files", {})
    folder = task.get("dataset_name", "data")
    patterns = named.get(split, f"{folder}/{split}-*") if named else f"{folder}/{split}-*"
    patterns = [patterns] if isinstance(patterns, str) else patterns
    found = [name for pattern in patterns for name in listed if fnmatch.fnmatch(name, pattern)]
    assert found, (task["task"], split, patterns)
    return [root / name for name in found]


def chat(messages: list[dict], add_generation_prompt: bool = True) -> str:
    return jinja2.Template(CHATML, keep_trailing_newline=True).render(
        messages=messages, add_generation_prompt=add_generation_prompt
    )


def for_lm_eval(task: dict, split: str) -> ConfigurableTask:
    """The same keys, over our files; metrics that are ours do not matter to a prompt."""
    files = [str(path) for path in files_of(task, split)]
    config = {key: value for key, value in task.items() if key not in [*OURS, *SPLITS, "dataset_name", "filter_list"]}
    config |= {"dataset_path": READERS[pathlib.Path(files[0]).suffix], "dataset_kwargs": {"data_files": {split: files}}}
    config |= {"test_split": split, "metric_list": [{"metric": metric_of(task)}]}
    return ConfigurableTask(config=config)


def metric_of(task: dict) -> str:
    return {"multiple_choice": "acc", "loglikelihood": "perplexity"}.get(task["output_type"], "exact_match")


def kept(task: dict, row: dict) -> bool:
    wanted = {field: value if isinstance(value, list) else [value] for field, value in task.get("where", {}).items()}
    return all(row[field] in values for field, values in wanted.items())


def right_of(target: int | str, choices: list[str]) -> int:
    if isinstance(target, int) or re.fullmatch(r"\d+", target):
        return int(target)
    return choices.index(target)


def document(task: dict, harness: ConfigurableTask, row: dict) -> dict:
    templated = task.get("apply_chat_template", False)
    shots = task.get("num_fewshot", 0)
    prompt = harness.fewshot_context(row, shots, apply_chat_template=templated, chat_template=chat if templated else None)
    target = harness.doc_to_target(row)
    if task["output_type"] != "multiple_choice":
        return {"prompt": prompt, "references": [target]}
    choices = harness.doc_to_choice(row)
    return {"prompt": prompt, "choices": choices, "right": right_of(target, choices)}


def documents(task: dict, split: str) -> list[dict]:
    if "conversation" in task:
        return conversations(task, [row for path in files_of(task, split) for row in rows_of(path)])
    harness = for_lm_eval(task, split)
    return [document(task, harness, row) for row in harness.dataset[split] if kept(task, row)]


def conversations(task: dict, rows: list[dict]) -> list[dict]:
    """Every reply of rank 0, after the messages that lead to it."""
    key = task["conversation"]
    messages = {row[key["id"]]: row for row in rows if kept(task, row)}
    roles = {key["prompter"]: "user", key["assistant"]: "assistant"}
    found = []
    for row in messages.values():
        if row[key["role"]] != key["assistant"] or row[key["rank"]] != 0:
            continue
        before, parent = [], row[key["parent"]]
        while parent is not None:
            message = messages[parent]
            before.insert(0, {"role": roles[message[key["role"]]], "content": message[key["text"]]})
            parent = message[key["parent"]]
        fields = {"messages": before, "reply": row[key["text"]]}
        plain = task["doc_to_text"] != "messages"
        prompt = LM_EVAL.from_string(task["doc_to_text"]).render(**fields) if plain else chat(before)
        found.append({"prompt": prompt, "references": [fields[task["doc_to_target"]]], "messages": before})
    return found


def sane(task: dict, doc: dict):
    prompt, name = doc["prompt"], task["task"]
    assert prompt.strip() and not re.search(r"\{\{|\{%|\bNone\b|Undefined", prompt), (name, prompt)
    assert prompt == prompt.rstrip() or task.get("apply_chat_template"), (name, "ends in a blank", prompt)
    if "choices" in doc:
        choices = doc["choices"]
        assert len(set(choices)) == len(choices) >= 2 and all(choice.strip() for choice in choices), (name, choices)
        assert 0 <= doc["right"] < len(choices), (name, doc)
    else:
        assert doc["references"] and all(reference.strip() for reference in doc["references"]), (name, doc)


def header(task: dict, name: str):
    revision = task["dataset_kwargs"]["revision"]
    assert task["task"] == name and task["license"] in LICENSES, name
    assert re.fullmatch("[0-9a-f]{40}", revision) or revision in ("main", "refs/convert/parquet"), (name, revision)
    source = json.loads((HERE / "hub" / task["dataset_path"] / "hub.json").read_text())
    assert source["revision"] == revision, (name, "make.py has another revision")
    if "splits" in task:
        named = {task[key] for key in SPLITS[:2] if key in task}
        assert task["splits"]["from"] in named and task["splits"]["from"] != task.get("test_split"), (name, "searches a test split")
    else:
        assert [key for key in SPLITS if key in task] == ["test_split"], (name, "neither dealt nor for evaluation only")


def distinct(task: dict, docs: list[dict]):
    """Documents that are dealt out may not pass for near duplicates of one another."""
    common = len(os.path.commonprefix([doc["prompt"] for doc in docs]))
    texts = [re.findall(r"\w+", doc["prompt"][common:].lower()) for doc in docs]
    grams = [{tuple(words[at : at + 5]) for at in range(len(words) - 4)} for words in texts]
    assert all(len(set(words)) >= 20 for words in texts), (task["task"], "a short text")
    shared = max(len(one & other) / len(one | other) for at, one in enumerate(grams) for other in grams[:at])
    # the turns of a conversation have its beginning in common
    assert shared < 0.4 or "conversation" in task, (task["task"], shared)


def main():
    logging.disable(logging.WARNING)
    expected = {}
    for path in sorted(TASKS.glob("*/task.toml")):
        task = tomllib.loads(path.read_text())
        if "dataset_path" not in task:
            continue
        header(task, path.parent.name)
        splits = {task[key]: documents(task, task[key]) for key in SPLITS if key in task}
        for docs in splits.values():
            for doc in docs:
                sane(task, doc)
        chosen = task["splits"]["from"] if "splits" in task else task["test_split"]
        if "splits" in task:
            distinct(task, splits[chosen])
        counts = {split: len(docs) for split, docs in splits.items()}
        expected[task["task"]] = {"documents": counts, "split": chosen, "first": splits[chosen][0], "last": splits[chosen][-1]}
        print(task["task"], counts)
    content = {"chat_template": CHATML, "tasks": expected}
    (HERE / "EXPECTED.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
