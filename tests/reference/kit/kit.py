"""The LLM Merging starter kit's scores, restated from its rules.

    pip install -r requirements.txt
    python kit.py                          rows.csv on the models of ../lm_eval/docs/models → <model>.json
    python kit.py check CHECKPOINTS        CHECKPOINTS/<model>/ and <model>.jsonl, which the unmodified kit wrote: fails where
                                           this restatement says other tokens, scores (1e-3), predictions or text

The kit (environment: transformers 4.39.3) loads two copies of the tokenizer. One reads the prompt as it comes. The other reads
the choices and has its attributes add_bos_token set to False and add_eos_token to True. What that changes depends on the class:

tokenizer_class                   prompt                                choice
LlamaTokenizer(Fast), CodeLlama,  add_bos_token (default true) and      </s> after it, nothing before it, whatever the
Gemma, Cohere                     add_eos_token (false) of the config;  post-processor of tokenizer.json says
                                  the post-processor is not asked
any other                         as the post-processor says            as the post-processor says

A decoder's score of a choice is the sum of log p(token | prompt, tokens before) over all of its tokens but the first one. Rows
whose choices all have one token break the kit; among longer ones a choice of one token scores 0, which no other reaches. An
encoder-decoder's score is the sum over all of the labels (given a list: from a CSV file the kit's own encoder-decoder reads
the column's characters as choices). The first of equal scores wins. `fixed` sums over all tokens.
Generation is greedy, of 64 tokens at most, ends at the tokenizer's eos only, and cuts the prompt off for decoders.
"""

import ast
import csv
import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "lm_eval" / "docs" / "models"
SETTABLE = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"}
MAX_GEN_LEN = 64
# A submission's `max_seq_len`, which cuts prompts from the right and keeps </s>. None (no limit) is what the kit's decoders
# were run with; that its encoder-decoder was run with 512 shows only in the text that it wrote after a prompt of 745 tokens.
MAX_SEQ_LEN = {"decoder": None, "encoder_decoder": 512}


class Pieces:
    """A tokenizer that has no tokenizer.json: spiece.model with </s> after each text, as T5's class adds it."""

    def __init__(self, folder, config):
        import sentencepiece
        self.model = sentencepiece.SentencePieceProcessor(str(folder / "spiece.model"))
        self.special = {int(id) for id in config["added_tokens_decoder"]}

    def ids(self, text, _):
        return self.model.encode(text) + [self.model.eos_id()]

    def id_of(self, token):
        return self.model.piece_to_id(token)

    def text(self, ids):
        # ids beyond the vocabulary (the embedding is padded) decode to nothing
        return self.model.decode([id for id in ids if id not in self.special and id < self.model.get_piece_size()])


class Reader:
    def __init__(self, folder, config):
        self.json = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.settable = config["tokenizer_class"].removesuffix("Fast") in SETTABLE
        self.config = config

    def ids(self, text, is_choice):
        if not self.settable:
            return self.json.encode(text).ids
        bos, eos = (False, True) if is_choice else (self.config.get("add_bos_token", True), self.config.get("add_eos_token", False))
        own = self.json.encode(text, add_special_tokens=False).ids
        return [self.id_of(self.config["bos_token"])] * bos + own + [self.id_of(self.config["eos_token"])] * eos

    def id_of(self, token):
        return self.json.token_to_id(token["content"] if isinstance(token, dict) else token)

    def text(self, ids):
        return self.json.decode(ids, skip_special_tokens=True)


# transformers' `clean_up_tokenization`, which `decode` applies unless tokenizer_config.json says no
CLEANED = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"]


class Kit:
    def __init__(self, folder):
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.reader = (Reader if (folder / "tokenizer.json").exists() else Pieces)(folder, config)
        self.cleans, self.eos = config.get("clean_up_tokenization_spaces", True), self.reader.id_of(config["eos_token"])
        is_pair = json.loads((folder / "config.json").read_text())["model_type"] == "t5"
        kind = AutoModelForSeq2SeqLM if is_pair else AutoModelForCausalLM
        self.model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        self.start = self.model.config.decoder_start_token_id if is_pair else None

    def prompt(self, text):
        ids, limit = self.reader.ids(text, False), MAX_SEQ_LEN["decoder" if self.start is None else "encoder_decoder"]
        return ids if limit is None or len(ids) <= limit else ids[:limit - 1] + [self.eos]

    def choice(self, text):
        return self.reader.ids(text, True)

    def log_probs(self, prompt, answer):
        """log p of each token of the answer, nats."""
        if self.start is not None:
            logits = self.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[self.start] + answer[:-1]]), use_cache=False).logits[0]
        else:
            logits = self.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1:-1]
        return logits.float().log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0].tolist()

    def scored(self, prompt, choices):
        """The kit's scores (None: it breaks off) and those over all tokens."""
        each = [self.log_probs(prompt, ids) for ids in choices]
        fixed = [sum(nats) for nats in each]
        if self.start is not None:
            return fixed, fixed
        kit = None if all(len(ids) == 1 for ids in choices) else [sum(nats[1:]) for nats in each]
        return kit, fixed

    def generated(self, prompt, limit):
        """The kit's sequence without the prompt (an encoder-decoder's begins with its start token) and the smallest gap of logits."""
        ids, gap = [], float("inf")
        while len(ids) < limit and self.eos not in ids:
            if self.start is not None:
                logits = self.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[self.start] + ids]), use_cache=False).logits
            else:
                logits = self.model(torch.tensor([prompt + ids])).logits
            top = logits[0, -1].topk(2)
            gap = min(gap, float(top.values[0] - top.values[1]))
            ids.append(int(top.indices[0]))
        return ([self.start] if self.start is not None else []) + ids, gap

    def text(self, ids):
        text = self.reader.text(ids)
        for part in CLEANED if self.cleans else []:
            text = text.replace(part, part.strip() if part == " ' " else part[1:])
        return text


def first_best(scores):
    return max(range(len(scores)), key=lambda i: scores[i])


def choices_of(text):
    """The column `answer_choices` holds a list as Python writes it."""
    return [str(choice) for choice in ast.literal_eval(text)]


def rounded(numbers):
    return [round(number, 6) for number in numbers]


def of_row(kit, row):
    prompt = kit.prompt(row["input"])
    if row["eval_type"] == "generation":
        ids, gap = kit.generated(prompt, MAX_GEN_LEN)
        return {"id": int(row["id"]), "input_ids": prompt, "ids": ids, "text": kit.text(ids), "gap": round(gap, 4)}
    choices = [kit.choice(choice) for choice in choices_of(row["answer_choices"])]
    scores, fixed = kit.scored(prompt, choices)
    return {"id": int(row["id"]), "input_ids": prompt, "choice_ids": choices,
            "kit_scores": scores and rounded(scores), "kit_prediction": scores and first_best(scores),
            "fixed_scores": rounded(fixed), "fixed_prediction": first_best(fixed)}


def write():
    with open(HERE / "rows.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for folder in sorted(MODELS.iterdir()):
        kit = Kit(folder)
        lines = ",\n".join(json.dumps(of_row(kit, row), ensure_ascii=False) for row in rows)
        (HERE / f"{folder.name}.json").write_text(f'{{"model": "{folder.name}", "rows": [\n{lines}]}}\n', encoding="utf-8")


def differences(kit, row):
    """(what, ours, the kit's) wherever they are not the same, and the largest difference of a score."""
    found, largest = [], 0.0
    prompt = kit.prompt(row["input"])
    if "choices" not in row:
        whole = row["kit_sequence_ids"]
        theirs = whole if kit.start is not None else whole[len(prompt):]
        if kit.start is None and whole[:len(prompt)] != prompt:
            found.append(("input_ids", prompt, whole[:len(prompt)]))
        ids, gap = kit.generated(prompt, row["max_new_tokens"])
        if ids != theirs and gap > 1e-3:
            found.append(("ids", ids, theirs))
        if kit.text(theirs) != row["kit_text"]:
            found.append(("text", kit.text(theirs), row["kit_text"]))
        return found, largest
    choices = [kit.choice(choice) for choice in row["choices"]]
    found += [(key, ours, row[key]) for key, ours in (("input_ids", prompt), ("choice_ids", choices)) if ours != row[key]]
    scores, _ = kit.scored(row["input_ids"], row["choice_ids"])
    if (scores is None) != ("kit_error" in row):
        found.append(("error", scores, row.get("kit_error")))
    elif scores:
        largest = max(abs(a - b) for a, b in zip(scores, row["kit_scores"], strict=True))
        best = sorted(row["kit_scores"])
        if largest >= 1e-3 or (first_best(scores) != row["kit_prediction"] and best[-1] - best[-2] > 1e-3):
            found.append(("scores", scores, row["kit_scores"]))
    return found, largest


def check(folder):
    wrong = 0
    for file in sorted(folder.glob("*.jsonl")):
        kit = Kit(folder / file.stem)
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        results = [differences(kit, row) for row in rows]
        for row, (found, _) in zip(rows, results, strict=True):
            for what, ours, theirs in found:
                wrong += 1
                print(f"{file.stem} {row['data']} {row['id']}: {what}: {ours} is not the kit's {theirs}")
        print(f"{file.stem}: {len(rows)} rows, {sum('kit_error' in row for row in rows)} of which break the kit; "
              f"largest difference of a score {max(largest for _, largest in results):.1e}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    check(pathlib.Path(sys.argv[2])) if sys.argv[1:2] == ["check"] else write()
