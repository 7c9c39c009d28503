"""The tiny checkpoints of parity.py: what each one shows, and what a reader that ignores it would compute."""

import math
import re
from dataclasses import dataclass, field

import torch
import transformers as hf
from torch import nn

ROPE = {"rope_type": "default", "rope_theta": 10000.0}
SMALL = dict(vocab_size=64, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
LLAMA = dict(SMALL, num_key_value_heads=2, rope_parameters=ROPE, rms_norm_eps=1e-5)
WIDE_HEADS = dict(LLAMA, num_attention_heads=2, num_key_value_heads=1, head_dim=16)
GPT2 = dict(vocab_size=64, n_embd=28, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2)
BLOOM = dict(vocab_size=64, hidden_size=32, n_layer=2, n_head=4, pad_token_id=0)
T5 = dict(vocab_size=64, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3, decoder_start_token_id=0)
BART = dict(vocab_size=64, d_model=24, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
            encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=32)
ENCODER = dict(SMALL, max_position_embeddings=32)
ALBERT = dict(ENCODER, embedding_size=16, num_hidden_layers=4, num_hidden_groups=2, inner_group_num=1)
LABELS = {0: "no", 1: "maybe", 2: "yes"}

# A key that is taken out of config.json.
ABSENT = object()


@dataclass
class Case:
    """One checkpoint. `ignored`: name of a feature → settings of config.json or a change of the model that undo it."""

    shows: str
    model: type
    config: dict
    ignored: dict = field(default_factory=dict)
    # Standard deviation of the token embedding; None: 1 untied, hidden^-0.5 tied (either way logits vary by about 1).
    embedding: float | None = None
    # A case with the very same tensors, whose values this one must repeat.
    twin: str | None = None
    # Keys that replace those that transformers wrote into config.json.
    written: dict = field(default_factory=dict)
    # state dict → state dict, where files on the hub are not as transformers 5 writes them
    stored: object = None
    # Stored tensors that transformers leaves aside.
    inert: str = "$^"
    cache: bool = True


def zero(pattern):
    return fill(pattern, 0.0)


def fill(pattern, value):
    """Sets every parameter and buffer whose name matches."""
    def change(model):
        hits = [t for n, t in [*model.named_parameters(), *model.named_buffers()] if re.search(pattern, n)]
        assert hits, pattern
        for tensor in hits:
            tensor.fill_(value)
    return change


def each(pattern, change_module):
    """Changes every module whose name matches."""
    def change(model):
        hits = [module for name, module in model.named_modules() if re.search(pattern, name)]
        assert hits, pattern
        for module in hits:
            change_module(module)
    return change


def norms_without_one(model):
    each("norm$", lambda norm: norm.weight.sub_(1.0))(model)


def skip_head_norms(model):
    each("self_attn$", lambda a: (setattr(a, "q_norm", nn.Identity()), setattr(a, "k_norm", nn.Identity())))(model)


def slopes_of_a_power_of_two(model):
    def alibi(mask, heads, dtype):
        slopes = torch.tensor([2.0 ** (-8.0 * (i + 1) / heads) for i in range(heads)], dtype=dtype)
        return (slopes[:, None] * torch.arange(mask.shape[1])).repeat(mask.shape[0], 1)[:, None, :].to(dtype)
    model.transformer.build_alibi_tensor = alibi


def tie_head(model):
    model.lm_head.weight = model.get_input_embeddings().weight


def rope(**parameters):
    return {"rope_parameters": dict(ROPE, **parameters)}


def transformers_4(rope_theta, rope_scaling=None):
    """The spelling of transformers 4, `rope_scaling: null` included."""
    return dict(rope_parameters=ABSENT, rope_theta=rope_theta, rope_scaling=rope_scaling, dtype=ABSENT,
                torch_dtype="bfloat16", transformers_version="4.46.3")


def hub_gpt2(tensors):
    """openai-community/gpt2: no `transformer.` before the names, and the causal mask stored as a tensor."""
    mask = torch.ones(GPT2["n_positions"], GPT2["n_positions"], dtype=torch.bfloat16).tril()[None, None]
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return named | {f"h.{i}.attn.bias": mask.clone() for i in range(GPT2["n_layer"])}


def hub_t5(tensors):
    """google-t5/t5-small: copies of the embedding, and a relative bias of the cross attention that nothing reads."""
    stray = torch.ones(32, T5["num_heads"], dtype=torch.bfloat16)
    copies = {f"{part}.embed_tokens.weight": tensors["shared.weight"].clone() for part in ("encoder", "decoder")}
    return tensors | copies | {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": stray}


def hub_bloom(tensors):
    """bigscience/bloom-560m: no `transformer.` before the names."""
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}


def hub_bart(tensors):
    """facebook/bart-base: the embedding under each of its names."""
    names = ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"]
    return tensors | {name: tensors["model.shared.weight"].clone() for name in names}


def hub_bert(tensors):
    """google-bert/bert-base-uncased: names of 2018, and the pooler and next-sentence head of the pre-training."""
    old = {re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", name)): tensor
           for name, tensor in tensors.items()}
    width = SMALL["hidden_size"]
    heads = {"bert.pooler.dense": width, "cls.seq_relationship": 2}
    return old | {f"{name}.{part}": torch.ones(*shape, dtype=torch.bfloat16) for name, rows in heads.items()
                  for part, shape in [("weight", (rows, width)), ("bias", (rows,))]}


def own_head(name, std, seed=77):
    """A head of its own beside the embedding, whatever the flag says."""
    def stored(tensors):
        like = next(t for n, t in tensors.items() if n in ("shared.weight", "model.embed_tokens.weight"))
        noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))
        return tensors | {name: (std * noise).to(torch.bfloat16)}
    return stored


HALF = dict(factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
LLAMA3 = dict(WIDE_HEADS, **rope(rope_type="llama3", rope_theta=100.0, **HALF))
YARN = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=256)
UNSCALED = {"rope_parameters": dict(ROPE, rope_theta=100.0)}
FULL_WINDOW = dict(use_sliding_window=True, sliding_window=5, max_window_layers=0, layer_types=None)
CAPS = dict(attn_logit_softcapping=2.0, final_logit_softcapping=2.0)
GEMMA2 = dict(LLAMA, hidden_size=24, intermediate_size=32, head_dim=16, num_hidden_layers=3, sliding_window=5, query_pre_attn_scalar=8)

CASES = {
    # ── Llama ──
    "llama-multi-head": Case("as many key and value heads as query heads; an epsilon that matters", hf.LlamaForCausalLM,
        dict(LLAMA, num_key_value_heads=4, rms_norm_eps=0.1), {"rms_norm_eps": dict(rms_norm_eps=1e-6)}),
    "llama-grouped-query": Case("two query heads per key and value head", hf.LlamaForCausalLM, LLAMA),
    "llama-head-dim": Case("head_dim is not hidden_size / num_attention_heads", hf.LlamaForCausalLM,
        dict(LLAMA, head_dim=16),
        {"scale by head_dim": each("self_attn$", lambda a: setattr(a, "scaling", 8**-0.5))}),
    "llama-biases": Case("attention_bias (output projection too) and mlp_bias", hf.LlamaForCausalLM,
        dict(LLAMA, attention_bias=True, mlp_bias=True),
        {"bias of q": zero("q_proj.bias"), "bias of v": zero("v_proj.bias"), "bias of o": zero("o_proj.bias"),
         "bias of the MLP": zero("mlp.*bias")}),
    "llama-tied": Case("the head is the embedding", hf.LlamaForCausalLM, dict(LLAMA, tie_word_embeddings=True)),
    "llama-tied-flag-own-head": Case("tie_word_embeddings is true, but a different head is stored: the tensor wins",
        hf.LlamaForCausalLM, dict(LLAMA, tie_word_embeddings=True), {"the stored head": tie_head},
        stored=own_head("lm_head.weight", 32**-0.5)),
    "llama-theta": Case("rope_theta 500000 in rope_parameters", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(rope_theta=5e5)), {"rope_theta": rope()}),
    "llama-theta-4": Case("the same, as transformers 4 wrote it", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(rope_theta=5e5)), {"rope_theta": dict(rope_theta=ABSENT)},
        twin="llama-theta", written=transformers_4(5e5)),
    "llama-rope-linear": Case("linear scaling of positions", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(rope_type="linear", factor=4.0)), {"rope scaling": rope()}),
    "llama-rope-linear-4": Case("the same with `type` for `rope_type`, as transformers 4 wrote it at first",
        hf.LlamaForCausalLM, dict(WIDE_HEADS, **rope(rope_type="linear", factor=4.0)),
        {"rope scaling": dict(rope_scaling=None)},
        twin="llama-rope-linear", written=transformers_4(10000.0, {"type": "linear", "factor": 4.0})),
    "llama-rope-llama3": Case("llama3 scaling: kept, blended and divided frequencies", hf.LlamaForCausalLM, LLAMA3,
        {"rope scaling": UNSCALED,
         "the blend": rope(rope_type="linear", rope_theta=100.0, factor=4.0)}),
    "llama-rope-llama3-4": Case("the same, as transformers 4 wrote it", hf.LlamaForCausalLM, LLAMA3,
        {"rope scaling": dict(rope_scaling=None), "rope_theta": dict(rope_theta=ABSENT)},
        twin="llama-rope-llama3", written=transformers_4(100.0, dict(HALF, rope_type="llama3"))),
    "llama-rope-dynamic": Case("dynamic NTK scaling does nothing within max_position_embeddings", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(rope_type="dynamic", factor=4.0))),
    "llama-rope-yarn": Case("YaRN with the attention factor that follows from factor", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(**YARN)),
        {"rope scaling": UNSCALED, "attention_factor": rope(**YARN, attention_factor=1.0)}),
    "llama-rope-yarn-all-settings": Case("YaRN with every setting of its own", hf.LlamaForCausalLM,
        dict(WIDE_HEADS, **rope(**YARN, attention_factor=1.5, beta_fast=16.0, beta_slow=2.0, truncate=False)),
        {"attention_factor": rope(**YARN, beta_fast=16.0, beta_slow=2.0, truncate=False),
         "beta_fast": rope(**YARN, attention_factor=1.5, beta_slow=2.0, truncate=False),
         "beta_slow": rope(**YARN, attention_factor=1.5, beta_fast=16.0, truncate=False),
         "truncate": rope(**YARN, attention_factor=1.5, beta_fast=16.0, beta_slow=2.0)}),
    # ── Mistral, Mixtral ──
    "mistral": Case("a sliding window longer than any text", hf.MistralForCausalLM, dict(LLAMA, sliding_window=64)),
    "mistral-window": Case("a sliding window of 5 in every layer", hf.MistralForCausalLM,
        dict(LLAMA, sliding_window=5),
        {"sliding_window": dict(sliding_window=None), "that it counts the token itself": dict(sliding_window=6)}),
    "mistral-no-window": Case("sliding_window null; head_dim of its own", hf.MistralForCausalLM,
        dict(LLAMA, sliding_window=None, head_dim=16),
        {"scale by head_dim": each("self_attn$", lambda a: setattr(a, "scaling", 8**-0.5))}),
    "mixtral": Case("two of four experts per token; no rope_theta in the file: 1e6 for this family alone",
        hf.MixtralForCausalLM,
        dict(WIDE_HEADS, rope_parameters=None, intermediate_size=20, num_local_experts=4, num_experts_per_tok=2),
        {"num_experts_per_tok": dict(num_experts_per_tok=1), "the default of rope_theta": rope()},
        written=dict(rope_parameters=ABSENT)),
    "mixtral-window": Case("a sliding window, one expert per token", hf.MixtralForCausalLM,
        dict(LLAMA, intermediate_size=24, num_local_experts=3, num_experts_per_tok=1, sliding_window=5),
        {"num_experts_per_tok": dict(num_experts_per_tok=2), "sliding_window": dict(sliding_window=None)}),
    # ── Qwen ──
    "qwen2": Case("biases of q, k and v; tied; use_sliding_window false turns sliding_window off",
        hf.Qwen2ForCausalLM, dict(LLAMA, tie_word_embeddings=True),
        {"bias of q": zero("q_proj.bias"), "bias of v": zero("v_proj.bias"), "use_sliding_window": FULL_WINDOW},
        written=dict(use_sliding_window=False, sliding_window=5, max_window_layers=0, layer_types=ABSENT)),
    "qwen2-window": Case("a sliding window from layer max_window_layers on", hf.Qwen2ForCausalLM,
        dict(LLAMA, hidden_size=24, num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=1),
        {"use_sliding_window": dict(use_sliding_window=False), "max_window_layers": dict(max_window_layers=0)},
        written=dict(layer_types=ABSENT)),
    "qwen2-layer-types": Case("layer_types say which layers have the window", hf.Qwen2ForCausalLM,
        dict(LLAMA, use_sliding_window=True, sliding_window=5, max_window_layers=1,
             layer_types=["sliding_attention", "full_attention"]),
        {"layer_types": dict(layer_types=None)}),
    "qwen3": Case("norms of query and key heads; head_dim of its own; tied; rope_theta as transformers 4 wrote it", hf.Qwen3ForCausalLM,
        dict(LLAMA, head_dim=16, tie_word_embeddings=True, **rope(rope_theta=1e6)),
        {"rope_theta": dict(rope_theta=ABSENT), "the weights of the norms": fill("[qk]_norm", 1.0), "the norms": skip_head_norms,
         "scale by head_dim": each("self_attn$", lambda a: setattr(a, "scaling", 8**-0.5))},
        written=transformers_4(1e6) | dict(sliding_window=None, layer_types=ABSENT)),
    "qwen3-biases": Case("attention_bias, untied", hf.Qwen3ForCausalLM, dict(LLAMA, head_dim=8, attention_bias=True),
        {"bias of q": zero("q_proj.bias"), "bias of o": zero("o_proj.bias")}),
    # ── Gemma ──
    "gemma": Case("norms of 1 + w, embedding × sqrt(hidden_size), head_dim of its own", hf.GemmaForCausalLM,
        dict(LLAMA, head_dim=16),
        {"norms of 1 + w": norms_without_one, "scale of the embedding": fill("embed_scale", 1.0),
         "hidden_act": dict(hidden_act="silu")}),
    "gemma-gelu": Case("hidden_act `gelu` of the first releases means the tanh form", hf.GemmaForCausalLM,
        dict(LLAMA, head_dim=16), twin="gemma", written=dict(hidden_act="gelu", hidden_activation=None)),
    "gemma2": Case("both caps, window in every other layer, query_pre_attn_scalar, four norms", hf.Gemma2ForCausalLM,
        dict(GEMMA2, **CAPS),
        {"attn_logit_softcapping": dict(attn_logit_softcapping=None),
         "final_logit_softcapping": dict(final_logit_softcapping=None),
         "sliding_window": dict(layer_types=["full_attention"] * 3),
         "which layers have the window": dict(layer_types=["full_attention", "sliding_attention", "full_attention"]),
         "query_pre_attn_scalar": dict(query_pre_attn_scalar=16), "norms of 1 + w": norms_without_one,
         "scale of the embedding": fill("embed_scale", 1.0)},
        written=dict(layer_types=ABSENT)),
    "gemma2-no-caps": Case("both caps null; layer_types say which layers have the window", hf.Gemma2ForCausalLM,
        dict(GEMMA2, attn_logit_softcapping=None, final_logit_softcapping=None, num_hidden_layers=2,
             layer_types=["full_attention", "sliding_attention"]),
        {"layer_types": dict(layer_types=None), "null is not absent": dict(CAPS)}),
    # ── GPT-2, Bloom ──
    "gpt2": Case("learned positions, weights stored [in, out], tied", hf.GPT2LMHeadModel, GPT2,
        {"positions": zero("wpe.weight"), "bias of c_attn": zero("c_attn.bias")}),
    "gpt2-hub-names": Case("names without `transformer.` and stored masks, as on the hub", hf.GPT2LMHeadModel, GPT2,
        twin="gpt2", stored=hub_gpt2, inert=r"attn\.bias$", written=dict(n_ctx=32, activation_function="gelu_new")),
    "gpt2-inverse-layer": Case("scale_attn_by_inverse_layer_idx", hf.GPT2LMHeadModel,
        dict(GPT2, n_embd=24, n_layer=3, scale_attn_by_inverse_layer_idx=True),
        {"scale_attn_by_inverse_layer_idx": dict(scale_attn_by_inverse_layer_idx=False)}),
    "gpt2-unscaled-relu": Case("scale_attn_weights false, n_inner, activation_function relu, epsilon", hf.GPT2LMHeadModel,
        dict(GPT2, scale_attn_weights=False, n_inner=40, activation_function="relu", layer_norm_epsilon=0.1),
        {"scale_attn_weights": dict(scale_attn_weights=True), "activation_function": dict(activation_function="gelu_new"),
         "layer_norm_epsilon": dict(layer_norm_epsilon=1e-5)}),
    "bloom-4-heads": Case("ALiBi, fused query, key and value", hf.BloomForCausalLM, BLOOM,
        {"bias of the attention's output": zero("self_attention.dense.bias"),
         "norm of the embedding": each("word_embeddings_layernorm", lambda n: (n.weight.fill_(1.0), n.bias.zero_()))}),
    "bloom-hub-names": Case("names without `transformer.`; n_embed and num_attention_heads in config.json, as on the hub",
        hf.BloomForCausalLM, BLOOM, twin="bloom-4-heads", stored=hub_bloom,
        written=dict(hidden_size=ABSENT, n_head=ABSENT, n_embed=32, num_attention_heads=4, offset_alibi=100, seq_length=64,
                     attention_softmax_in_fp32=True, masked_softmax_fusion=True)),
    "bloom-6-heads": Case("a number of heads that is no power of two: other slopes", hf.BloomForCausalLM,
        dict(BLOOM, hidden_size=24, n_head=6), {"the slopes": slopes_of_a_power_of_two}),
    "bloom-residual-after-norm": Case("apply_residual_connection_post_layernorm", hf.BloomForCausalLM,
        dict(BLOOM, apply_residual_connection_post_layernorm=True),
        {"apply_residual_connection_post_layernorm": dict(apply_residual_connection_post_layernorm=False)}),
    # ── T5, BART ──
    "t5": Case("relu, tied and scaled; a stray tensor and copies of the embedding, as on the hub",
        hf.T5ForConditionalGeneration, T5,
        {"scale of the decoder's output": dict(tie_word_embeddings=False),
         "relative positions": zero("relative_attention_bias")},
        embedding=0.6, stored=hub_t5, inert="EncDecAttention.relative_attention_bias",
        written=dict(scale_decoder_outputs=ABSENT, n_positions=512, output_past=True, is_gated_act=ABSENT, dense_act_fn=ABSENT)),
    "t5-tied-unscaled": Case("made with tie_word_embeddings false: transformers 5 ties and writes scale_decoder_outputs false",
        hf.T5ForConditionalGeneration, dict(T5, tie_word_embeddings=False),
        {"scale_decoder_outputs": dict(scale_decoder_outputs=True)}),
    "flan-t5": Case("gated-gelu, a head of its own, tie_word_embeddings false, as on the hub: not scaled",
        hf.T5ForConditionalGeneration, dict(T5, feed_forward_proj="gated-gelu"),
        {"the stored head": tie_head, "tie_word_embeddings": dict(tie_word_embeddings=True)},
        embedding=0.6, stored=own_head("lm_head.weight", 32**-0.5),
        written=dict(tie_word_embeddings=False, scale_decoder_outputs=ABSENT)),
    "t5-deeper-decoder": Case("three decoder layers on one encoder layer; few buckets", hf.T5ForConditionalGeneration,
        dict(T5, num_layers=1, num_decoder_layers=3, relative_attention_num_buckets=8, relative_attention_max_distance=9),
        {"relative_attention_max_distance": dict(relative_attention_max_distance=128)},
        embedding=0.6, cache=False),
    "t5-gated-silu": Case("gated-silu, d_kv × num_heads is not d_model, an epsilon that matters",
        hf.T5ForConditionalGeneration, dict(T5, feed_forward_proj="gated-silu", d_kv=6, layer_norm_epsilon=0.1),
        {"layer_norm_epsilon": dict(layer_norm_epsilon=1e-6),
         "feed_forward_proj": dict(feed_forward_proj="gated-gelu", dense_act_fn="gelu_new")}, embedding=0.6),
    "bart": Case("positions from row 2 on, final_logits_bias", hf.BartForConditionalGeneration, BART,
        {"final_logits_bias": zero("final_logits_bias"),
         "offset of positions": each("embed_positions$", lambda e: setattr(e, "offset", 0))}),
    "bart-hub-names": Case("the embedding under all its names, and the settings of config.json on the hub",
        hf.BartForConditionalGeneration, BART, twin="bart", stored=hub_bart,
        written=dict(add_bias_logits=False, add_final_layer_norm=False, normalize_before=False, normalize_embedding=True,
                     num_hidden_layers=2, classif_dropout=0.1, forced_bos_token_id=0, num_beams=4, no_repeat_ngram_size=3)),
    "bart-scale-embedding": Case("scale_embedding; a decoder of other depth, heads and width; relu",
        hf.BartForConditionalGeneration,
        dict(BART, scale_embedding=True, encoder_layers=1, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=24,
             activation_function="relu"),
        {"scale_embedding": dict(scale_embedding=False), "activation_function": dict(activation_function="gelu"),
         "decoder_attention_heads": dict(decoder_attention_heads=4)}),
    # ── BERT, ALBERT ──
    "bert-masked-lm": Case("masked-token head, tied", hf.BertForMaskedLM, ENCODER,
        {"token types": zero("token_type_embeddings"), "bias of the head": zero("predictions.(decoder.)?bias"),
         "norm of the head": each("transform.LayerNorm", lambda n: (n.weight.fill_(1.0), n.bias.zero_()))}),
    "bert-hub-names": Case("LayerNorm.gamma and .beta, pooler and next-sentence head stored, as on the hub",
        hf.BertForMaskedLM, ENCODER, twin="bert-masked-lm", stored=hub_bert, inert="pooler|seq_relationship",
        written=dict(position_embedding_type="absolute", gradient_checkpointing=False)),
    "bert-masked-lm-relu": Case("hidden_act relu, an epsilon that matters", hf.BertForMaskedLM,
        dict(ENCODER, hidden_act="relu", layer_norm_eps=0.1),
        {"hidden_act": dict(hidden_act="gelu"), "layer_norm_eps": dict(layer_norm_eps=1e-12)}),
    "bert-classification": Case("pooled first token, three labels", hf.BertForSequenceClassification,
        dict(ENCODER, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}),
        {"tanh of the pooler": each("pooler", lambda p: setattr(p, "activation", nn.Identity()))}),
    "albert-masked-lm": Case("narrow embedding, four layers in two groups that share their tensors", hf.AlbertForMaskedLM,
        ALBERT, {"groups": lambda m: m.albert.encoder.albert_layer_groups.__setitem__(1, m.albert.encoder.albert_layer_groups[0])},
        written=dict(gap_size=0, net_structure_type=0, num_memory_blocks=0, down_scale_factor=1, layers_to_keep=[])),
    "albert-classification": Case("two inner layers per group, hidden_act gelu, two labels unnamed in the file",
        hf.AlbertForSequenceClassification,
        dict(ALBERT, num_hidden_layers=3, num_hidden_groups=1, inner_group_num=2, hidden_act="gelu"),
        {"inner_group_num": lambda m: m.albert.encoder.albert_layer_groups[0].albert_layers.__delitem__(1)}),
}


def randomize(model, case):
    """Every parameter away from what it starts at; attention peaked enough for positions to matter."""
    config = model.config
    generator = torch.Generator().manual_seed(sum(map(ord, case.shows)))
    width = model.get_input_embeddings().weight.shape[1]
    tied = getattr(config, "tie_word_embeddings", False)
    embedding = case.embedding or (width**-0.5 if tied else 1.0)
    # T5 leaves the products of queries and keys unscaled.
    per_head = config.d_kv**-0.5 if config.model_type == "t5" else 1.0
    around = 0.0 if config.model_type.startswith("gemma") else 1.0
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor is model.get_input_embeddings().weight:
                tensor.copy_(embedding * noise)
            elif re.search(r"final_logits_bias$|bias$", name):
                # With larger ones BART generates one token over and over.
                tensor.copy_((0.1 if config.model_type == "bart" else 0.4) * noise)
            elif not isinstance(tensor, nn.Parameter):
                continue
            elif tensor.ndim == 1:
                tensor.copy_(around + 0.3 * noise)
            elif "relative_attention_bias" in name:
                tensor.copy_(noise)
            elif "embed_positions" in name:
                tensor.copy_(0.4 * noise)
            elif re.search("position_embeddings|wpe|token_type", name):
                tensor.copy_(embedding * noise)
            else:
                tensor.copy_(gain(name, per_head) * noise / math.sqrt(fan_in(model, name, tensor)))


def gain(name, per_head):
    if re.search(r"(\.q|q_proj|query)\.weight", name):
        return 2.0 * per_head
    return 2.0 if re.search(r"(\.k|k_proj|key|c_attn|query_key_value|gate)\.weight", name) else 1.0


def fan_in(model, name, tensor):
    is_conv1d = type(model.get_submodule(name.rpartition(".")[0])).__name__ == "Conv1D"
    return tensor.shape[0 if is_conv1d else -1]
