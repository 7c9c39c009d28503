"""What torch counts for the tiny checkpoints of parity/: FLOPs of every product in a forward pass.

    pip install torch==2.15.0 transformers==5.23.0
    python flops.py        writes flops.json

flops.json: {case: {"read": tokens read at once, "then": tokens read after them, one pass with their keys and values kept,
                    "source": tokens of the encoder's text,
                    "first": {operator: FLOPs} of the first pass, "second": of the second}}

FlopCounterMode counts 2 m n k for each matrix product, and nothing for additions of biases, norms or activations. Attention is
the eager one: it multiplies all queries with all keys and masks the square's half afterwards, so that `bmm` has more than what a
causal text needs, by 4 heads head_dim for each pair of a query and a key behind it (or out of its window).
Logits are computed at every position of both passes. The encoder of an encoder-decoder is in the first pass.
"""

import importlib.metadata
import json
import pathlib

import torch
import transformers as hf
from torch.utils.flop_counter import FlopCounterMode

for package, version in {"torch": "2.15.0", "transformers": "5.23.0"}.items():
    assert importlib.metadata.version(package).split("+")[0] == version, package
HERE = pathlib.Path(__file__).resolve().parent
CASES = ["llama-grouped-query", "llama-tied", "gpt2", "mixtral", "mistral-window", "t5", "bart"]
READ, THEN, SOURCE = 7, 3, 5


def counted(run):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = run()
    return out, {str(op).split(".")[-1]: int(n) for op, n in counter.get_flop_counts()["Global"].items()}


def of(case):
    config = hf.AutoConfig.from_pretrained(HERE / "parity" / case)
    seq2seq = config.is_encoder_decoder
    auto = hf.AutoModelForSeq2SeqLM if seq2seq else hf.AutoModelForCausalLM
    settings = {"experts_implementation": "eager"} if case == "mixtral" else {}
    model = auto.from_pretrained(HERE / "parity" / case, attn_implementation="eager", dtype=torch.float32, **settings).eval()
    tokens = torch.arange(3, 3 + READ + THEN)[None]
    if seq2seq:
        source = torch.arange(20, 20 + SOURCE)[None]
        out, first = counted(lambda: model(input_ids=source, decoder_input_ids=tokens[:, :READ], use_cache=True))
        rest = dict(encoder_outputs=(out.encoder_last_hidden_state,), decoder_input_ids=tokens[:, READ:])
    else:
        out, first = counted(lambda: model(input_ids=tokens[:, :READ], use_cache=True))
        rest = dict(input_ids=tokens[:, READ:])
    _, second = counted(lambda: model(**rest, past_key_values=out.past_key_values, use_cache=True))
    return {"read": READ, "then": THEN, "source": SOURCE if seq2seq else 0, "first": first, "second": second}


rows = ",\n".join(f"{json.dumps(case)}: {json.dumps(of(case))}" for case in CASES)
(HERE / "flops.json").write_text("{\n" + rows + "\n}\n")
