"""GGUF files with tokenizers, and the token ids that Hugging Face's tokenizers of the same vocabulary give.

    pip install transformers==5.23.0 tokenizers==0.23.3 gguf==0.19.0 && python make_tokenizers.py

Writes, beside itself, tokenizer-<pre>.gguf per pre-tokenizer and token_ids.json. The models in the files have no layers' tensors.
"""

import json
import pathlib
import string

import gguf
import numpy as np
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter, bytes_to_unicode

HERE = pathlib.Path(__file__).parent
CORPUS = [
    "Wheat is ground into flour, and the flour is baked; it isn't eaten as it is.",
    "They'll say that we've seen 1234 birds in 2019, or 56.78 % of all 100000.",
    "    indented = [x for x in range(10)]\n\n\treturn indented  # the end\n",
    "Größe, naïveté, 東京 and Владивосток are words; so is ½ or ²³.",
    string.printable,
]
TEXTS = [
    "",
    "Wheat isn't flour.",
    "WE'LL SEE what they'Ve seen, don'T we?",
    "1234567 12 3  45,6.7 ½ ²³ ١٢٣",
    "  two  spaces   and \t tabs\t\n\n\nlines \r\n end   ",
    "é and e\u0301 are not the same bytes",
    "Größe 東京タワー Владивосток 🙂🙂 \u200d\u00a0x",
    "<|end|>special<|end|> and <tool> text<tool>",
    "snake_case CamelCase x+=1; // ### --- ...",
    "'s 's' ''t 'RE",
]
SPECIAL, ADDED = "<|end|>", "<tool>"


def trained():
    """A vocabulary of all bytes and a few merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, initial_alphabet=sorted(alphabet), show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def smollm(vocab, merges):
    """As in SmolLM2's tokenizer.json."""
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def llama3(vocab, merges):
    """transformers' own conversion of Llama 3's format."""
    byte = {letter: value for value, letter in bytes_to_unicode().items()}
    ranks = {bytes(byte[letter] for letter in token): id for token, id in vocab.items()}

    class Converter(TikTokenConverter):
        def extract_vocab_merges_from_model(self, _):
            return vocab, merges

    assert len(ranks) == len(vocab)
    return Converter(vocab_file="none", extra_special_tokens=[]).converted()


def write(pre, vocab, merges, bos):
    tokens = sorted(vocab, key=vocab.get) + [SPECIAL, ADDED]
    kinds = [gguf.TokenType.NORMAL] * len(vocab) + [gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED]
    writer = gguf.GGUFWriter(HERE / f"tokenizer-{pre}.gguf", "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(2)
    writer.add_block_count(1)
    writer.add_feed_forward_length(2)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokens.index(SPECIAL))
    writer.add_add_bos_token(bos)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), 2), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    vocab, merges = trained()
    tokenizers = {
        "gpt-2": GPT2Tokenizer(vocab=dict(vocab), merges=merges).backend_tokenizer,
        "qwen2": Qwen2Tokenizer(vocab=dict(vocab), merges=merges).backend_tokenizer,
        "smollm": smollm(vocab, merges),
        "llama-bpe": llama3(vocab, merges),
    }
    expected = {}
    for pre, tokenizer in tokenizers.items():
        # Tokens that a class adds on its own have the ids behind the vocabulary; ours are to have them.
        state = json.loads(tokenizer.to_str())
        state["added_tokens"], state["post_processor"] = [], None
        state["model"]["vocab"] = vocab | {SPECIAL: len(vocab), ADDED: len(vocab) + 1}
        tokenizer = Tokenizer.from_str(json.dumps(state))
        tokenizer.add_special_tokens([AddedToken(SPECIAL, normalized=False)])
        tokenizer.add_tokens([AddedToken(ADDED, normalized=False)])
        bos = pre == "llama-bpe"
        write(pre, vocab, merges, bos)
        first = [len(vocab)] if bos else []
        expected[pre] = [dict(text=text, ids=first + tokenizer.encode(text).ids) for text in TEXTS]
    (HERE / "token_ids.json").write_text(json.dumps(expected, indent=0) + "\n")


main()
