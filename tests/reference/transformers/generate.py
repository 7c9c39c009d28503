"""What lm-eval's `hf` model generates with tiny checkpoints of parity/ and tokenizers of 64 ids made here.

    pip install torch==2.15.0 transformers==5.23.0 lm-eval==0.4.13
    python generate.py        writes generate/<case>/tokenizer.json and generate/<case>/expected.json

expected.json: {"checkpoint": folder in parity/, "eos": string of the tokenizer's end token,
                "texts": [{"prompt": text, "ids": its tokens, special ones included, not truncated,
                           "until": […], "max_gen_toks": n, "truncated": bool, "new_ids": what the model added, to its end token or the limit,
                           "text": what lm-eval returns, "cut": whether it was cut}]}

No `until` is empty: with one, lm-eval stops every text after its first token.

Half of the `until` strings are pieces of what the model writes without them, across the bounds of tokens and of
characters of several bytes. A prompt is left out where the best token is ahead of the second by less than MARGIN.

One thing differs from lm-eval: it lets an encoder-decoder add as many tokens as the longest prompt of the batch has, on top of max_gen_toks
(it sets `max_length`, which counts the decoder's tokens alone, to the prompt's length plus max_gen_toks). Here max_length is 1 + max_gen_toks.
"""

import importlib.metadata
import json
import pathlib
import random

import torch
import transformers as hf
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

for package, version in {"transformers": "5.23.0", "lm-eval": "0.4.13"}.items():
    assert importlib.metadata.version(package) == version
HERE = pathlib.Path(__file__).resolve().parent
MARGIN = 2e-3


def numbered(pieces, special):
    """64 ids: the special tokens at theirs, the pieces at the others."""
    ids, rest = dict(special), iter(pieces)
    at = {i: token for token, i in special.items()}
    for i in range(64):
        if i not in at:
            ids[next(rest)] = i
    assert len(ids) == 64 and not list(rest), (len(ids), list(rest))
    return ids


def finish(tokenizer, special):
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def merges_of(pieces, ids):
    """One merge for every piece of two parts that are pieces."""
    found = []
    for piece in sorted(pieces, key=len):
        cuts = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in ids and piece[i:] in ids]
        found += cuts[:1]
    return found


def sentencepiece(eos):
    """Of Llama's kind: blanks as ▁, characters that are no piece as bytes."""
    special = {"<unk>": 0, "<s>": 1, "</s>": eos}
    letters = list("▁abcdefghinorst.,:?QA")
    words = ["▁a", "▁b", "▁t", "he", "▁the", "in", "on", "an", "▁an", "st", "re", "es", "ed", "or", "▁s", "▁Q", "▁A", "ab", "ba", "▁c", "cd", "▁▁", "er"]
    raw = [f"<0x{byte:02X}>" for byte in b"\n\xe2\x82\xac\xc3\xa9\xa8 1"]
    pieces = (letters + words + raw + ["it", "is", "en", "at", "nd", "ou", "ea", "ti"])[:61]
    ids = numbered(pieces, special)
    tokenizer = Tokenizer(models.BPE(ids, merges_of(pieces, ids), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair=None, special_tokens=[("<s>", 1)])
    return finish(tokenizer, special)


def byte_level(eos):
    """Of GPT-2's kind."""
    special = {"<|endoftext|>": eos}
    letters = list("abcdefghinorst.,:?QAĠĊ") + list("âĤ¬Ã©¨")
    words = ["Ġa", "Ġb", "Ġt", "he", "Ġthe", "in", "on", "an", "Ġan", "st", "re", "es", "ed", "or", "Ġs", "ĠQ", "ĠA",
             "ab", "ba", "Ġc", "cd", "ĊĊ", "er", "it", "is", "en", "at", "nd", "ea", "ti", "ar", "al", "Ã©"]
    pieces = [piece for piece in letters + words if piece != "al"] + ["to", "ra", "de", "no"]
    pieces = pieces[:63]
    ids = numbered(pieces, special)
    tokenizer = Tokenizer(models.BPE(ids, merges_of(pieces, ids)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return finish(tokenizer, special)


def unigram(eos):
    """Of T5's kind."""
    special = {"<pad>": 0, "<unk>": 2, "</s>": eos}
    letters = list("▁abcdefghinorst.,:?QAé€\n")
    words = ["▁a", "▁b", "▁t", "he", "▁the", "in", "on", "an", "▁an", "st", "re", "es", "ed", "or", "▁s", "▁Q", "▁A",
             "ab", "ba", "▁c", "cd", "er", "it", "is", "en", "at", "nd", "ea", "ti", "to", "ra", "de", "no", "ar", "ne", "ta", "so"]
    ids = numbered((letters + words)[:61], special)
    scores = [(token, 0.0 if token in special else -1.0 - len(ids) / (1 + len(token)))
              for token, _ in sorted(ids.items(), key=lambda pair: pair[1])]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair=None, special_tokens=[("</s>", eos)])
    return finish(tokenizer, special)


CASES = {
    "llama": ("llama-multi-head", hf.AutoModelForCausalLM, sentencepiece, {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>"}),
    "gpt2": ("gpt2", hf.AutoModelForCausalLM, byte_level, {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}),
    "t5": ("flan-t5", hf.AutoModelForSeq2SeqLM, unigram, {"eos_token": "</s>", "pad_token": "<pad>"}),
}
WORDS = ["the", "a", "cat", "is", "on", "end", "best", "né", "€", "Q:", "A:", "order", "\n", "cabin", "sort."]


class Recorded(HFLM):
    """Keeps the tokens."""

    def _model_generate(self, context, max_length, stop, **options):
        if self.backend == "seq2seq":
            max_length -= context.shape[1] - 1
        options.pop("max_length", None)
        out = super()._model_generate(context, max_length, stop, **options)
        self.context, self.added = context, out[0, context.shape[1] if self.backend == "causal" else 1:].tolist()
        return out


def margin(model, context, added):
    if model.config.is_encoder_decoder:
        start = torch.tensor([[model.config.decoder_start_token_id, *added]])
        logits = model(input_ids=context, decoder_input_ids=start).logits[0, :len(added)]
    else:
        logits = model(input_ids=torch.cat([context, torch.tensor([added], dtype=torch.long)], 1)).logits[0, -len(added) - 1:-1]
    best = logits.topk(2).values
    return (best[:, 0] - best[:, 1]).min().item()


def ask(lm, prompt, until, limit):
    options = {"until": list(until), "max_gen_toks": limit, "do_sample": False}
    return lm.generate_until([Instance("generate_until", {}, (prompt, options), 0)], disable_tqdm=True)[0]


def texts(lm, model, tokenizer, draw):
    longest = lm.max_length
    found = []
    while len(found) < 14:
        count = 24 if len(found) % 7 == 3 else draw.randint(1, 7)
        prompt = " ".join(draw.choice(WORDS) for _ in range(count))
        limit = draw.choice([1, 8, 16, 24, 24])
        free = ask(lm, prompt, [], limit)
        if limit > 1 and len(set(free)) < 3:
            continue
        until = ["\n\n", "Q:"]
        if len(found) % 2 == 0 and len(free) > 4:
            at = draw.randrange(1, len(free) - 2)
            until = ["zz", free[at:at + draw.randint(1, 4)]]
        if "�" in "".join(until):
            continue
        text = ask(lm, prompt, until, limit)
        added = lm.added
        if margin(model, lm.context, added) < MARGIN:
            continue
        ids = tokenizer(prompt)["input_ids"]
        found.append({"prompt": prompt, "ids": ids, "until": until, "max_gen_toks": limit,
                      "truncated": len(ids) > lm.context.shape[1], "new_ids": added, "text": text,
                      "cut": lm.tok_decode(added) != text})
    assert longest < 100 or model.config.is_encoder_decoder
    return found


@torch.no_grad()
def main():
    for case, (checkpoint, kind, make, special) in CASES.items():
        torch.manual_seed(0)
        model = kind.from_pretrained(HERE / "parity" / checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
        # lm-eval calls it, and the head of flan-t5, which is stored, would be overwritten by the embedding.
        model.tie_weights = lambda *_, **__: None
        model.generation_config = hf.GenerationConfig(
            eos_token_id=model.config.eos_token_id, decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None))
        made = make(model.config.eos_token_id)
        tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=made, **special)
        lm = Recorded(pretrained=model, tokenizer=tokenizer, batch_size=1)
        folder = HERE / "generate" / case
        folder.mkdir(parents=True, exist_ok=True)
        found = texts(lm, model, tokenizer, random.Random(case))
        expected = {"checkpoint": checkpoint, "eos": tokenizer.eos_token}
        lines = ",\n  ".join(json.dumps(text, ensure_ascii=False) for text in found)
        (folder / "expected.json").write_text(json.dumps(expected)[:-1] + f', "texts": [\n  {lines}]}}\n')
        (folder / "tokenizer.json").write_text(made.to_str() + "\n")


main()
