"""Five tiny random models with tokenizers of different kinds, as Hugging Face lays them out.

    python docs_models.py        writes docs/models/{llama,qwen2,t5,llama3,bart}

llama   SentencePiece-like BPE: blank before the text, bytes for what is unknown, <s> by the post-processor; chat template
        with <s> in it and without a system role
qwen2   byte-level BPE, NFC, no token at the start (`bos_token` is null); ChatML
t5      unigram without a normalizer, </s> by the post-processor; encoder and decoder
bart    byte-level BPE, <s> and </s> by the post-processor; encoder and decoder with a bias on the logits that is no parameter
llama3  byte-level BPE of a plain PreTrainedTokenizerFast, <|begin_of_text|> by the post-processor; Llama 3's headers

The weights are large, so that choices differ clearly.
"""

import json
import math
import pathlib
import random
from collections import Counter

import torch
import transformers as hf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "docs" / "models"
WORDS = """a an the of to in and or not is was were be been has have had do did will would can could may might must shall
one two three four five six seven eight nine ten first second third last next every some any many few more most other
red green blue white black small large old new long short warm cold quick slow bright dark heavy light round flat
river mountain village harbour garden kitchen window door bridge tower market island forest meadow valley road
baker sailor teacher farmer doctor child mother father sister brother friend stranger king queen writer painter
bread butter cheese apple pear salt sugar water milk honey letter paper pencil basket lantern candle rope boat wheel
walks runs sings reads writes carries opens closes builds paints finds loses gives takes makes asks answers
quickly slowly often never always again today tomorrow yesterday morning evening winter summer spring autumn
Question Answer Options because before after under over near behind between without within about against
größer schön Straße café naïve 東京 大阪 река город ½ ² € — … yes no maybe true false perhaps""".split()
BYTES = 256
NASTY = ["", " ", "  two  blanks ", "\n", "tab\tand\nline\n\n", "Straße 東京 🙂 e\u0301 é", "A", " A", "1234 5.6", "don't DON'T",
         "[INST] x [/INST]", "\u00a0\u200b", "the baker's bread.\n\nQuestion: why?"]


def corpus(lines=1500, seed=1):
    draw = random.Random(seed)
    for _ in range(lines):
        words = draw.choices(WORDS, k=draw.randint(4, 14))
        text = " ".join(words).capitalize() + draw.choice([".", "?", "!", ":", "\n", ", " + str(draw.randint(0, 3000)) + "."])
        yield text


def merges_of(tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def llama_tokenizer(size):
    """Llama 2's tokenizer.json but for the vocabulary."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(BYTES)]
    # characters beyond ASCII are left to the bytes but for a few
    alphabet = [chr(c) for c in range(33, 127)] + list("▁äöüß東京")
    text = ("".join(c for c in line.replace("\n", " ") if c in alphabet or c == " ") for line in corpus())
    trained.train_from_iterator(text, trainers.BpeTrainer(vocab_size=size - len(first), initial_alphabet=alphabet, show_progress=False))
    pieces, merges = merges_of(trained)
    vocab = {piece: id for id, piece in enumerate(first + sorted(pieces, key=pieces.get))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in first[:3]])
    return tokenizer


def byte_level(size, special, split, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(special), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


def qwen2_tokenizer(size):
    tokenizer = byte_level(size, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], QWEN2_SPLIT, normalizers.NFC())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def llama3_tokenizer(size):
    tokenizer = byte_level(size, LLAMA3_SPECIAL, LLAMA3_SPLIT)
    start = LLAMA3_SPECIAL[0]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1",
                                      special_tokens=[(start, tokenizer.token_to_id(start))])])
    return tokenizer


def bart_tokenizer(size):
    tokenizer = byte_level(size, ["<s>", "<pad>", "</s>", "<unk>"], QWEN2_SPLIT)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), trim_offsets=False, add_prefix_space=False)
    return tokenizer


def t5_tokenizer(size):
    # The trainer's sums depend on the order of threads; counts of substrings do not.
    counts = Counter()
    for word in (f"▁{word}" for line in corpus() for word in line.split()):
        counts.update(word[i:j] for i in range(len(word)) for j in range(i + 1, min(len(word), i + 7) + 1))
    known = sorted(counts, key=lambda piece: (len(piece) > 1, -counts[piece] * len(piece), piece))[:size - 3]
    total = sum(counts[piece] for piece in known)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(piece, round(math.log(counts[piece] / total), 6)) for piece in known]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in ["<pad>", "</s>", "<unk>"]])
    return tokenizer


LLAMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% elif message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}")
QWEN2_CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
LLAMA3_CHAT = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim"
    " + '<|eot_id|>' %}{% if loop.first %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}")
CONFIGS = {
    "llama": dict(tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False, legacy=True, bos_token="<s>",
                  eos_token="</s>", unk_token="<unk>", clean_up_tokenization_spaces=False, model_max_length=10**30, chat_template=LLAMA_CHAT),
    "qwen2": dict(tokenizer_class="Qwen2Tokenizer", bos_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None,
                  clean_up_tokenization_spaces=False, model_max_length=10**30, chat_template=QWEN2_CHAT),
    "t5": dict(tokenizer_class="T5Tokenizer", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", extra_ids=0,
               clean_up_tokenization_spaces=False, model_max_length=512),
    "bart": dict(tokenizer_class="BartTokenizer", bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                 clean_up_tokenization_spaces=False, model_max_length=256),
    "llama3": dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>",
                   clean_up_tokenization_spaces=True, model_max_length=10**30, chat_template=LLAMA3_CHAT),
}
TOKENIZERS = {"llama": llama_tokenizer, "qwen2": qwen2_tokenizer, "t5": t5_tokenizer, "bart": bart_tokenizer, "llama3": llama3_tokenizer}
SIZE = 768
SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=256, initializer_range=0.3, tie_word_embeddings=True)


def network(name, tokenizer):
    size = tokenizer.get_vocab_size()
    ids = {role: tokenizer.token_to_id(token) if token else None
           for role, token in ((f"{r}_token_id", CONFIGS[name].get(f"{r}_token")) for r in ("bos", "eos", "pad"))}
    torch.manual_seed({"llama": 1, "qwen2": 2, "t5": 3, "llama3": 4, "bart": 5}[name])
    if name == "t5":
        config = hf.T5Config(vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, feed_forward_proj="relu",
                             decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, relative_attention_num_buckets=16)
        model = hf.T5ForConditionalGeneration(config)
        with torch.no_grad():
            for tensor in model.parameters():
                if tensor.dim() > 1:
                    tensor.normal_(0, 2.0 if tensor.shape[0] == size else 0.35)
        return model
    if name == "bart":
        config = hf.BartConfig(
            vocab_size=size, d_model=32, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=48, decoder_ffn_dim=48,
            encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=256, init_std=0.3,
            decoder_start_token_id=ids["eos_token_id"], forced_eos_token_id=None, **ids)
        model = hf.BartForConditionalGeneration(config)
        model.final_logits_bias.normal_(0, 1.0)
        return model
    if name == "qwen2":
        model = hf.Qwen2ForCausalLM(hf.Qwen2Config(vocab_size=size, **SMALL, **ids))
        with torch.no_grad():
            for key, tensor in model.named_parameters():
                if key.endswith("bias"):
                    tensor.normal_(0, 0.3)
        return model
    return hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=size, **SMALL, **ids))


def write(name):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = TOKENIZERS[name](SIZE)
    network(name, tokenizer).eval().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(CONFIGS[name], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in CONFIGS:
        write(name)
