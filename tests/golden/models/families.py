"""Tiny models of further families: what transformers computes in each, and their weights as llama.cpp's own converter
writes them.

    python families.py                 # every family, into families/
    python families.py qwen2 falcon    # only these

Unlike make.py's models, whose GGUF files are written tensor by tensor here, these go the way that people's models go:
transformers saves a folder, and the converter that `tomograph convert` runs makes a GGUF of it. So a golden holds the
converter, llama.cpp and the capture together against transformers.

The converter is the one that `tomograph convert` unpacked into the cache; --converter names another.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import pathlib
import sys
import tempfile
import zlib


def converter_folder() -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tomograph"
    named = sys.argv[sys.argv.index("--converter") + 1] if "--converter" in sys.argv else None
    found = [pathlib.Path(named)] if named else sorted(cache.glob("convert-*/source"))
    if not found or not (found[-1] / "conversion").is_dir():
        sys.exit("no converter: run `tomograph convert` once, or name its source with --converter")
    return found[-1]


# The converter knows names that the published gguf package does not have yet.
CONVERTER = converter_folder()
sys.path[:0] = [str(CONVERTER), str(CONVERTER / "gguf-py")]

import gguf
import numpy as np
import safetensors.numpy
import torch
import transformers as hf

from architectures import rope
from recording import *

HERE = pathlib.Path(__file__).resolve().parent
LENGTH = 16  # tokens of each golden sequence
D_FF, D_HEAD, KV_HEADS = 48, WIDTH // HEADS, 2

SHAPE = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=HEADS,
             max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0, pad_token_id=None)
SANDWICH = dict(attn_add="post_attention_layernorm", mid="pre_feedforward_layernorm", ln2="pre_feedforward_layernorm",
                mlp_add="post_feedforward_layernorm")
PARALLEL = dict(mid=None, ln2=None)


def dense(*without: str, **other) -> dict:
    """What most configurations share. Anew each time: some write into what they are given."""
    shape = (SHAPE
             | dict(num_key_value_heads=KV_HEADS, intermediate_size=D_FF, rms_norm_eps=EPS, rope_parameters=rope(),
                    tie_word_embeddings=True)
             | other)
    return {key: value for key, value in shape.items() if key not in without}


def tanh_gelu(*paths: str):
    """llama.cpp computes the tanh form of GELU in this family, transformers the exact one: so it is given that."""

    def change(network: torch.nn.Module) -> None:
        for name, module in list(network.named_modules()):
            if name.rsplit(".", 1)[-1] in paths:
                parent = network.get_submodule(name.rpartition(".")[0])
                setattr(parent, name.rpartition(".")[2], torch.nn.GELU(approximate="tanh"))

    return change


def name_nemotron_parts(network: torch.nn.Module) -> None:
    """A layer has one part, called `mixer` whatever it is."""
    names = {"linear_attention": "as_mixer", "full_attention": "as_attention"}
    for block in network.model.layers:
        object.__setattr__(block, names.get(block.block_type, "as_mlp"), block.mixer)  # no module of its own


def scale_layers(factor: float):

    def change(network: torch.nn.Module) -> None:
        for block in network.model.layers:
            block.layer_scalar.fill_(factor)

    return change


FAMILIES: dict[str, Model] = {}


def family(name: str, config, modules: Modules = Modules(), **more) -> None:
    FAMILIES[name] = Model("", config, modules, None, **more)


family("qwen2", hf.Qwen2Config(**dense()))
family(
    "qwen3moe",
    hf.Qwen3MoeConfig(**dense(), head_dim=12, moe_intermediate_size=24, num_experts=EXPERTS,
                      num_experts_per_tok=EXPERTS_USED, norm_topk_prob=True), Modules(router="mlp.gate"))
family("gemma", hf.GemmaConfig(**dense(), head_dim=12), norm_centre=0.0, embed_std=WIDTH**-0.5)
family("phi3", hf.Phi3Config(**dense(pad_token_id=0), original_max_position_embeddings=CONTEXT))
family(
    "falcon",
    hf.FalconConfig(**SHAPE, layer_norm_epsilon=EPS, num_kv_heads=1, rope_parameters=rope(), activation="gelu_new"),
    Modules(proj="self_attention.dense", attn_add="self_attention", **PARALLEL, blocks="transformer.h",
            embed="transformer.word_embeddings", final="transformer.ln_f"))
family(
    "mpt",
    hf.MptConfig(vocab_size=VOCAB, d_model=WIDTH, n_heads=HEADS, n_layers=2, expansion_ratio=2, max_seq_len=CONTEXT,
                 layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
    Modules(ln1="norm_1", proj="attn.out_proj", attn_add="attn.out_proj", mid="norm_2", ln2="norm_2",
            mlp_add="ffn.down_proj", blocks="transformer.blocks", embed="transformer.wte", final="transformer.norm_f"),
    prepare=tanh_gelu("act"))
family(
    "stablelm",
    hf.StableLmConfig(**dense("rms_norm_eps", tie_word_embeddings=False, rope_parameters=rope(partial=0.5)),
                      layer_norm_eps=EPS, use_qkv_bias=True))
family("starcoder2", hf.Starcoder2Config(**dense("rms_norm_eps"), norm_epsilon=EPS))
family("olmo", hf.OlmoConfig(**dense("rms_norm_eps")))
family(
    "olmoe",
    hf.OlmoeConfig(**dense(num_key_value_heads=HEADS, tie_word_embeddings=False), num_experts=EXPERTS,
                   num_experts_per_tok=EXPERTS_USED), Modules(router="mlp.gate"))
family(
    "cohere2",
    hf.Cohere2Config(**dense("rms_norm_eps", num_hidden_layers=4), layer_norm_eps=EPS,
                     logit_scale=0.25, sliding_window=8, layer_types=["sliding_attention"] * 3 + ["full_attention"]),
    Modules(**PARALLEL), told=dict(rotary_pct=1.0))
family(
    "granitemoe",
    hf.GraniteMoeConfig(**dense(), num_local_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED,
                        embedding_multiplier=3.0, residual_multiplier=0.375, attention_multiplier=0.25,
                        logits_scaling=2.0), Modules(mlp_add="block_sparse_moe", scale=0.375), embed_std=0.3)
family(
    "nemotron",
    hf.NemotronConfig(**dense("rms_norm_eps", tie_word_embeddings=False, rope_parameters=rope(partial=0.5)),
                      norm_eps=EPS), norm_centre=0.0)
family(
    "exaone4", hf.Exaone4Config(**dense(), sliding_window=None, layer_types=["full_attention"] * 2),
    Modules(ln1=None, attn_add="post_attention_layernorm", mid="mlp", ln2=None, mlp_add="post_feedforward_layernorm"))
family("glm4", hf.Glm4Config(**dense("rope_parameters"), head_dim=D_HEAD, rope_parameters=rope(partial=0.5)),
       Modules(attn_add="post_self_attn_layernorm", mlp_add="post_mlp_layernorm"))
family("chatglm", hf.GlmConfig(**dense("rope_parameters"), head_dim=D_HEAD, rope_parameters=rope(partial=0.5)))
family("smollm3", hf.SmolLM3Config(**dense(num_hidden_layers=4), no_rope_layers=[1, 1, 1, 0]))
family("ernie4_5", hf.Ernie4_5Config(**dense(), head_dim=D_HEAD))
family(
    "ernie4_5-moe",
    hf.Ernie4_5_MoeConfig(**dense(), moe_intermediate_size=24, moe_k=EXPERTS_USED, moe_num_experts=EXPERTS,
                          moe_num_shared_experts=1, moe_layer_start_index=1))
family("hunyuan-dense", hf.HunYuanDenseV1Config(**dense(), head_dim=D_HEAD))
family("hunyuan-moe", hf.HunYuanMoEV1Config(**dense(), head_dim=D_HEAD, num_experts=EXPERTS,
                                            moe_topk=[EXPERTS_USED] * 2), told=dict(moe_intermediate_size=[D_FF] * 2,
                                                                                    num_shared_expert=[1] * 2))
family("seed_oss", hf.SeedOssConfig(**dense(), head_dim=12, attention_dropout=0.0, residual_dropout=0.0))
family("apertus", hf.ApertusConfig(**dense(tie_word_embeddings=False)),
       Modules(ln1="attention_layernorm", mid="feedforward_layernorm", ln2="feedforward_layernorm"))
family("arcee", hf.ArceeConfig(**dense()))
family(
    "mistral3",
    hf.Ministral3Config(
        **dense("rope_parameters"), head_dim=12,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=8,
                             beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1)))
MLA = dict(kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, n_routed_experts=EXPERTS,
           num_experts_per_tok=EXPERTS_USED, n_shared_experts=1, moe_intermediate_size=24, first_k_dense_replace=1)
family(
    "deepseek2",
    hf.DeepseekV2Config(**dense(num_key_value_heads=HEADS, rms_norm_eps=1e-6), **MLA, q_lora_rank=16,
                        topk_method="greedy", n_group=1, topk_group=1))
family(
    "deepseek3",
    hf.DeepseekV3Config(**dense(num_key_value_heads=HEADS, rms_norm_eps=1e-6), **MLA, q_lora_rank=16, n_group=1,
                        topk_group=1), told=dict(scoring_func="sigmoid"))
family(
    "glm4moe",
    hf.Glm4MoeConfig(**dense("rope_parameters"), head_dim=D_HEAD, rope_parameters=rope(partial=0.5),
                     n_routed_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED, n_shared_experts=1,
                     moe_intermediate_size=24, first_k_dense_replace=1, n_group=1, topk_group=1, use_qk_norm=True))
family(
    "dots1",
    hf.Dots1Config(**dense(num_key_value_heads=HEADS, tie_word_embeddings=False), head_dim=D_HEAD,
                   n_routed_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED, n_shared_experts=1,
                   moe_intermediate_size=24, first_k_dense_replace=1, n_group=1, topk_group=1),
    told=dict(scoring_func="sigmoid"))
family(
    "starcoder",
    hf.GPTBigCodeConfig(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=HEADS,
                        layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
    Modules(ln1="ln_1", proj="attn.c_proj", attn_add="attn.c_proj", mid="ln_2", ln2="ln_2", blocks="transformer.h",
            embed="transformer.wte", final="transformer.ln_f", pos_embed="transformer.wpe"))

# Recurrent ones and hybrids.
RECURRENT = dict(ln1="norm", proj=None, attn_add=None, mid=None, ln2=None, mlp_add=None, mixer_add="mixer",
                 blocks="backbone.layers", embed="backbone.embeddings", final="backbone.norm_f")
family(
    "mamba",
    hf.MambaConfig(vocab_size=VOCAB, hidden_size=WIDTH, state_size=8, num_hidden_layers=2, expand=2,
                   layer_norm_epsilon=EPS, conv_kernel=4, residual_in_fp32=False), Modules(**RECURRENT), gain=0.8)
family(
    "mamba2",
    hf.Mamba2Config(vocab_size=VOCAB, hidden_size=WIDTH, state_size=16, num_hidden_layers=2, expand=2, num_heads=8,
                    head_dim=8, n_groups=1, layer_norm_epsilon=EPS, conv_kernel=4, chunk_size=8, residual_in_fp32=False,
                    pad_token_id=0, eos_token_id=0), Modules(**RECURRENT))
family(
    "jamba",
    hf.JambaConfig(**dense("rope_parameters", num_hidden_layers=3), num_experts=EXPERTS,
                   num_experts_per_tok=EXPERTS_USED, expert_layer_period=2, expert_layer_offset=1, attn_layer_period=2,
                   attn_layer_offset=1, mamba_d_state=8, use_mamba_kernels=False),
    Modules(mid="pre_ff_layernorm", ln2="pre_ff_layernorm", mlp_add="feed_forward", mixer_add="mamba",
            final="model.final_layernorm"))
MAMBA2 = dict(mamba_d_state=16, mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1, mamba_expand=2, mamba_chunk_size=8)
family(
    "falcon-h1", hf.FalconH1Config(**dense(), **MAMBA2, mamba_d_ssm=64, attention_out_multiplier=1.0),
    Modules(mid="pre_ff_layernorm", ln2="pre_ff_layernorm", mlp_add="feed_forward", mixer_add="mamba",
            final="model.final_layernorm"), gain=1.0, told=dict(head_dim=D_HEAD))
family(
    "granitehybrid",
    hf.GraniteMoeHybridConfig(**dense(), **MAMBA2, num_local_experts=0, num_experts_per_tok=0,
                              shared_intermediate_size=D_FF, layer_types=["mamba", "attention"],
                              position_embedding_type="nope", embedding_multiplier=3.0, residual_multiplier=0.375,
                              attention_multiplier=0.25, logits_scaling=2.0),
    Modules(mlp_add="shared_mlp", mixer_add="mamba", scale=0.375), embed_std=0.3,
    told=dict(layer_types=["mamba", "attention"]))
DELTA = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
             linear_conv_kernel_dim=4, layer_types=["linear_attention", "full_attention"])
family(
    "qwen3next",
    hf.Qwen3NextConfig(**dense("rope_parameters"), **DELTA, head_dim=16, rope_parameters=rope(partial=0.25),
                       num_experts=EXPERTS, moe_intermediate_size=24, num_experts_per_tok=EXPERTS_USED,
                       shared_expert_intermediate_size=24), Modules(mixer_add="linear_attn"), norm_centre=0.0)
family(
    "qwen35",
    hf.Qwen3_5TextConfig(**dense("rope_parameters"), **DELTA, head_dim=16,
                         rope_parameters=rope(partial=0.25) | dict(mrope_section=[1, 1, 0])),
    Modules(mixer_add="linear_attn"), norm_centre=0.0)
family(
    "nemotron_h",
    hf.NemotronHConfig(**dense("num_hidden_layers", "rope_parameters", "rms_norm_eps"), layer_norm_epsilon=EPS,
                       head_dim=D_HEAD, layers_block_type=["mamba", "attention",
                                                           "mlp"], ssm_state_size=16, mamba_num_heads=8,
                       mamba_head_dim=8, n_groups=1, expand=2, chunk_size=8, use_mamba_kernels=False,
                       time_step_min=1e-9),
    Modules(ln1=None, proj=None, attn_add="as_attention", mid=None, ln2=None, mlp_add="as_mlp", mixer_add="as_mixer",
            embed="model.embeddings", final="model.norm_f"), prepare=name_nemotron_parts,
    told=dict(num_experts_per_tok=None, n_routed_experts=None, n_group=None, topk_group=None,
              num_local_experts=None, num_experts=None,
              layers_block_type=None, hybrid_override_pattern="M*-", num_hidden_layers=3))
family(
    "gpt-oss",
    hf.GptOssConfig(**dense(tie_word_embeddings=False), head_dim=D_HEAD, num_local_experts=EXPERTS,
                    num_experts_per_tok=EXPERTS_USED, sliding_window=8,
                    layer_types=["sliding_attention", "full_attention"]))
family(
    "gemma4",
    hf.Gemma4TextConfig(
        **dense("rope_parameters"), head_dim=16, global_head_dim=16,
        rope_parameters=dict(full_attention=dict(rope_type="proportional", rope_theta=1e6, partial_rotary_factor=0.25),
                             sliding_attention=rope()), sliding_window=8,
        layer_types=["sliding_attention",
                     "full_attention"], hidden_size_per_layer_input=8, vocab_size_per_layer_input=VOCAB),
    Modules(**SANDWICH, ple_add="post_per_layer_input_norm", stream_scale=0.75), embed_std=WIDTH**-0.5,
    prepare=scale_layers(0.75), told=dict(global_head_dim=16))
family(
    "olmo3",
    hf.Olmo3Config(**dense(tie_word_embeddings=False), sliding_window=8,
                   layer_types=["sliding_attention", "full_attention"]),
    Modules(ln1=None, attn_add="post_attention_layernorm", mid="mlp", ln2=None, mlp_add="post_feedforward_layernorm"))
family(
    "llama4",
    hf.Llama4TextConfig(**dense(num_hidden_layers=4), head_dim=D_HEAD, intermediate_size_mlp=D_FF,
                        num_local_experts=EXPERTS, num_experts_per_tok=1, interleave_moe_layer_step=2,
                        no_rope_layers=[1, 1, 1, 0], attention_chunk_size=8192), Modules(mlp_add="feed_forward"))

# Encoders.
BERT = Modules(ln1="attention.output.LayerNorm", proj="attention.output.dense", attn_add="attention.output.dense",
               mid="attention.output.LayerNorm", ln2="output.LayerNorm", mlp_add="output.dense", end="output.LayerNorm",
               blocks="encoder.layer", embed="embeddings.word_embeddings", final=None)
BERT_SHAPE = dict(SHAPE, intermediate_size=D_FF, layer_norm_eps=EPS, hidden_dropout_prob=0.0,
                  attention_probs_dropout_prob=0.0)
family("bert", hf.BertConfig(**BERT_SHAPE, hidden_act="gelu_new"), BERT, encoder=True)
family(
    "modern-bert",
    hf.ModernBertConfig(**SHAPE, intermediate_size=D_FF, norm_eps=EPS, cls_token_id=0, sep_token_id=0,
                        layer_types=["full_attention",
                                     "sliding_attention"], local_attention=8, hidden_activation="gelu_new"),
    Modules(ln1=None, proj="attn.Wo", attn_add="attn", mid="mlp_norm", ln2="mlp_norm", blocks="layers",
            embed="embeddings.tok_embeddings", final="final_norm"), encoder=True, told=dict(layer_norm_eps=EPS))
family("eurobert", hf.EuroBertConfig(**dense(), classifier_pooling="mean"),
       Modules(blocks="layers", embed="embed_tokens", final="norm"), encoder=True)

family(
    "deepseek4",
    hf.DeepseekV4Config(
        **SHAPE, moe_intermediate_size=24, num_key_value_heads=1, head_dim=16, q_lora_rank=16, qk_rope_head_dim=8,
        num_experts_per_tok=EXPERTS_USED, n_routed_experts=EXPERTS, o_groups=2, o_lora_rank=8, rms_norm_eps=EPS,
        layer_types=["compressed_sparse_attention", "sliding_attention"], mlp_layer_types=["moe"] * 2, sliding_window=8,
        index_n_heads=4, index_head_dim=64, hc_sinkhorn_iters=4, num_nextn_predict_layers=0, rope_parameters=rope(),
        tie_word_embeddings=False),
    Modules(proj="self_attn.o_a_proj", attn_add="self_attn", mid="ffn_hc", router="mlp.gate", attn_hc="attn_hc",
            mlp_hc="ffn_hc", score=lambda logits: torch.nn.functional.softplus(logits).sqrt()),
    told=dict(compress_ratios=[4, 0], num_hash_layers=0, qk_rope_head_dim=8, rope_theta=10000.0))

# Whose recurrent states are kept, too: in NAME-states.safetensors.
WITH_STATES = {"mamba", "mamba2", "qwen35"}

# --- weights ---------------------------------------------------------------------------------------------------------


def family_weights(model: Model, name: str) -> Arrays:
    """As `new_weights`; what is neither a matrix, a norm nor a bias (rates of decay, steps) keeps the order of size
    that transformers begins it with."""
    torch.manual_seed(zlib.crc32(name.encode()))
    weights = {}
    for parameter, tensor in new_network(model, torch.float32).named_parameters():
        last = parameter.rpartition(".")[2]
        if last in ("A_log", "D", "dt_bias", "alpha_p", "alpha_n") or parameter.endswith("dt_proj.bias"):
            random = np.random.default_rng(zlib.crc32(f"{name}/{parameter}".encode()))
            start = tensor.detach().double().numpy()
            weights[parameter] = (start * random.uniform(0.8, 1.2, start.shape)).astype(np.float32)
        else:
            weights[parameter] = draw(model, name, parameter, tuple(tensor.shape)).astype(np.float32)
    return weights


# Classes that the converter knows under another name.
CONVERTERS_NAME = {"MptForCausalLM": "MPTForCausalLM"}

# Families whose converter knows their tensors by the names that they are published under only, and what of these
# transformers does not give back when it saves.
PUBLISHED = {"deepseek4": {"model.": "", "embed_tokens.": "embed.", "hc_head.hc_": "hc_head_", "attn.norm.": "attn.kv_norm."}}

# --- conversion ------------------------------------------------------------------------------------------------------


def convert(model: Model, name: str, weights: Arrays, path: pathlib.Path) -> None:
    """A folder as transformers saves it, through llama.cpp's converter, with our vocabulary of bytes."""
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    def published(tensor: str) -> str:
        for ours, theirs in PUBLISHED[name].items():
            tensor = tensor.replace(ours, theirs)
        return tensor

    network = new_network(model, torch.float32)
    with torch.no_grad():
        for parameter, tensor in network.named_parameters():
            tensor.copy_(torch.from_numpy(weights[parameter]))
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stderr(io.StringIO()), torch.inference_mode():
        folder = pathlib.Path(work, "golden")  # some of llama.cpp goes by the name
        network.save_pretrained(folder)
        vocabulary = {"model": {"vocab": {str(token): token for token in range(VOCAB)}}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))  # some count its tokens
        told = ModelBase.load_hparams(folder, False) | model.told
        told = {key: value for key, value in told.items() if value is not None or key not in model.told}
        architecture = get_model_architecture(told, ModelType.TEXT)
        kind = get_model_class(CONVERTERS_NAME.get(architecture, architecture))

        kind = getattr(kind, "Ministral3Model", kind)  # what does the work in that family

        class Converter(kind):
            model_arch = kind.model_arch
            no_mtp = True

            def index_tensors(self, *args, **kwargs):
                tensors = super().index_tensors(*args, **kwargs)
                return {published(key): value for key, value in tensors.items()} if name in PUBLISHED else tensors

            def _write_mxfp4_expert_tensor(self, bid: int, proj: str, tensor_key) -> list[str]:
                """DeepSeek 4's are published in four bits, and the converter knows no others: ours are whole."""
                names = [f"layers.{bid}.ffn.experts.{expert}.{proj}.weight" for expert in range(EXPERTS)]
                whole = np.stack([self.model_tensors[name]().numpy() for name in names])
                self.gguf_writer.add_tensor(self.format_tensor_name(tensor_key, bid), whole)
                return names

            def set_vocab(self) -> None:
                add_vocabulary(self.gguf_writer)
                if model.encoder:
                    self.gguf_writer.add_token_type_count(getattr(model.config, "type_vocab_size", 1))

        Converter(folder, gguf.LlamaFileType.ALL_F32, path, eager=True, hparams=told).write()


def record_states(model: Model, weights: Arrays, token_id: np.ndarray) -> Arrays:
    """What each recurrent layer carries on behind the sequence's last token, as transformers keeps it."""
    with in_float64(), torch.no_grad():
        network = new_network(model, torch.float64)
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
        cache = network(torch.from_numpy(token_id.astype(np.int64))[None], use_cache=True)
        cache = getattr(cache, "past_key_values", None) or cache.cache_params
        states = {
            f"blocks.{layer}.state": getattr(kept, "recurrent_states", {}).get(0)
            for layer, kept in enumerate(cache.layers)
        }
    return {name: state[0].numpy().astype(np.float32) for name, state in states.items() if state is not None}


def make_family(name: str, folder: pathlib.Path) -> None:
    model = FAMILIES[name]
    weights = family_weights(model, name)
    token_id, sites, worst = compute(name, model, weights, LENGTH)
    convert(model, name, weights, folder / f"{name}.gguf")
    write_golden(name, token_id, sites, worst, folder)
    if name in WITH_STATES:
        (folder / f"{name}-states.safetensors").write_bytes(
            safetensors.numpy.save(record_states(model, weights, token_id)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"only these of: {' '.join(FAMILIES)}")
    parser.add_argument("--converter", metavar="FOLDER", help="the source of llama.cpp's converter")
    args = parser.parse_args()
    hf.logging.set_verbosity_error()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    (HERE / "families").mkdir(exist_ok=True)
    for name in args.what or FAMILIES:
        make_family(name, HERE / "families")


if __name__ == "__main__":
    main()
