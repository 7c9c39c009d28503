"""Runs exported classes in this stand-in of the starter kit; writes results/transformers-<version>.json.

    cargo test --release kit_interface_write -- --ignored --nocapture     # classes, models; prints their folder FOLDER
    python3.11 -m venv pinned && pinned/bin/pip install transformers==4.39.3 peft==0.10.0 pandas==2.2.1 "numpy<2" \\
        "huggingface_hub<1" torch safetensors
    python3.11 -m venv current && current/bin/pip install transformers==5.23.0 peft pandas torch safetensors
    for venv in pinned current; do $venv/bin/python tests/kit_interface/run.py FOLDER; done

Every class goes through HEAD's evaluation loop, some through the entry points' too, whose rows are JSON lines: both must agree.
One is also run by both command lines, as organisers run it. tests/kit_interface.rs compares with our own evaluator.
"""

import csv
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(sys.argv[1]).resolve()
os.environ.update(HF_HOME=str(FOLDER), HF_HUB_OFFLINE="1", HF_AUTH_TOKEN="")
sys.path.insert(0, str(HERE))

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from llm_merging import entry_point_evaluation, evaluation  # noqa: E402

CLASS, METHOD = "TinyMerge", "tiny_merge"
# Those that go through the second loop too.
ENTRY_POINTS = ("llama_kit", "t5_kit", "routed_ngrams_kit")


def rows():
    with open(HERE / "rows.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_lines(folder, kind):
    """The rows of a kind as the entry points' kit has them."""
    path = folder / f"{kind}.json"
    with open(path, "w", encoding="utf-8") as file:
        for row in (row for row in rows() if row["eval_type"] == kind):
            own = {"id": int(row["id"]), "input": row["input"], "target": row["target"]}
            if kind == "multiple_choice":
                own |= {"answer_choices": eval(row["answer_choices"]), "label": int(row["target"])}
            file.write(json.dumps(own) + "\n")
    return path


def merged(path):
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    method = getattr(module, CLASS)(METHOD)
    method.merge()
    return method


def remember_scores(method):
    """Lets the method note the scores that it gives, row by row."""
    noted, predict = [], method.predict_multiple_choice

    def predict_and_note(batch):
        chosen, scores = predict(batch)
        noted.append((str(batch["id"][0]), [round(score, 6) for score in scores.tolist()[0]]))
        return chosen, scores

    method.predict_multiple_choice = predict_and_note
    return noted


def looked_at(tensor):
    values = tensor.float().flatten()
    return [float(value) for value in values[:: max(len(values) // 4, 1)][:4]]


def require_the_same_of_entry_points(method, answers):
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("multiple_choice", "generation"):
            lines = json_lines(Path(folder), kind)
            for row in entry_point_evaluation.predictions(method, lines, kind):
                json.dumps(row)
                own = row.get("predicted_text", row.get("predicted_choice"))
                assert str(own) == answers[str(row["id"])]["prediction"], row


def of_case(path):
    method = merged(path)
    with tempfile.TemporaryDirectory() as folder:
        method.save_model(folder)
        saved = load_file(Path(folder) / "safetensor.pt")
    noted = remember_scores(method)
    answered = evaluation.predictions(method, HERE / "rows.csv")
    answers = {str(row["id"]): {"prediction": row["prediction"]} for row in answered}
    for id, scores in noted:
        answers[id]["scores"] = scores
    if path.stem in ENTRY_POINTS:
        require_the_same_of_entry_points(method, answers)
    return {
        "class_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "answers": answers,
        "tensors": {name: looked_at(tensor) for name, tensor in sorted(saved.items())},
    }


def of_case_or_refusal(path):
    try:
        return of_case(path)
    except ImportError as error:
        return {"class_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "refused": str(error)}


def kit(folder, path):
    """A kit with a class in it, registered as both generations want it."""
    shutil.copytree(HERE / "llm_merging", folder / "llm_merging", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(path, folder / "llm_merging" / "merging" / f"{CLASS}.py")
    with open(folder / "llm_merging" / "merging" / "__init__.py", "a", encoding="utf-8") as file:
        file.write(f"from llm_merging.merging.{CLASS} import {CLASS}\n")
    main = folder / "llm_merging" / "main.py"
    marker = "# Submissions are registered here."
    main.write_text(main.read_text(encoding="utf-8").replace(marker, f'"{METHOD}": {CLASS},'), encoding="utf-8")
    # What `setup.py egg_info` writes.
    egg = folder / "llm_merging.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: llm_merging\nVersion: 1.0\n")
    point = f"{METHOD} = llm_merging.merging.{CLASS}:{CLASS}"
    (egg / "entry_points.txt").write_text(f"[llm_merging.merging.Merges]\n{point}\n")


def command(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=environment, check=True)


def run_both_command_lines(path, answers):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "LLM-Merging"
        folder.mkdir()
        kit(folder, path)
        out = Path(place) / "out"
        files = ["--dataset_filepaths", HERE / "rows.csv", "--output_folder", out]
        command(folder, "llm_merging/main.py", "-m", METHOD, *files)
        with open(out / "rows.csv", encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        assert list(table[0]) == ["id", "prediction", "dummy_field"], table[0]
        found = {row["id"]: row["prediction"] for row in table}
        assert found == {id: own["prediction"] for id, own in answers.items()}, found
        lines = [json_lines(folder, kind) for kind in ("multiple_choice", "generation")]
        types = ["--eval_types", "multiple_choice", "generation"]
        command(folder, "-m", "llm_merging.entry_point_main", "-m", METHOD, "--dataset_filepaths", *lines, *types)
        folder = folder / "output" / METHOD
        texts = (folder / "predictions" / "generation.jsonl").read_text(encoding="utf-8").splitlines()
        for row in map(json.loads, texts):
            assert row["predicted_text"] == answers[str(row["id"])]["prediction"], row
        assert (folder / "scores.jsonl").exists() and (folder / "safetensor.pt").exists()


def main():
    # Tiny products are slower on several threads.
    torch.set_num_threads(1)
    paths = sorted((FOLDER / "classes").glob("*.py"))
    cases = {path.stem: of_case_or_refusal(path) for path in paths}
    run_both_command_lines(paths[0], cases[paths[0].stem]["answers"])
    target = HERE / "results" / f"transformers-{transformers.__version__}.json"
    target.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(own, ensure_ascii=False)}" for name, own in cases.items())
    target.write_text(f'{{"cases": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
