"""A Llama-type GGUF file as what transformers builds a checkpoint from: configuration, tensors, tokenizer."""

import torch
from gguf import GGUFReader, dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

CONTROL = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
         "output.weight": "lm_head.weight"}


class GgufModel:
    def __init__(self, path):
        self.reader = GGUFReader(path)

    def field(self, key):
        return self.reader.fields[key].contents()

    def config(self):
        assert self.field("general.architecture") == "llama"
        number = lambda key: self.field(f"llama.{key}")
        return LlamaConfig(
            vocab_size=number("vocab_size"), hidden_size=number("embedding_length"),
            intermediate_size=number("feed_forward_length"), num_hidden_layers=number("block_count"),
            num_attention_heads=number("attention.head_count"), num_key_value_heads=number("attention.head_count_kv"),
            max_position_embeddings=number("context_length"),
            # stored as float32: 9.999999747378752e-06 is 1e-05
            rms_norm_eps=float(f"{number('attention.layer_norm_rms_epsilon'):.6g}"),
            rope_parameters={"rope_type": "default", "rope_theta": number("rope.freq_base")},
            bos_token_id=self.field("tokenizer.ggml.bos_token_id"), eos_token_id=self.field("tokenizer.ggml.eos_token_id"),
            pad_token_id=self.field("tokenizer.ggml.padding_token_id"),
            tie_word_embeddings=all(tensor.name != "output.weight" for tensor in self.reader.tensors))

    def tensors(self, config):
        """Hugging Face name → float32 tensor, exactly as dequantized."""
        found = {}
        for tensor in self.reader.tensors:
            values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
            values = values.reshape([int(length) for length in reversed(tensor.shape)])
            found[hugging_face_name(tensor.name)] = unpermuted(tensor.name, values, config)
        return found

    def tokenizer(self, size):
        """The first `size` tokens of the vocabulary: merges are in the order of the tokens that they make."""
        tokens = self.field("tokenizer.ggml.tokens")[:size]
        vocabulary = {token: index for index, token in enumerate(tokens)}
        pairs = [tuple(pair.split(" ")) for pair in self.field("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE(vocabulary, [pair for pair in pairs if "".join(pair) in vocabulary]))
        # llama.cpp's name for: digits one by one, then GPT-2's expression
        assert self.field("tokenizer.ggml.pre") == "smollm"
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        tokenizer.decoder = decoders.ByteLevel()
        kinds = self.field("tokenizer.ggml.token_type")
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                      for token, kind in zip(tokens, kinds) if kind == CONTROL])
        special = lambda name: tokens[self.field(f"tokenizer.ggml.{name}_token_id")]
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token=special("bos"), eos_token=special("eos"), unk_token=special("unknown"),
            pad_token=special("padding"), clean_up_tokenization_spaces=False, add_bos_token=False,
            chat_template=self.field("tokenizer.chat_template"), model_max_length=self.field("llama.context_length"))


def hugging_face_name(name):
    if name in OUTER:
        return OUTER[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def unpermuted(name, values, config):
    """llama.cpp interleaves the halves of each query and key head for its rotary embedding; transformers does not."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return values
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns).contiguous()
