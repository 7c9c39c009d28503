"""The kit of June to August 2024: what the evaluation calls, and the files that it writes."""

import json
import os
from pathlib import Path

import torch

from llm_merging.data import JsonRows, batches, unbatched


def predictions(method, path, eval_type):
    answered = []
    with torch.no_grad():
        for batch in batches(JsonRows(path)):
            if eval_type == "multiple_choice":
                chosen, scores = method.predict_multiple_choice(batch)
                batch["predicted_choice"] = chosen.cpu().numpy().tolist()
                batch["answer_choices_scores"] = scores.cpu().numpy().tolist()
            else:
                batch["predicted_ids"], batch["predicted_text"] = method.generate(batch)
            answered += unbatched(batch)
    return answered


def evaluate_model(method, paths, eval_types):
    folder = os.path.join("output", method.get_name())
    os.makedirs(os.path.join(folder, "predictions"), exist_ok=True)
    method.save_model(folder)
    scores = {}
    for path, eval_type in zip(paths, eval_types):
        name = Path(path).stem
        rows = predictions(method, path, eval_type)
        with open(os.path.join(folder, "predictions", f"{name}.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        # Without arguments the kit computes accuracy and ROUGE here, by files that it downloads.
        scores[name] = {}
    with open(os.path.join(folder, "scores.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(scores) + "\n")
