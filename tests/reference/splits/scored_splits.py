"""Which split of which hub dataset lm-eval scores on, for well-known benchmarks.

    pip install lm-eval==0.4.13 && python scored_splits.py > scored_splits.tsv

lm-eval scores `test_split` and, where a task has none, `validation_split`; the few validation variants of a dataset that
other tasks score on its test split are left out.
"""
import pathlib

import lm_eval
import yaml

FOLDERS = """
mmlu mmlu_pro truthfulqa hellaswag winogrande piqa gsm8k arc openbookqa commonsense_qa logiqa logiqa2 bbh bbq siqa sciq race
triviaqa nq_open drop gpqa hendrycks_math minerva_math humaneval mbpp lambada mathqa medqa medmcqa cnn_dailymail coqa anli
mgsm squadv2 wikitext asdiv super_glue ifeval toxigen crows_pairs realtoxicityprompts mc_taco mutual social_iqa swag
""".split()


class Loader(yaml.SafeLoader):
    """Takes any tag for text."""


Loader.add_multi_constructor("!", lambda loader, tag, node: None)


def load(path):
    task = yaml.load(path.read_text(), Loader) or {}
    includes = task.pop("include", [])
    whole = {}
    for name in [includes] if isinstance(includes, str) else includes:
        whole |= load(path.parent / name)
    return whole | task


def scored(folder):
    for path in sorted(folder.rglob("*.yaml")):
        try:
            task = load(path)
        except FileNotFoundError:
            continue
        split = task.get("test_split") or task.get("validation_split")
        if isinstance(task.get("dataset_path"), str) and "/" in task["dataset_path"] and split:
            yield task["dataset_path"], split


tasks = pathlib.Path(lm_eval.__file__).parent / "tasks"
rows = {row for name in FOLDERS if (tasks / name).is_dir() for row in scored(tasks / name)}
tested = {dataset for dataset, split in rows if split.startswith("test")}
rows = {row for row in rows if row[0] not in tested or row[1].startswith("test")}
print("\n".join("\t".join(row) for row in sorted(rows)))
