"""Task folders from real data sets.

    python tasks.py DATASETS OUT

DATASETS holds `cosmos_qa.jsonl`, `arc_easy.jsonl`, `openbook_qa.jsonl`, `logiqa_eval.jsonl` and `mmlu_redux.jsonl`, one
document a line: `{input, choices, answer}`, each choice with its leading blank. Writes OUT/<task>/ with 200 documents in
the split `search` and 20 in each of `selection` and `holdout`, drawn with a fixed seed:

    cosmos_qa         reading, 4 choices
    cosmos_qa_5shot   the same documents, each after the same five solved ones
    arc_easy          short questions, 4 choices
    openbook_qa       sentence ends, 4 choices, chosen by nats per character
    logiqa_eval       reading and reasoning, 4 choices
    one_token         mmlu_redux: options in the prompt, the choices are the letters A to D
"""

import json
import pathlib
import random
import sys

SPLITS = {"search": 200, "selection": 20, "holdout": 20}
SHOTS = 5

TASK = """\
task = "{name}"
output_type = "multiple_choice"
doc_to_text = "{{{{prompt}}}}"
doc_to_choice = "choices"
doc_to_target = "answer"
target_delimiter = " "
metric = "{metric}"

[splits]
search = "search.jsonl"
selection = "selection.jsonl"
holdout = "holdout.jsonl"
"""


def drawn(datasets, name):
    """Different documents with different choices, in random order."""
    lines = (datasets / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    docs = {}
    for doc in (json.loads(line) for line in lines if line):
        choices = [choice.removeprefix(" ") for choice in doc["choices"]]
        if len(set(choices)) == len(choices) and all(choices):
            docs[doc["input"], *choices] = {"prompt": doc["input"], "choices": choices, "answer": doc["answer"]}
    return random.Random(0).sample(list(docs.values()), len(docs))


def write(folder, docs, metric="acc"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.toml").write_text(TASK.format(name=folder.name, metric=metric), encoding="utf-8")
    docs = iter(docs)
    for split, count in SPLITS.items():
        lines = [json.dumps(next(docs), ensure_ascii=False) + "\n" for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def after_shots(docs):
    """The documents but for the last ones, which are solved and stand before each."""
    solved = [f"{doc['prompt']} {doc['choices'][doc['answer']]}\n\n" for doc in docs[-SHOTS:]]
    header = "".join(solved)
    return [{**doc, "prompt": header + doc["prompt"]} for doc in docs[:-SHOTS]]


def main():
    datasets, out = map(pathlib.Path, sys.argv[1:])
    cosmos_qa = drawn(datasets, "cosmos_qa")
    write(out / "cosmos_qa", cosmos_qa)
    write(out / "cosmos_qa_5shot", after_shots(cosmos_qa))
    write(out / "arc_easy", drawn(datasets, "arc_easy"))
    write(out / "openbook_qa", drawn(datasets, "openbook_qa"), metric="acc_norm")
    write(out / "logiqa_eval", drawn(datasets, "logiqa_eval"))
    write(out / "one_token", drawn(datasets, "mmlu_redux"))


if __name__ == "__main__":
    main()
