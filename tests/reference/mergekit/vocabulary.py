"""Merges tiny checkpoints whose vocabularies differ with mergekit; tests/vocabulary.rs compares with the outputs.

    pip install mergekit==0.1.5 transformers==5.23.0 tokenizers==0.23.3 && python vocabulary.py

Writes vocabulary/models/ (inputs) and vocabulary/expected/ (per recipe of vocabulary/recipes/ the embedding and the
head, and in a JSON file the output tokenizer's vocabulary, encodings, `vocab_size` and chat template), and
vocabulary/chat_templates.json (conversations as mergekit's named templates and ours render them in transformers).
Checks that mergekit reads each vocabulary/written/*.yaml (what `Recipe::to_yaml` makes of the recipe) as the same.

mergekit walks over a Python set (the models) and over the hash map of a tokenizer (its tokens), so that the ids of a
union differ from run to run. Here both are put in order: models as the recipe names them, tokens by their id.
"""

import importlib.metadata
import json
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import yaml
from mergekit._data import chat_templates
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from mergekit.tokenizer.config import TokenizerConfig
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, TokenizersBackend
from transformers.utils.chat_template_utils import render_jinja_template

for package, version in [("mergekit", "0.1.5"), ("transformers", "5.23.0"), ("tokenizers", "0.23.3")]:
    assert importlib.metadata.version(package) == version, package
HERE = Path(__file__).resolve().parent / "vocabulary"
HIDDEN = 4
SPECIAL = ["<unk>", "<s>", "</s>"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("Ġ", "a"), ("o", "u"), ("e", "r"), ("Ġ", "in")]
TEXTS = ["the inner tower in a house", "<s>a word</s> the<tool> <|im_start|>x<|im_end|>", "<new>tea<only-b>then sun", ""]

FORMATS = ["alpaca", "chatml", "exaone", "llama3", "mistral"]
CONVERSATIONS = [
    [("user", "Hi there")],
    [("system", "Be brief."), ("user", " What is 2+2? "), ("assistant", " 4 "), ("user", "And 3+3?")],
    [("user", "a\n\nb"), ("assistant", "c")],
    [("system", " x "), ("user", "q"), ("assistant", "r"), ("user", "s"), ("assistant", "t")],
]


def bpe(added=()):
    words = SPECIAL + ["Ġ"] + LETTERS + ["".join(pair) for pair in MERGES]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, MERGES, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    for token in added:
        tokenizer.add_tokens([token])
    return tokenizer


def word_level(added=()):
    words = ["sun", "moon", "</s>", *reversed(LETTERS[:10]), "Ġthe", "the", "<s>", "<unk>", "tea"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    for token in added:
        tokenizer.add_tokens([token])
    return tokenizer


def shapes(rows):
    yield "model.embed_tokens.weight", (rows, HIDDEN)
    prefix = "model.layers.0."
    for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"):
        yield f"{prefix}{name}.weight", (HIDDEN, HIDDEN)
    for name in ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
        yield f"{prefix}{name}.weight", (HIDDEN, HIDDEN)
    for name in (f"{prefix}input_layernorm", f"{prefix}post_attention_layernorm", "model.norm"):
        yield f"{name}.weight", (HIDDEN,)
    yield "lm_head.weight", (rows, HIDDEN)


def model(name, seed, rows, tokenizer=None, settings=None, template=None):
    numbers = np.random.Generator(np.random.PCG64(seed))
    folder = HERE / "models" / name
    folder.mkdir(parents=True)
    weights = {tensor: torch.from_numpy(numbers.standard_normal(shape).astype(np.float32)) for tensor, shape in shapes(rows)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "vocab_size": rows,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    if tokenizer is None:
        return
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64} | named | (settings or {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    if template:
        (folder / "chat_template.jinja").write_text(template)


def inputs():
    count = len(SPECIAL) + 1 + len(LETTERS) + len(MERGES)
    # Rows of an embedding that no token has.
    model("base", 1, count + 4, bpe(), template="{{ messages[0].content }}\n")
    chat = [AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("<|im_end|>", special=True, normalized=False)]
    # `pad_token` is in the settings only, and gets the next id when the tokenizer is loaded.
    a = {"pad_token": "<pad>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
    model("a", 2, count + 4, bpe([*chat, AddedToken("<tool>")]), a)
    # Other ids, and two tokens without a row.
    extra = [AddedToken("<|im_end|>", lstrip=True), "<only-b>", "<late-1>", "<late-2>"]
    b = word_level(extra)
    listed = {str(i): {"content": token.content, "special": token.special, "normalized": token.normalized,
                       "lstrip": token.lstrip, "rstrip": token.rstrip, "single_word": token.single_word}
              for i, token in sorted(b.get_added_tokens_decoder().items())}
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    model("b", 3, b.get_vocab_size() - 2, b, {"added_tokens_decoder": listed, "chat_template": template})
    # A base model with tokens beyond its embedding, one of which the settings name too.
    beyond = AddedToken("<beyond>", special=True, normalized=False)
    model("short", 4, count + 1, bpe(["<tool>", "<beyond-1>", beyond]), {"pad_token": "<beyond>"})
    model("bare", 5, count + 4)


def pin_orders():
    get_vocab = TokenizersBackend.get_vocab

    def by_id(self):
        return dict(sorted(get_vocab(self).items(), key=lambda entry: entry[1]))

    def as_named(self):
        # The planner rewrites `models` as one slice of each module.
        slices = [part for module in (self.modules or {}).values() for part in module.slices]
        entries = self.models or [source for part in slices for source in part.sources]
        named = [entry.model for entry in entries] + ([self.base_model] if self.base_model else [])
        return list(dict.fromkeys(named))

    TokenizersBackend.get_vocab = by_id
    MergeConfiguration.referenced_models = as_named


def merge(recipe):
    config = MergeConfiguration.model_validate(yaml.safe_load(recipe.read_text()))
    with tempfile.TemporaryDirectory() as out:
        run_merge(config, out, MergeOptions(quiet=True, write_model_card=False))
        weights = load_file(Path(out) / "model.safetensors")
        kept = {name: weights[name] for name in ("model.embed_tokens.weight", "lm_head.weight")}
        save_file(kept, HERE / "expected" / f"{recipe.stem}.safetensors")
        tokenizer = Tokenizer.from_file(str(Path(out) / "tokenizer.json"))
        added = tokenizer.get_added_tokens_decoder().values()
        result = {
            "vocab_size": json.loads((Path(out) / "config.json").read_text())["vocab_size"],
            "vocabulary": dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])),
            "special": sorted(token.content for token in added if token.special),
            "encodings": [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS],
            "chat_template": AutoTokenizer.from_pretrained(out).chat_template,
        }
        print(recipe.stem, sorted(path.name for path in Path(out).iterdir()))
    (HERE / "expected" / f"{recipe.stem}.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")


def require_same_meaning(recipe):
    def meaning(path):
        config = MergeConfiguration.model_validate(yaml.safe_load(path.read_text()))
        if config.tokenizer_source:
            config.tokenizer, config.tokenizer_source = TokenizerConfig(source=config.tokenizer_source), None
        return config.model_dump()

    written = HERE / "written" / recipe.name
    assert meaning(written) == meaning(recipe), f"{written}\n{meaning(written)}\n{meaning(recipe)}"


def render(template, messages, prompt):
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    texts, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=prompt, **tokens)
    return texts[0]


def render_formats():
    """mergekit's texts; ours differ in blanks only, where mergekit's templates put some that the formats do not have."""
    templates = HERE.parents[3] / "src/engine/merge/vocabulary/templates"
    cases = []
    for name in FORMATS:
        for turns in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in turns]
            for prompt in (False, True):
                theirs = render(files(chat_templates).joinpath(f"{name}.jinja").read_text(), messages, prompt)
                ours = render((templates / f"{name}.jinja").read_text(), messages, prompt)
                assert "".join(ours.split()) == "".join(theirs.split()), (name, ours, theirs)
                print(name, "the same" if ours == theirs else "other blanks")
                case = {"format": name, "messages": messages, "add_generation_prompt": prompt}
                cases.append(case | {"mergekit": theirs, "ours": ours})
    (HERE / "chat_templates.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


def main():
    for folder in ("models", "expected"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / "expected").mkdir()
    inputs()
    pin_orders()
    for recipe in sorted((HERE / "recipes").glob("*.yaml")):
        merge(recipe)
        require_same_meaning(recipe)
    render_formats()


if __name__ == "__main__":
    main()
