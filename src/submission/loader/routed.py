"""Runs this folder: merged models that share their equal weights, and a gate that sends each prompt to one of them.

Needs torch and transformers, and numpy for the gate. Written by merge-search.

    from routed import RoutedModel
    model = RoutedModel(".")                      # device="cuda", dtype=torch.bfloat16
    model.route("Tom has 4 keys. Now")            # which merge reads it
    model.generate("Tom has 4 keys. Now", max_new_tokens=8)
    model.score("Tom has 4 keys. Now Tom has", [" 7.", " 1."])    # log-likelihood of each answer

In a folder with one merge some of whose layers are routed: load_merge(Path("."), "cpu", torch.float32).
"""

import json
import re
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# Of config.json: layers that are not routed, where some are.
DENSE = "merge_search_dense_layers"


def fnv1a(data):
    """64-bit FNV-1a."""
    hash = 0xCBF29CE484222325
    for byte in data:
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    return hash


def ngrams(prompt, buckets):
    """Words, pairs of words and three-byte windows, hashed and counted: ln(1 + count), of length 1."""
    text = prompt.encode().lower()
    words = re.findall(rb"[a-z0-9\x80-\xff]+", text)
    grams = [b"w" + word for word in words]
    grams += [b"b" + a + b" " + b for a, b in zip(words, words[1:])]
    grams += [b"c" + text[i : i + 3] for i in range(len(text) - 2)]
    counts = np.zeros(buckets)
    for gram in grams:
        hash = fnv1a(gram)
        counts[(hash ^ hash >> 32) % buckets] += 1
    x = np.log1p(counts)
    return x / (np.linalg.norm(x) or 1.0)


def shape(prompt, choices):
    """A choice or a text, the prompt's length, the number of choices."""
    choice = float(choices is not None)
    return np.array([choice, 1 - choice, np.log2(1 + len(prompt)), len(choices or [])])


class Gate:
    """Tells the class of a prompt."""

    tokenizer = None

    def __init__(self, gate, folder, device, dtype):
        self.features, self.kind = gate["features"], gate["kind"]
        self.classes = [term["class"] for term in gate["terms"]]
        self.vectors = np.array([term["vector"] for term in gate["terms"]])
        self.biases = np.array([term["bias"] for term in gate["terms"]])
        if (folder / "gate-model").exists():
            self.reader = load_merge(folder / "gate-model", device, dtype).base_model
            self.reader.norm = torch.nn.Identity()

    def classify(self, prompt, choices=None):
        x = self.see(prompt, choices)
        if self.kind == "centroid":
            scores = -((x - self.vectors) ** 2).sum(1)
        else:
            scores = self.biases + self.vectors @ x
        return self.classes[int(np.argmax(scores))]

    def see(self, prompt, choices):
        if self.features == "shape":
            return shape(prompt, choices)
        if "ngrams" in self.features:
            return ngrams(prompt, self.features["ngrams"]["buckets"])
        return self.hidden(prompt, **self.features["hidden"])

    @torch.no_grad()
    def hidden(self, prompt, layer, pool):
        """The base model's states at the input of a layer, each divided by its root mean square."""
        tokens = self.tokenizer(prompt.rstrip(), return_tensors="pt")["input_ids"].to(self.reader.device)
        tokens = tokens[:, -self.reader.config.max_position_embeddings :]
        states = self.reader(tokens, output_hidden_states=True).hidden_states[layer][0].double().cpu().numpy()
        states = states / np.maximum(np.sqrt((states**2).mean(1, keepdims=True)), 1e-300)
        return states.mean(0) if pool == "mean" else states[-1]


def load_merge(folder, device, dtype):
    config = json.loads((folder / "config.json").read_text())
    if DENSE in config:
        from transformers import MixtralConfig

        mixtral = MixtralConfig.from_dict({**config, "model_type": "mixtral"})
        model = partly_routed(config[DENSE]).from_pretrained(folder, config=mixtral, torch_dtype=dtype)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=dtype)
    return model.to(device).eval()


def partly_routed(dense):
    """A Mixtral whose layers `dense` have one feed-forward block, as Llama's."""
    from transformers import MixtralForCausalLM
    from transformers.models.llama.modeling_llama import LlamaMLP

    class Dense(LlamaMLP):
        def forward(self, x):
            out = super().forward(x)
            return (out, None) if self.with_logits else out

    class PartlyRouted(MixtralForCausalLM):
        def __init__(self, config):
            super().__init__(config)
            config.mlp_bias = False
            for index in dense:
                layer = self.model.layers[index]
                # Until transformers 4 the block has another name and returns the router's logits too.
                layer.mlp = Dense(config)
                layer.mlp.with_logits = hasattr(layer, "block_sparse_moe")
                if layer.mlp.with_logits:
                    layer.block_sparse_moe = layer.mlp

    return PartlyRouted


def share(model, owners):
    """Lets `model` use the memory of a weight that one of `owners` has alike; returns the bytes saved."""
    saved = 0
    for name, weight in model.named_parameters():
        for owner in owners:
            other = dict(owner.named_parameters()).get(name)
            if other is not None and other.shape == weight.shape and torch.equal(other, weight):
                saved += weight.numel() * weight.element_size()
                weight.data = other.data
                break
    return saved


class RoutedModel:
    def __init__(self, folder=".", device="cpu", dtype=torch.float32):
        folder = Path(folder)
        router = json.loads((folder / "router.json").read_text())
        self.gate, self.routes = Gate(router["gate"], folder, device, dtype), router["routes"]
        self.merges, self.shared_bytes = [], 0
        for name in router["merges"]:
            model = load_merge(folder / name, device, dtype)
            self.shared_bytes += share(model, self.merges)
            self.merges.append(model)
        self.tokenizer = AutoTokenizer.from_pretrained(folder / router["merges"][0])
        self.gate.tokenizer = self.tokenizer

    def route(self, prompt, choices=None):
        """Index of the merge that reads this prompt; `choices`: the answers to choose from, if there are any."""
        return self.routes[self.gate.classify(prompt, choices)]

    @torch.no_grad()
    def generate(self, prompt, **settings):
        model = self.merges[self.route(prompt)]
        tokens = self.tokenizer(prompt, return_tensors="pt").to(model.device)
        out = model.generate(**tokens, **settings)
        return self.tokenizer.decode(out[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)

    @torch.no_grad()
    def score(self, prompt, answers):
        model = self.merges[self.route(prompt, answers)]
        return [self._log_likelihood(model, prompt, answer) for answer in answers]

    def _log_likelihood(self, model, prompt, answer):
        context = self.tokenizer(prompt)["input_ids"]
        whole = self.tokenizer(prompt + answer)["input_ids"]
        tokens = torch.tensor([whole], device=model.device)
        logits = model(tokens).logits[0, len(context) - 1 : -1].float()
        asked = tokens[0, len(context) :, None]
        return float(torch.log_softmax(logits, -1).gather(1, asked).sum())
