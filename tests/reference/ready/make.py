"""Small files in the layout of the public datasets that the ready task files name; what is in them is made up here.

    pip install pyarrow==26.0.1 && python make.py

Writes, beside itself, hub/<owner>/<name>/<path in the repository> and hub/<owner>/<name>/hub.json: the revision that the task
files name, the commit it leads to, and the repository's listing. The listing also has files that are not stored here, as the
real one has files that a task has no use for: asking for one of those is an error of the reader. Paths, columns and types are
the datasets' own (datasets/README.md says how each is known); no text is.
"""

import csv
import io
import json
import pathlib
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from items import SCORES, biased, boolean, conversations, counting, deduction, hexadecimal, sorting, sum_in_words
from sentences import DEEDS, FEELINGS, NAMES, PLACES, THINGS, WHEN, Writer

HERE = pathlib.Path(__file__).parent
HUB = HERE / "hub"
TEXT, INT, LONG = pa.string(), pa.int32(), pa.int64()
TEXTS, INTS = pa.list_(TEXT), pa.list_(INT)
MANY, FEW = 40, 12  # documents of a split that is dealt, of another

# name → revision as the task file has it, files with rows, names of files that the listing has besides
REPOSITORIES: dict[str, dict] = {}


def repository(name: str, revision: str, others: list[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    REPOSITORIES[name] = {"revision": revision, "files": files, "others": others}
    return files


def features(schema: pa.Schema, labels: dict[str, list[str]]) -> bytes:
    """What the library `datasets` notes in a parquet file, for the columns that matter to a reader: names of classes."""
    kinds = {c.name: {"names": labels[c.name], "_type": "ClassLabel"} for c in schema if c.name in labels}
    return json.dumps({"info": {"features": kinds}}).encode()


def parquet(columns: dict[str, pa.DataType], rows: list[dict], labels: dict[str, list[str]] | None = None) -> bytes:
    schema = pa.schema(list(columns.items()))
    if labels:
        schema = schema.with_metadata({b"huggingface": features(schema, labels)})
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="snappy")
    return out.getvalue()


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv_file(columns: list[str], rows: list[dict]) -> bytes:
    out = io.StringIO()
    table = csv.DictWriter(out, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue().encode()


def cosmos_qa():
    files = repository("allenai/cosmos_qa", "ed50fe83db62b355759053b1cd5eef344ee371e0", [".gitattributes"])
    names = "id context question answer0 answer1 answer2 answer3".split()
    columns = {name: TEXT for name in names} | {"label": INT}
    for split, count in [("train", MANY), ("validation", FEW), ("test", FEW)]:
        write, rows = Writer(f"cosmos {split}"), []
        for at in range(count):
            who = write.one(NAMES)
            question = f"Why was {who} {write.one(FEELINGS)} by {write.one(WHEN)} ?"
            answers = write.phrases(3) + ["None of the above choices ."]
            row = {"id": f"{split}##{hexadecimal(who + str(at), 12)}", "context": write.text(4, who), "question": question}
            row |= {f"answer{i}": answer for i, answer in enumerate(answers)}
            # the labels of `test` are not published
            rows.append(row | {"label": -1 if split == "test" else write.dice.randrange(4)})
        files[f"default/{split}/0000.parquet"] = parquet(columns, rows)


def xsum():
    files = repository("EdinburghNLP/xsum", "7d4d486c2f8ef850b1a11aead99b894ff3dd7da9", [".gitattributes", "README.md"])
    columns = {"document": TEXT, "summary": TEXT, "id": TEXT}
    for split, count in [("train", FEW), ("validation", MANY), ("test", FEW)]:
        write = Writer(f"xsum {split}")
        rows = [
            {
                "document": "\n".join(write.text(2) for _ in range(3)),
                "summary": write.sentence(),
                "id": str(write.dice.randrange(10**7, 4 * 10**7)),
            }
            for _ in range(count)
        ]
        files[f"data/{split}-00000-of-00001.parquet"] = parquet(columns, rows)


def dolly():
    files = repository(
        "databricks/databricks-dolly-15k",
        "bdd27f4d94b9c1f951818a7da7fd7aeea5dbff1a",
        [".gitattributes", "README.md"],
    )
    kinds = """open_qa general_qa classification closed_qa brainstorming information_extraction summarization
    creative_writing""".split()
    write, rows = Writer("dolly"), []
    for at in range(MANY):
        kind = kinds[at % len(kinds)]
        context = write.text(3) if kind in ("closed_qa", "information_extraction", "summarization") else ""
        instruction = f"{write.text(2)} What would you tell {write.one(NAMES)} about the {write.one(PLACES)}?"
        rows.append({"instruction": instruction, "context": context, "response": write.text(3), "category": kind})
    files["databricks-dolly-15k.jsonl"] = jsonl(rows)


DETOXIFY = pa.struct([(name, pa.float64()) for name in SCORES])
MESSAGE = {
    **{n: TEXT for n in "message_id parent_id user_id created_date text role lang".split()},
    **{"review_count": INT, "review_result": pa.bool_(), "deleted": pa.bool_(), "rank": INT, "synthetic": pa.bool_()},
    **{"model_name": TEXT, "detoxify": DETOXIFY, "message_tree_id": TEXT, "tree_state": TEXT},
    "emojis": pa.struct([("name", TEXTS), ("count", INTS)]),
    "labels": pa.struct([("name", TEXTS), ("value", pa.list_(pa.float64())), ("count", INTS)]),
}


def oasst():
    exports = [f"2023-04-12_oasst_{kind}.jsonl.gz" for kind in ("all.messages", "all.trees", "ready.messages", "ready.trees")]
    files = repository(
        "OpenAssistant/oasst1", "fdf72ae0827c1cda404aff25b6603abec9e3399b", [".gitattributes", "README.md", *exports]
    )
    for split, digits, trees in [("train", "b42a775f407cee45", 8), ("validation", "134b8fd0c89408b6", 31)]:
        rows = conversations(f"oasst {split}", trees)
        files[f"data/{split}-00000-of-00001-{digits}.parquet"] = parquet(MESSAGE, rows)


def flan():
    sets = ["anli_r2", "glue_mrpc", "glue_qqp", "piqa"]
    others = [f"{split}/{name}_10templates_{split}.jsonl" for split in ("train", "test") for name in sets]
    files = repository(
        "Muennighoff/flan", "049702ca5ffc5b3c62bf226aac67ba1493e8d548", [".gitattributes", "README.md", *others]
    )
    asks = {
        "anli_r2": ("{a}\n\nBased on that paragraph can we conclude that this sentence is true?\n\n{b}", ["Yes", "No"]),
        "glue_mrpc": ("First: {a}\nSecond: {b}\nDo the two say the same?", ["yes", "no"]),
        "glue_qqp": ("{a} Would {b} be answered alike?", ["yes", "no"]),
        "piqa": ("{a}\nGoal: {b}", []),
    }
    for name, (form, options) in asks.items():
        write = Writer(f"flan {name}")
        rows = []
        for _ in range(FEW):
            choices = options or write.phrases(2)
            listed = "\n\nOPTIONS:\n" + "\n".join(f"- {choice}" for choice in choices)
            inputs = form.format(a=write.text(3), b=write.sentence()) + listed
            rows.append({"inputs": inputs, "targets": write.one(choices), "task": f"{name}_10templates"})
        files[f"validation/{name}_10templates_validation.jsonl"] = jsonl(rows)


def p3():
    config = "adversarial_qa_dbert_answer_the_following_q"
    other = "adversarial_qa_dbert_based_on"
    others = [f"{other}/{split}-00000-of-00001.parquet" for split in ("train", "validation")]
    others += [".gitattributes", "README.md", f"data/{other}/stats.validation.json"]
    files = repository("bigscience/P3", "b0ae0504ef7b17e4994432c7b6ff9267cc526ada", others)
    columns = {"inputs": INTS, "inputs_pretokenized": TEXT, "targets": INTS, "targets_pretokenized": TEXT}
    for split, count in [("train", MANY), ("validation", FEW)]:
        write, rows = Writer(f"p3 {split}"), []
        for _ in range(count):
            ask = f'Given this passage\n\n"{write.text(4)}",\n\nanswer from it.\n\nQuestion: What did {write.one(NAMES)} find?\n'
            ids = [write.dice.randrange(3, 32000) for _ in range(12)] + [1]
            rows.append(dict(zip(columns, [ids, ask, ids[-4:], write.phrase()])))
        files[f"{config}/{split}-00000-of-00001.parquet"] = parquet(columns, rows)


def mmlu():
    subjects = ["abstract_algebra", "anatomy", "astronomy", "high_school_physics", "world_religions"]
    others = [f"{s}/{split}-00000-of-00001.parquet" for s in subjects for split in ("dev", "test", "validation")]
    # unlike all/auxiliary_train, this one has a single column, a struct
    others += [".gitattributes", "README.md", "auxiliary_train/train-00000-of-00001.parquet"]
    files = repository("cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe", others)
    columns = {"question": TEXT, "subject": TEXT, "choices": TEXTS, "answer": LONG}
    for split, count in [("auxiliary_train", FEW), ("dev", 10), ("test", FEW), ("validation", MANY)]:
        write = Writer(f"mmlu {split}")
        rows = [
            {
                "question": f"{write.text(3)} What follows for the {write.one(THINGS)}? ",
                "subject": "" if split == "auxiliary_train" else subjects[at * len(subjects) // count],
                "choices": write.phrases(4),
                "answer": write.dice.randrange(4),
            }
            for at in range(count)
        ]
        files[f"all/{split}-00000-of-00001.parquet"] = parquet(columns, rows, {"answer": list("ABCD")})


def truthful_qa():
    others = [".gitattributes", "README.md", "generation/validation-00000-of-00001.parquet"]
    files = repository("truthfulqa/truthful_qa", "741b8276f2d1982aa3d5b832d3ee81ed3b896490", others)
    targets = pa.struct([("choices", TEXTS), ("labels", INTS)])
    write, rows = Writer("truthful"), []
    for at in range(FEW):
        choices = write.phrases(4 + at % 3)
        right = {"choices": choices, "labels": [1] + [0] * (len(choices) - 1)}
        several = {"choices": choices, "labels": [1, 1] + [0] * (len(choices) - 2)}
        question = f"What happens if {write.one(NAMES)} {write.one(DEEDS)} the {write.thing()} at {write.one(WHEN)}?"
        rows.append({"question": question, "mc1_targets": right, "mc2_targets": several})
    columns = {"question": TEXT, "mc1_targets": targets, "mc2_targets": targets}
    files["multiple_choice/validation-00000-of-00001.parquet"] = parquet(columns, rows)


def bbq():
    categories = """Disability_status Gender_identity Nationality Physical_appearance Race_ethnicity Race_x_SES Race_x_gender
    Religion SES Sexual_orientation""".split()
    others = [".gitattributes"] + [f"{category}/test/0000.parquet" for category in categories]
    files = repository("heegyu/bbq", "refs/convert/parquet", others)
    answers = pa.struct([(f"ans{i}", TEXTS) for i in range(3)])
    about = pa.struct([("subcategory", TEXT), ("stereotyped_groups", TEXTS), ("version", TEXT), ("source", TEXT)])
    columns = {"example_id": INT, "question_index": INT, "question_polarity": TEXT, "context_condition": TEXT}
    columns |= {"category": TEXT, "answer_info": answers, "additional_metadata": about, "context": TEXT, "question": TEXT}
    columns |= {"ans0": TEXT, "ans1": TEXT, "ans2": TEXT, "label": INT}
    write = Writer("bbq")
    files["Age/test/0000.parquet"] = parquet(columns, [biased(write, at) for at in range(FEW)])


def gsm8k():
    others = [f"socratic/{split}-00000-of-00001.parquet" for split in ("train", "test")] + [".gitattributes", "README.md"]
    files = repository("openai/gsm8k", "e53f048856ff4f594e959d75785d2c2d37b678ee", others)
    for split, count in [("train", MANY), ("test", FEW)]:
        write = Writer(f"gsm8k {split}")
        rows = [sum_in_words(write) for _ in range(count)]
        files[f"main/{split}-00000-of-00001.parquet"] = parquet({"question": TEXT, "answer": TEXT}, rows)


def bbh():
    others = [f"{name}/test-00000-of-00001.parquet" for name in ("snarks", "navigate", "web_of_lies")]
    others += [".gitattributes", "README.md"]
    files = repository("SaylorTwift/bbh", "b5306be6f827cfafbb545ff5a51f96916029b0fd", others)
    makers = {"boolean_expressions": boolean, "logical_deduction_three_objects": deduction}
    makers |= {"object_counting": counting, "word_sorting": sorting}
    for name, make in makers.items():
        write = Writer(f"bbh {name}")
        rows = [make(write) for _ in range(FEW)]
        files[f"{name}/test-00000-of-00001.parquet"] = parquet({"input": TEXT, "target": TEXT}, rows)


def bigbench():
    others = [f"strategyqa/{split}-00000-of-00001.parquet" for split in ("train", "validation")]
    files = repository("tasksource/bigbench", "main", [".gitattributes", "README.md", *others])
    columns = {"idx": INT, "inputs": TEXT, "targets": TEXTS, "multiple_choice_targets": TEXTS, "multiple_choice_scores": INTS}
    for split, count in [("train", MANY), ("validation", FEW)]:
        write, rows = Writer(f"bigbench {split}"), []
        for at in range(count):
            right = write.dice.randrange(2)
            text = f"{write.text(3)}\n  choice: No\n  choice: Yes\nA:"
            rows.append(dict(zip(columns, [at, text, [["No", "Yes"][right]], ["No", "Yes"], [1 - right, right]])))
        files[f"anachronisms/{split}-00000-of-00001.parquet"] = parquet(columns, rows)


def cnn_dailymail():
    others = [f"{version}/{split}-00000-of-00001.parquet" for version in ("1.0.0", "2.0.0") for split in ("test", "validation")]
    files = repository(
        "abisee/cnn_dailymail", "96df5e686bee6baa90b8bee7c28b81fa3fa6223d", [".gitattributes", "README.md", *others]
    )
    columns = {"article": TEXT, "highlights": TEXT, "id": TEXT}
    shards = [("train", i, 3, 4) for i in range(3)] + [("validation", 0, 1, MANY), ("test", 0, 1, FEW)]
    for split, shard, shards_of_split, count in shards:
        write = Writer(f"cnn {split} {shard}")
        rows = [
            {
                "article": f"By . {write.one(NAMES)} {write.one(PLACES).title()} . {write.text(6)}",
                "highlights": " .\n".join(write.sentence()[:-1] for _ in range(3)) + " .",
                "id": hexadecimal(f"{split} {shard} {at}", 40),
            }
            for at in range(count)
        ]
        files[f"3.0.0/{split}-{shard:05}-of-{shards_of_split:05}.parquet"] = parquet(columns, rows)


def samsum():
    files = repository(
        "knkarthick/samsum", "2a6b79b3e3c939aebb149d9109d7cdb78a9c2d3b", [".gitattributes", "README.md"]
    )
    for split, count in [("train", FEW), ("validation", MANY), ("test", FEW)]:
        write = Writer(f"samsum {split}")
        rows = []
        for at in range(count):
            pair = write.dice.sample(NAMES, 2)
            # quotes and commas, so that the file needs its quoting
            lines = [f"{pair[turn % 2]}: {write.sentence()}" for turn in range(4)] + [f'{pair[0]}: "Well, fine," :)']
            rows.append({"id": str(13810000 + at), "dialogue": "\r\n".join(lines), "summary": write.sentence(pair[0])})
        files[f"{split}.csv"] = csv_file(["id", "dialogue", "summary"], rows)


def logiqa():
    files = repository("lucasmccabe/logiqa", "fa9f9918fa81eca088805c1395d7f592f7755ae0", [".gitattributes"])
    columns = {"context": TEXT, "query": TEXT, "options": TEXTS, "correct_option": INT}
    for split, count in [("train", MANY), ("validation", FEW), ("test", FEW)]:
        write = Writer(f"logiqa {split}")
        rows = [
            {
                "context": write.text(4),
                "query": f"Which of these must hold for {write.one(NAMES)}?",
                "options": [phrase.capitalize() + "." for phrase in write.phrases(4)],
                "correct_option": write.dice.randrange(4),
            }
            for _ in range(count)
        ]
        files[f"default/{split}/0000.parquet"] = parquet(columns, rows)


def listing(name: str, it: dict) -> dict:
    pinned = len(it["revision"]) == 40
    return {
        "id": name,
        "revision": it["revision"],
        # a commit leads to itself; what a branch leads to is made up
        "commit": it["revision"] if pinned else hexadecimal(name, 40),
        "siblings": [{"rfilename": path} for path in sorted([*it["files"], *it["others"]])],
    }


def main():
    for make in [cosmos_qa, xsum, dolly, oasst, flan, p3, mmlu, truthful_qa, bbq, gsm8k, bbh, bigbench, cnn_dailymail, samsum]:
        make()
    logiqa()
    shutil.rmtree(HUB, ignore_errors=True)
    for name, it in REPOSITORIES.items():
        for path, content in it["files"].items():
            (HUB / name / path).parent.mkdir(parents=True, exist_ok=True)
            (HUB / name / path).write_bytes(content)
        (HUB / name / "hub.json").write_text(json.dumps(listing(name, it), indent=1) + "\n")
    print(sum(path.stat().st_size for path in HUB.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    main()
