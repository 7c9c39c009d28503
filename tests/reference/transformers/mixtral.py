"""A mixture of the quickstart experts, built by hand in torch, and the log-probabilities that transformers' Mixtral gives.

    pip install torch==2.15.0 transformers==5.23.0 safetensors tokenizers && python mixtral.py > mixtral.json

Everything but the models' files is computed here, in float64: the merge outside the feed-forward blocks (a weighted mean), the
gates (from hooks on the base model's layers, by the formula in `LayerGates` and `Reader::prototype`), the routed layers.

    python mixtral.py --export DIR REFERENCE_KEY   compares a folder that `merge-search merge` wrote with REFERENCE_KEY's numbers

opens the folder with AutoModelForCausalLM and prints the largest difference of a log-probability.
"""

import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForCausalLM, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

HERE = pathlib.Path(__file__).parent
FAMILY = HERE.parents[2] / "search-spaces" / "quickstart"
EXPERTS = ["agreement", "arithmetic", "logic", "strings"]
WEIGHTS = {"base": 2.0, "agreement": 1.0, "arithmetic": 3.0, "logic": 1.0, "strings": 1.0}
PROMPTS = {
    "agreement": ["the cats near the dog sleep", "the dog by the trees runs"],
    "arithmetic": ["12 + 7 = 19", "3 + 5 ="],
    "logic": ["if p then q. p. so q", "all a are b"],
    "strings": ["reverse abc = cba", "last letter of wood is d", "aab"],
}
TEXTS = ["12 + 30 = 42", "the cats near the dog sleep", "reverse abcd = dcba", "if a then b. a. so b", "x"]
CASES = {
    "all-1": dict(layers=[0, 1, 2, 3, 4], mode="hidden_avg", top=1, temperature=1.0),
    "all-2": dict(layers=[0, 1, 2, 3, 4], mode="hidden_last", top=2, temperature=0.5),
    "some-2": dict(layers=[1, 3], mode="cheap_embed", top=2, temperature=2.0),
}


def load(name):
    return LlamaForCausalLM.from_pretrained(FAMILY / name, dtype=torch.float64, attn_implementation="eager").eval()


def encode(text):
    return Tokenizer.from_file(str(FAMILY / "base" / "tokenizer.json")).encode(text).ids


def layer_inputs(model, tokens):
    inputs = []
    hooks = [layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0][0])) for layer in model.model.layers]
    with torch.no_grad():
        model(torch.tensor([tokens]))
    for hook in hooks:
        hook.remove()
    return torch.stack(inputs)


def prototype(model, mode, prompts):
    """[layers, hidden]"""
    vectors = []
    for prompt in prompts:
        states = layer_inputs(model, encode(prompt))
        states = states / states.pow(2).mean(-1, keepdim=True).sqrt()
        if mode == "hidden_avg":
            vectors.append(states.mean(1))
        elif mode == "hidden_last":
            vectors.append(states[:, -1])
        else:
            vectors.append(states[:1].mean(1).expand(states.shape[0], -1))
    return torch.stack(vectors).mean(0)


def gates(model, mode):
    """[layers, experts, hidden]"""
    prototypes = torch.stack([prototype(model, mode, PROMPTS[expert]) for expert in EXPERTS], dim=1)
    centred = prototypes - prototypes.mean(1, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True)


def mean_state(models):
    total = sum(WEIGHTS.values())
    return {
        name: sum(WEIGHTS[model] * own[name] for model, own in models.items()) / total
        for name in models["base"]
    }


MARGINS = []


def remember_margin(logits, top):
    ordered = logits.sort(dim=-1, descending=True).values
    MARGINS.append((ordered[..., top - 1] - ordered[..., top]).min().item())


class Mixture(nn.Module):
    """Written from the paper: the softmax of the greatest logits weighs the blocks."""

    def __init__(self, gate, blocks, top):
        super().__init__()
        self.gate, self.blocks, self.top = gate, nn.ModuleList(blocks), top

    def forward(self, x):
        logits = x @ self.gate.T
        remember_margin(logits, self.top)
        best, chosen = logits.topk(self.top)
        shares = torch.zeros_like(logits).scatter(-1, chosen, best.softmax(-1))
        outputs = torch.stack([block(x) for block in self.blocks], dim=-1)
        return (outputs * shares.unsqueeze(-2)).sum(-1)


def mixtral(models, scaled, top):
    config = models["base"].config
    names = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
    names += ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_parameters", "tie_word_embeddings"]
    mixtral_config = MixtralConfig(
        **{name: getattr(config, name) for name in names},
        num_local_experts=len(EXPERTS),
        num_experts_per_tok=top,
        attn_implementation="eager",
    )
    model = MixtralForCausalLM(mixtral_config).double().eval()
    model.config._experts_implementation = "eager"
    merged = {k: v for k, v in mean_state({n: m.state_dict() for n, m in models.items()}).items() if ".mlp." not in k}
    missing, unexpected = model.load_state_dict(merged, strict=False)
    assert not unexpected and all(".mlp." in name for name in missing), (missing, unexpected)
    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            layer.mlp.gate.weight.copy_(scaled[number])
            layer.mlp.gate.register_forward_hook(lambda module, args, out: remember_margin(out[0], top) if top < 4 else None)
            for index, expert in enumerate(EXPERTS):
                own = models[expert].model.layers[number].mlp
                joined = torch.cat([own.gate_proj.weight, own.up_proj.weight])
                layer.mlp.experts.gate_up_proj[index].copy_(joined)
                layer.mlp.experts.down_proj[index].copy_(own.down_proj.weight)
    return model


def assembled(models, scaled, layers, top):
    model = load("base")
    model.load_state_dict(mean_state({n: m.state_dict() for n, m in models.items()}))
    for number in layers:
        blocks = [models[expert].model.layers[number].mlp for expert in EXPERTS]
        model.model.layers[number].mlp = Mixture(scaled[number], blocks, top)
    return model


def log_probs(model, dtype=torch.float64):
    rows = []
    for text in TEXTS:
        tokens = encode(text)
        with torch.no_grad():
            scores = model(torch.tensor([tokens])).logits[0].to(dtype).log_softmax(-1)
        rows.append(scores)
    return rows


def make():
    models = {name: load(name) for name in WEIGHTS}
    output = {"experts": EXPERTS, "weights": WEIGHTS, "prompts": PROMPTS, "cases": {}}
    output["texts"] = [encode(text) for text in TEXTS]
    for name, case in CASES.items():
        own = gates(models["base"], case["mode"])
        # As stored.
        scaled = (own.float() / case["temperature"]).double()
        if len(case["layers"]) == own.shape[0]:
            model = mixtral(models, scaled, case["top"])
            other = assembled(models, scaled, case["layers"], case["top"])
            for a, b in zip(log_probs(model), log_probs(other)):
                # transformers takes the softmax of the gates in float32.
                assert (a - b).abs().max() < 1e-5, (a - b).abs().max()
        else:
            model = assembled(models, scaled, case["layers"], case["top"])
        rounded = lambda tensor, digits: [round(x, digits) for x in tensor.flatten().tolist()]
        keep = case["layers"][1:4:2]
        rows = log_probs(model)
        output["cases"][name] = case | {
            "gates": {str(layer): rounded(own[layer], 7) for layer in keep},
            "next": [
                [round(rows[i][place, token].item(), 6) for place, token in enumerate(tokens[1:])]
                for i, tokens in enumerate(output["texts"])
            ],
            "last": rounded(rows[0][-1], 6),
        }
    assert min(MARGINS) > 1e-4, min(MARGINS)
    json.dump(output, sys.stdout, indent=None, separators=(",", ":"))
    print()


def compare(folder, name):
    case = json.loads((HERE / "mixtral.json").read_text())["cases"][name]
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(loading[kind] for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]), loading
    rows, worst = log_probs(model.eval()), 0.0
    for text, row, expected in zip(TEXTS, rows, case["next"]):
        for place, (token, number) in enumerate(zip(encode(text)[1:], expected)):
            worst = max(worst, abs(row[place, token].item() - number))
    for number, expected in zip(rows[0][-1].tolist(), case["last"]):
        worst = max(worst, abs(number - expected))
    print(f"{type(model).__name__}: largest difference of a log-probability {worst:.1e}")


if __name__ == "__main__":
    compare(*sys.argv[2:4]) if sys.argv[1:2] == ["--export"] else make()
