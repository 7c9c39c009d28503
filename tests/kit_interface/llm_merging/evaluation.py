"""HEAD: what the evaluation calls, and the files that it writes."""

import os

import pandas as pd
import torch

from llm_merging.data import CsvRows, batches, unbatched


def predictions(method, path):
    answered = []
    with torch.no_grad():
        for batch in batches(CsvRows(path)):
            if batch["eval_type"][0] == "multiple_choice":
                chosen, _ = method.predict_multiple_choice(batch)
                batch["prediction"] = str(chosen.cpu().numpy().tolist()[0])
            else:
                assert batch["eval_type"][0] == "generation", batch["eval_type"]
                _, batch["prediction"] = method.generate(batch)
            answered += unbatched(batch)
    return answered


def evaluate_model(method, paths, output_folder):
    folder = os.path.join("output", method.get_name())
    os.makedirs(os.path.join(folder, "predictions"), exist_ok=True)
    method.save_model(folder)
    for path in paths:
        table = pd.DataFrame(predictions(method, path))
        table["dummy_field"] = 0
        target = os.path.join(output_folder, os.path.basename(path))
        table.to_csv(target, columns=["id", "prediction", "dummy_field"], index=False)
