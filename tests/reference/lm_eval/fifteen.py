"""A Llama-type checkpoint of 15.2 M parameters with random weights, for measuring speed.

    python fifteen.py OUT --gguf FILE

The shape is that of stories15M (hidden 288, 6 layers, 6 heads, ffn 768, vocabulary 32,000, tied). The tokenizer is
SmolLM2's with its last merges cut off, from the GGUF file that smollm2.py keeps. The weights are drawn with a fixed seed,
wide enough for the log-likelihoods of different choices to differ by whole nats.
"""

import argparse

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gguf_model import GgufModel

VOCABULARY = 32_000


def model(tokenizer):
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=288, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=6, max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    network = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(15)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" not in name:
                deviation = 0.1 if "embed" in name else weight.shape[1] ** -0.5
                weight.normal_(0.0, deviation, generator=generator)
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--gguf", required=True)
    arguments = parser.parse_args()
    tokenizer = GgufModel(arguments.gguf).tokenizer(VOCABULARY)
    network = model(tokenizer)
    network.save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    print(f"{sum(weight.numel() for weight in network.parameters()):,} parameters")


if __name__ == "__main__":
    main()
