"""What a submission extends: the attributes that it sets and the methods that the evaluation calls."""

import os

from peft import PeftConfig, load_peft_weights  # noqa: F401  part of every kit
from safetensors.torch import save_file

ATTRIBUTES = """
list_models loaded_models loaded_configs base_model tokenizer input_tokenizer target_tokenizer base_model_name
base_model_revision_id max_seq_len max_gen_len device architecture merged_model
"""


class Merges:
    def __init__(self, name):
        self.name = name
        self.is_peft = False
        for attribute in ATTRIBUTES.split():
            setattr(self, attribute, None)

    def get_name(self):
        return self.name

    def merge(self):
        raise NotImplementedError

    def predict_multiple_choice(self, batch):
        raise NotImplementedError("the kit's own scoring is not part of this stand-in")

    def generate(self, batch):
        raise NotImplementedError("the kit's own decoding is not part of this stand-in")

    def save_model(self, folder):
        """Comes before the evaluation; fails on views and on tensors that share memory."""
        assert self.merged_model, "nothing was merged"
        save_file(self.merged_model, os.path.join(folder, "safetensor.pt"))
