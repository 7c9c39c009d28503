"""One check for each way in which submissions were seen to break in the starter kit, on exported classes.

    python tests/kit_interface/pitfalls.py FOLDER        # environments and FOLDER as for run.py

Writes the names of the checks that passed, and the digests of the classes that they ran, to
results/pitfalls-<version of transformers>.json.
"""

import csv
import hashlib
import importlib.util
import json
import math
import os
import socket
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(sys.argv[1]).resolve()
os.environ.update(HF_HOME=str(FOLDER), HF_HUB_OFFLINE="1")
os.environ.pop("HF_AUTH_TOKEN", None)
sys.path.insert(0, str(HERE))

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from llm_merging import evaluation  # noqa: E402

CHOICES = "['home', 'to the market', 'nowhere', 'to the river']"
LOADED, DIGESTS = {}, {}


def module(name):
    path = FOLDER / "classes" / f"{name}.py"
    DIGESTS[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def method(name):
    if name not in LOADED:
        LOADED[name] = module(name).TinyMerge(name)
        LOADED[name].merge()
    return LOADED[name]


def row(text="Where does the baker go?", choices=CHOICES, **others):
    return {"input": [text], "answer_choices": [choices], **{key: [value] for key, value in others.items()}}


def csv_predictions(name, *rows):
    """What HEAD's loop gives for rows of a CSV: (input, target, choices, kind)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "input", "target", "answer_choices", "eval_type"])
            writer.writerows([index, *own] for index, own in enumerate(rows))
        return [own["prediction"] for own in evaluation.predictions(method(name), path)]


def encoder_decoders_take_numbers_as_target():
    _, scores = method("t5_kit").predict_multiple_choice(row(target=2, eval_type="multiple_choice"))
    assert scores.shape == (1, 4), scores.shape


def choices_in_a_string_are_a_list():
    for name in ("t5_kit", "llama_kit"):
        _, scores = method(name).predict_multiple_choice(row())
        _, of_list = method(name).predict_multiple_choice(row(choices=eval(CHOICES)))
        assert torch.equal(scores, of_list), name


class Refused:
    """Stands for a tokenizer that nobody may use."""

    def __call__(self, *_, **__):
        raise AssertionError("reads with the kit's tokenizer")

    __getattr__ = __call__


def the_notebooks_older_tokenizer_is_not_used():
    for name in ("llama_kit", "t5_kit"):
        own, other = method(name), module(name).TinyMerge("notebook")
        other.merge()
        other.input_tokenizer = other.target_tokenizer = other.tokenizer = Refused()
        assert torch.equal(own.predict_multiple_choice(row())[1], other.predict_multiple_choice(row())[1])
        assert own.generate(row())[1] == other.generate(row())[1]


def tokenizers_without_bos_and_eos_score_single_tokens():
    own = method("qwen2_kit_fixed")
    assert all(len(own.reader.tokens(letter)) == 1 for letter in "AB")
    _, scores = own.predict_multiple_choice(row(choices="['A', 'B']"))
    assert scores[0].isfinite().all() and scores.max() < 0 and scores[0, 0] != scores[0, 1], scores


def batches_may_lack_eval_type():
    for name in ("llama_kit", "routed_ngrams_kit", "routed_shape_acc"):
        own = method(name)
        _, scores = own.predict_multiple_choice(row())
        _, typed = own.predict_multiple_choice(row(eval_type="multiple_choice"))
        assert torch.equal(scores, typed) and own.generate({"input": ["-"]})[1], name


def an_index_of_two_digits_stays_whole():
    words = [f"word {number}" for number in range(12)]
    _, scores = method("llama_kit").predict_multiple_choice(row(choices=words))
    best = words.pop(int(scores.argmax()))
    assert csv_predictions("llama_kit", ("Where does the baker go?", 0, words + [best], "multiple_choice")) == ["11"]
    chosen, _ = method("llama_kit").predict_multiple_choice(row(choices=words + [best]))
    assert json.dumps(chosen.cpu().numpy().tolist()) == "[11]"


def texts_longer_than_the_model_reads_are_cut():
    own = method("llama_acc_norm")
    assert own.max_seq_len == 256
    long = "The baker carries bread. " * 400
    tokens, _ = own.generate({"input": [long]})
    assert tokens == own.generate({"input": ["cut off " + long]})[0]
    _, scores = own.predict_multiple_choice(row(long))
    assert scores.isfinite().all()


def texts_are_longer_than_twenty_tokens():
    for name in ("t5_kit", "llama_kit"):
        tokens, _ = method(name).generate({"input": ["The farmer asks the doctor"]})
        assert 20 < len(tokens[0]) <= 64, (name, tokens)


def rows_of_unequal_length_need_no_pad_token():
    for name in ("llama_kit", "llama_acc_norm", "t5_kit"):
        own = method(name)
        texts, choices = ["-", "Where does the baker go?"], [CHOICES, "['yes', 'no']"]
        chosen, scores = own.predict_multiple_choice({"input": texts, "answer_choices": choices})
        for index, (text, answers) in enumerate(zip(texts, choices)):
            alone, own_scores = own.predict_multiple_choice(row(text, answers))
            assert alone[0] == chosen[index] and torch.equal(own_scores[0], scores[index][: own_scores.shape[1]])
        assert scores[1, 2] == -math.inf


def weights_are_in_the_type_that_was_asked_for():
    loaded = module("llama_kit")
    loaded.RECIPE["dtype"] = "bfloat16"
    own = loaded.TinyMerge("bfloat16")
    model = own.merge()
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    # Angles of 256 positions do not fit into bfloat16.
    assert all(own.dtype == torch.float32 for name, own in model.named_buffers() if "inv_freq" in name)
    assert own.predict_multiple_choice(row())[1].isfinite().all()
    assert {weight.dtype for weight in method("llama_kit").base_model.parameters()} == {torch.float32}


def a_token_for_the_hub_may_be_unset_or_empty():
    for token, expected in ((None, None), ("", None), ("hf_x", "hf_x")):
        loaded, asked = module("llama_kit"), []
        download = loaded.snapshot_download

        def note(*arguments, **settings):
            asked.append(settings.get("token"))
            return download(*arguments, **settings)

        loaded.snapshot_download = note
        os.environ.pop("HF_AUTH_TOKEN", None)
        if token is not None:
            os.environ["HF_AUTH_TOKEN"] = token
        loaded.TinyMerge("token").merge()
        os.environ.pop("HF_AUTH_TOKEN", None)
        assert asked and set(asked) == {expected}, (token, asked)


def adapters_are_merged_without_network():
    connect = socket.socket.connect

    def refuse(*_):
        raise AssertionError("asks the network")

    socket.socket.connect = refuse
    try:
        own = module("adapters_acc").TinyMerge("offline")
        own.merge()
    finally:
        socket.socket.connect = connect
    assert own.predict_multiple_choice(row())[1].isfinite().all()


def one_repository_at_two_commits_is_two_models():
    own = method("llama_kit")
    assert len(set(own.list_models)) == 2 and len({name for name, _ in own.list_models}) == 1
    snapshots = FOLDER / "hub" / "models--tiny--llama" / "snapshots"
    name = "model.norm.weight"
    for _, revision in own.list_models:
        stored = load_file(snapshots / revision / "model.safetensors")[name]
        assert not torch.allclose(stored, own.merged_model[name])


def pandas_may_read_none_as_nan():
    for choices in (float("nan"), None, "None", ""):
        assert len(method("llama_kit").generate(row("A text", choices))[1]) == 1
    given = csv_predictions("llama_kit", ("A text", "t", "None", "generation"), ("None", "t", "", "generation"))
    assert all(isinstance(text, str) for text in given)


def generation_rows_may_have_choices():
    with_choices = method("llama_kit").generate(row("These two are: ", "['Similar', 'Dissimilar']"))
    assert with_choices == method("llama_kit").generate({"input": ["These two are: "]})


def blanks_at_the_end_of_a_prompt_belong_to_the_choice():
    for name in ("llama3_acc", "t5_acc_norm"):
        own = method(name)
        loaded = module(name)
        context, answer = loaded.pair(own.reader, "Is it so?  ", "yes")
        assert context == own.reader.tokens("Is it so?")
        # A T5's tokenizer makes one blank of several.
        assert name == "t5_acc_norm" or answer != loaded.pair(own.reader, "Is it so?", "yes")[1]


def nothing_imports_evaluate():
    for path in (FOLDER / "classes").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not any(line.startswith(("import evaluate", "from evaluate")) for line in lines), path


def keys_and_values_of_a_prompt_are_read_once():
    """A tuple in transformers 4.39, an object today: sums as by reading every choice from the start."""
    for name in ("llama_kit", "qwen2_kit_fixed"):
        own, skipped = method(name), int(name == "llama_kit")
        loaded = module(name)
        pairs = [loaded.pair(own.reader, "Where does the baker go?", choice) for choice in eval(CHOICES)]
        with torch.no_grad():
            got = loaded.log_likelihoods(own.base_model, pairs, 256)
            for (context, answer), sum_of_all in zip(pairs, got):
                logits = own.base_model(torch.tensor([context + answer])).logits[0].log_softmax(-1)
                places = range(len(context) + skipped, len(context + answer))
                expected = sum(float(logits[place - 1, (context + answer)[place]]) for place in places)
                assert abs(expected - sum_of_all) < 1e-4, name


def tied_weights_are_saved_once():
    for name in ("llama_kit", "t5_kit", "routed_ngrams_kit"):
        own = method(name)
        with tempfile.TemporaryDirectory() as folder:
            own.save_model(folder)
            saved = load_file(Path(folder) / "safetensor.pt")
        assert saved and "lm_head.weight" not in saved
        places = [weight.data_ptr() for weight in own.merged_model.values()]
        assert len(set(places)) == len(places)


def layers_that_were_left_out_come_back():
    own = method("routed_unlike_acc")
    scores = {}
    for merge in (0, 1, 0, 1):
        own.variants.use(merge)
        pairs = [module("routed_unlike_acc").pair(own.reader, "Where does the baker go?", choice) for choice in eval(CHOICES)]
        with torch.no_grad():
            got = module("routed_unlike_acc").log_likelihoods(own.base_model, pairs, 256)
        assert len(own.base_model.model.layers) == own.base_model.config.num_hidden_layers == 2 - merge
        assert scores.setdefault(merge, got) == got
    assert scores[0] != scores[1]


def swapped_weights_come_back():
    own = method("routed_ngrams_kit")
    first = own.predict_multiple_choice(row())[1]
    own.generate({"input": ["The farmer asks the doctor"]})
    assert torch.equal(first, own.predict_multiple_choice(row())[1])
    own.variants.use(0)
    weights = {name: weight.clone() for name, weight in own.base_model.named_parameters()}
    own.variants.use(1)
    changed = [name for name, weight in own.base_model.named_parameters() if not torch.equal(weight, weights[name])]
    assert changed and all("layers.1." in name for name in changed), changed


def main():
    torch.set_num_threads(1)
    passed = []
    for name, check in list(globals().items()):
        if callable(check) and getattr(check, "__module__", "") == "__main__" and name not in TOOLS:
            check()
            passed.append(name)
    target = HERE / "results" / f"pitfalls-{transformers.__version__}.json"
    target.parent.mkdir(exist_ok=True)
    ran = {"passed": passed, "class_sha256": {name: DIGESTS[name] for name in sorted(DIGESTS)}}
    target.write_text(json.dumps(ran, indent=1) + "\n", encoding="utf-8")


TOOLS = ("module", "method", "row", "csv_predictions", "main")

if __name__ == "__main__":
    main()
