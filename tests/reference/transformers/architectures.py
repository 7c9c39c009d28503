"""What transformers says of the tensors of every known family, asked of tiny random models.

    pip install torch==2.15.0 transformers==5.23.0 safetensors

    python architectures.py                 writes architectures.json, which the tests of the architectures compare with
    python architectures.py make OUT_DIR    writes, per model, OUT_DIR/<model>/{base,expert-a,expert-b}
    python architectures.py check DIR       loads a checkpoint and fails on missing, unexpected or mismatched keys

Nothing is read off a tensor's name. A tensor's stack is that of the encoder or decoder it is a parameter of; whether it
stands ahead of the layers is seen by running the model; what it computes, by the classes of the modules around it and
by the width that a norm has; tied and token-indexed tensors are told by identity with the model's embeddings.
"""

import importlib.metadata
import json
import pathlib
import re
import sys
import tempfile

import torch
import transformers as hf
from safetensors import safe_open
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

assert importlib.metadata.version("transformers") == "5.23.0"
HERE = pathlib.Path(__file__).resolve().parent
HIDDEN, VOCAB, POSITIONS = 8, 32, 24
SMALL = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=12, num_attention_heads=2,
             max_position_embeddings=POSITIONS, pad_token_id=0, bos_token_id=1, eos_token_id=2)
DECODER = dict(SMALL, num_hidden_layers=3, num_key_value_heads=1, head_dim=6)
ENCODER = dict(SMALL, num_hidden_layers=3)
ALBERT = dict(SMALL, embedding_size=4)
BART = dict(vocab_size=VOCAB, d_model=HIDDEN, encoder_layers=2, decoder_layers=3, encoder_ffn_dim=12, decoder_ffn_dim=12,
            encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=POSITIONS)
T5 = dict(vocab_size=VOCAB, d_model=HIDDEN, d_kv=6, d_ff=12, num_layers=2, num_decoder_layers=3, num_heads=2)

# Model → class and config. The head of `untied-head` is made to differ from the embedding, as Flan-T5's does.
MODELS = {
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**DECODER)),
    "llama-tied-biased": (hf.LlamaForCausalLM, hf.LlamaConfig(
        **DECODER, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)),
    "mistral": (hf.MistralForCausalLM, hf.MistralConfig(**DECODER)),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**DECODER, use_sliding_window=True, max_window_layers=1)),
    "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config(**DECODER)),
    "gemma": (hf.GemmaForCausalLM, hf.GemmaConfig(**DECODER)),
    "gemma2": (hf.Gemma2ForCausalLM, hf.Gemma2Config(**dict(DECODER, num_hidden_layers=4))),
    "phi3": (hf.Phi3ForCausalLM, hf.Phi3Config(**dict(DECODER, head_dim=4))),
    "mixtral": (hf.MixtralForCausalLM, hf.MixtralConfig(**DECODER, num_local_experts=2)),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(
        vocab_size=VOCAB, n_embd=HIDDEN, n_layer=3, n_head=2, n_positions=POSITIONS)),
    "gpt2-headless": (hf.GPT2Model, hf.GPT2Config(
        vocab_size=VOCAB, n_embd=HIDDEN, n_layer=2, n_head=2, n_positions=POSITIONS)),
    "bloom": (hf.BloomForCausalLM, hf.BloomConfig(vocab_size=VOCAB, hidden_size=HIDDEN, n_layer=3, n_head=2)),
    "bert-masked-lm": (hf.BertForMaskedLM, hf.BertConfig(**ENCODER)),
    "bert-sequence-classification": (hf.BertForSequenceClassification, hf.BertConfig(**ENCODER)),
    "albert": (hf.AlbertForMaskedLM, hf.AlbertConfig(**ALBERT, num_hidden_layers=3)),
    "albert-two-groups": (hf.AlbertForSequenceClassification, hf.AlbertConfig(
        **ALBERT, num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2)),
    "bart": (hf.BartForConditionalGeneration, hf.BartConfig(**BART)),
    "bart-sequence-classification": (hf.BartForSequenceClassification, hf.BartConfig(**BART)),
    "t5": (hf.T5ForConditionalGeneration, hf.T5Config(**T5)),
    "t5-gated-untied-head": (hf.T5ForConditionalGeneration, hf.T5Config(
        **T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
}


def build(name, seed=0):
    kind, config = MODELS[name]
    torch.manual_seed(seed)
    model = kind(config).eval()
    if "untied-head" in name:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(VOCAB, HIDDEN))
        model.all_tied_weights_keys.pop("lm_head.weight", None)
    return model


def save(model, folder, name):
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if "untied-head" in name:
        # As files on the hub have it; transformers 5 writes `true` for any T5.
        config["tie_word_embeddings"] = False
        config.pop("scale_decoder_outputs", None)
    path.write_text(json.dumps(config, indent=2) + "\n")
    return config


def headers(folder):
    shapes = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            shapes |= {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
    return shapes


def module_names(model, stored):
    """Stored name → name of the parameter or buffer that it is loaded into (Mixtral's are renamed and stacked)."""
    own = set(model.state_dict())
    names = {}
    for name in stored:
        target = name
        for transform in get_checkpoint_conversion_mapping(model.config.model_type) or []:
            target = target if target in own else transform.rename_source_key(target)[0]
        assert target in own, (name, target)
        names[name] = target
    return names


def run(model):
    """Modules in the order in which they begin to compute."""
    order = []
    hooks = [module.register_forward_pre_hook(lambda *_, name=name: order.append(name))
             for name, module in model.named_modules()]
    tokens = torch.tensor([[3, 4, 5, 2]])
    more = {"decoder_input_ids": tokens} if model.config.is_encoder_decoder and "Sequence" not in type(model).__name__ else {}
    with torch.no_grad():
        model(input_ids=tokens, **more)
    for hook in hooks:
        hook.remove()
    return {name: i for i, name in reversed(list(enumerate(order)))}


def layer_lists(model):
    """Paths of the lists whose modules hold an attention, the outermost ones."""
    lists = []
    for path, module in model.named_modules():
        inside = any(path.startswith(outer + ".") for outer in lists)
        if isinstance(module, torch.nn.ModuleList) and not inside:
            if any("Attention" in type(part).__name__ for part in module.modules()):
                lists.append(path)
    return lists


def describe(name):
    model = build(name)
    with tempfile.TemporaryDirectory() as folder:
        config = save(model, pathlib.Path(folder), name)
        stored = headers(pathlib.Path(folder))
    targets, order, lists = module_names(model, stored), run(model), layer_lists(model)
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    owners = {part: {id(p) for p in getter().parameters()}
              for part, getter in [("encoder", model.get_encoder), ("decoder", model.get_decoder)]
              } if model.config.is_encoder_decoder else {}
    tokens = {id(p): 0 for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module is not None
              for p in (module.weight, getattr(module, "bias", None)) if p is not None}

    def stack(target):
        """`shared`: of both halves, or of neither."""
        parts = [part for part, ids in owners.items() if id(parameters.get(target)) in ids]
        return parts[0] if len(parts) == 1 else "shared" if owners else "default"

    stack_of_list = {path: stack(next(p for p in parameters if p.startswith(path + ".0."))) for path in lists}

    def layer_of(target):
        for path in lists:
            if match := re.match(re.escape(path) + r"\.(\d+)\.", target):
                return int(match[1])
        return None

    def began(target):
        """When a tensor is first used, under any of its names; `None` if by the model itself (BART's bias of the logits)."""
        names = {n for n, p in parameters.items() if p is parameters.get(target)} | {target}
        paths = {name.rpartition(".")[0] for name in names}
        return min((order[path] for path in paths if path in order and path), default=None)

    def position(target):
        layer = layer_of(target)
        # T5's layers all read the embedding of distances that the first one has: it is the stack's.
        is_of_stack = layer == 0 and isinstance(modules[target.rpartition(".")[0]], torch.nn.Embedding)
        if layer is not None:
            return "before" if is_of_stack else layer
        own = [path for path in lists if stack(target) in ("shared", stack_of_list[path])]
        time = began(target)
        return "before" if time is not None and time < min(order[f"{path}.0"] for path in own) else "after"

    def group(target):
        path = target.rpartition(".")[0]
        around = [modules[path[:i]] for i in [m.start() for m in re.finditer(r"\.", path)] + [len(path)] if path]
        classes = [type(module).__name__ for module in around]
        owner = classes[-1] if classes else ""
        width = stored.get(target, [0])[-1]
        residual = (HIDDEN, getattr(model.config, "embedding_size", HIDDEN))
        if re.search(r"Norm$", owner) and width in residual:
            return "norm"
        if any("Attention" in kind for kind in classes):
            return "attention"
        if layer_of(target) is not None:
            return "mlp"
        if id(parameters.get(target)) in tokens and modules[path] is model.get_output_embeddings() and (
                model.get_output_embeddings().weight is not model.get_input_embeddings().weight):
            return "head"
        return "embedding" if position(target) == "before" else "head"

    def axis(target, shape):
        if id(parameters.get(target)) in tokens:
            return tokens[id(parameters[target])]
        # A buffer with one number per token that is added to the logits (BART).
        return shape.index(VOCAB) if target not in parameters else None

    stored_as = {id(parameters[target]): name for name, target in targets.items() if target in parameters}
    return {
        "config": config,
        "layers": {stack_of_list[path]: len(modules[path]) for path in lists},
        # Parameters that the file lacks because they are another one of it.
        "tied": {p: stored_as[id(parameters[p])] for p in parameters
                 if p not in targets.values() and id(parameters[p]) in stored_as},
        # [shape, stack, position, group, axis of token ids]
        "tensors": {n: [shape, stack(targets[n]), position(targets[n]), group(targets[n]), axis(targets[n], shape)]
                    for n, shape in stored.items()},
    }


def write_json():
    lines = []
    for name in MODELS:
        entry = describe(name)
        tensors = ",\n".join(f"  {json.dumps(n)}: {json.dumps(t)}" for n, t in entry.pop("tensors").items())
        lines.append(f'{json.dumps(name)}: {json.dumps(entry)[:-1]}, "tensors": {{\n{tensors}}}}}')
    (HERE / "architectures.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def make(folder):
    for name in MODELS:
        for expert, seed in [("base", None), ("expert-a", 1), ("expert-b", 2)]:
            model = build(name)
            generator = torch.Generator().manual_seed(seed or 0)
            with torch.no_grad():
                for parameter in model.parameters() if seed else []:
                    parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
            save(model, folder / name / expert, name)


def check(folder):
    config = json.loads((folder / "config.json").read_text())
    kind = getattr(hf, config["architectures"][0])
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    faults = {what: keys for what, keys in report.items() if keys and what != "error_msgs"}
    stored = headers(folder)
    # transformers ties silently; a tensor of ours must not be dropped so.
    values = model.state_dict()
    for shard in folder.glob("*.safetensors"):
        with safe_open(shard, "pt") as file:
            for name in file.keys():
                if name in values and not torch.equal(values[name].float(), file.get_tensor(name).float()):
                    faults.setdefault("not_loaded", []).append(name)
    tokens = torch.tensor([[3, 4, 5, 2]])
    # Mixtral's bfloat16 kernel wants wider experts than these.
    logits = model.float()(input_ids=tokens, **({"decoder_input_ids": tokens, "use_cache": False} if config.get("is_encoder_decoder")
                   and "Sequence" not in kind.__name__ else {}))[0]
    assert not faults and not report.get("error_msgs"), (faults, report)
    assert torch.isfinite(logits).all()
    print(f"{folder}: {kind.__name__}, {len(stored)} tensors, all loaded")
    return model


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            write_json()
        case ["make", folder]:
            make(pathlib.Path(folder))
        case ["check", *folders]:
            for folder in folders:
                check(pathlib.Path(folder))
