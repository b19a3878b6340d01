"""The tiny models by name: MODELS."""
from collections.abc import Callable

import gguf
import transformers

from recording import *

def rope(theta: float = 10000.0, partial: float = 1.0) -> dict:
    return {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": partial}


SHAPE = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
             max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0, pad_token_id=None)
GPT2_NAMES = dict(ln1="ln_1", proj="attn.c_proj", attn_add="attn.c_proj", mid="ln_2", ln2="ln_2",
                  blocks="transformer.h", embed="transformer.wte", final="transformer.ln_f")


def common_keys(d_ff: int, rms: bool = True, d_rope: int | None = None, theta: float = 10000.0,
                more: Callable[[gguf.GGUFWriter], None] | None = None) -> Callable[[gguf.GGUFWriter], None]:
    def keys(writer: gguf.GGUFWriter) -> None:
        writer.add_feed_forward_length(d_ff)
        (writer.add_layer_norm_rms_eps if rms else writer.add_layer_norm_eps)(EPS)
        if d_rope:
            writer.add_rope_dimension_count(d_rope)
            writer.add_rope_freq_base(theta)
        if more:
            more(writer)
    return keys


def llama() -> Model:
    """Grouped-query attention, RoPE, RMSNorm, SwiGLU."""
    kv_heads, d_ff = 2, 80
    return Model(
        "llama", transformers.LlamaConfig(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, rope_parameters=rope()),
        Modules(), common_keys(d_ff, d_rope=WIDTH // HEADS), kv_heads, adjacent_pairs(kv_heads))


def gpt2() -> Model:
    """Learned positions, LayerNorm, biases, GELU, embedding tied to the output."""
    return Model(
        "gpt2", transformers.GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS,
                                        n_head=HEADS, layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
        Modules(**GPT2_NAMES, pos_embed="transformer.wpe"), common_keys(4 * WIDTH, rms=False),
        convert=transpose_conv1d)


def gptneox() -> Model:
    """Parallel residual with a norm for each branch, RoPE on half of each head."""
    d_ff = 4 * WIDTH
    # Real ones have the exact GELU; llama.cpp computes the tanh form for them all, so this one asks for that.
    return Model(
        "gptneox", transformers.GPTNeoXConfig(**SHAPE, intermediate_size=d_ff, layer_norm_eps=EPS,
                                              hidden_act="gelu_new", use_parallel_residual=True,
                                              rope_parameters=rope(partial=0.5), tie_word_embeddings=False),
        Modules(proj="attention.dense", attn_add="attention.dense", mid=None, blocks="gpt_neox.layers",
                embed="gpt_neox.embed_in", final="gpt_neox.final_layer_norm"),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS // 2,
                    more=lambda writer: writer.add_parallel_residual(True)),
        convert=split_fused_heads)


def olmo2() -> Model:
    """Norms after attention and MLP only, and over all queries and all keys."""
    kv_heads, d_ff = 2, 80
    return Model(
        "olmo2", transformers.Olmo2Config(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, rope_parameters=rope(), tie_word_embeddings=False),
        Modules(ln1=None, attn_add="post_attention_layernorm", mid="mlp", ln2=None,
                mlp_add="post_feedforward_layernorm"),
        common_keys(d_ff, d_rope=WIDTH // HEADS), kv_heads)


GEMMA_NAMES = dict(attn_add="post_attention_layernorm", mid="pre_feedforward_layernorm",
                   ln2="pre_feedforward_layernorm", mlp_add="post_feedforward_layernorm")
WIDE_HEAD = 12  # HEADS * WIDE_HEAD != WIDTH, so z is wider than the stream
WINDOW = 16  # shorter than the sequence, so that the sliding window matters


def wide_heads(writer: gguf.GGUFWriter) -> None:
    writer.add_key_length(WIDE_HEAD)
    writer.add_value_length(WIDE_HEAD)


def gemma2() -> Model:
    """Norms before and after both branches, scaled embedding, soft caps, every other layer windowed."""
    kv_heads, d_ff, attention_cap, logit_cap = 2, 80, 4.0, 6.0  # low caps, so that they bend something

    def keys(writer: gguf.GGUFWriter) -> None:
        wide_heads(writer)
        writer.add_attn_logit_softcapping(attention_cap)
        writer.add_final_logit_softcapping(logit_cap)
        writer.add_sliding_window(WINDOW)

    return Model(
        "gemma2", transformers.Gemma2Config(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS, head_dim=WIDE_HEAD,
            query_pre_attn_scalar=WIDE_HEAD, attn_logit_softcapping=attention_cap,
            final_logit_softcapping=logit_cap, sliding_window=WINDOW, rope_parameters=rope()),
        Modules(**GEMMA_NAMES), common_keys(d_ff, d_rope=WIDE_HEAD, more=keys), kv_heads, add_one_to_norms,
        norm_centre=0.0, embed_std=WIDTH ** -0.5)


def gemma3() -> Model:
    """Like gemma2 without caps; norms over each head's query and key; two RoPE bases."""
    kv_heads, d_ff, theta, window_theta = 2, 80, 1e6, 1e4
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]  # [LAYERS]

    def keys(writer: gguf.GGUFWriter) -> None:
        wide_heads(writer)
        writer.add_sliding_window(WINDOW)
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])
        writer.add_rope_freq_base_swa(window_theta)

    return Model(
        "gemma3", transformers.Gemma3TextConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS, head_dim=WIDE_HEAD,
            query_pre_attn_scalar=WIDE_HEAD, sliding_window=WINDOW, layer_types=kinds,
            rope_parameters={"full_attention": rope(theta), "sliding_attention": rope(window_theta)}),
        Modules(**GEMMA_NAMES), common_keys(d_ff, d_rope=WIDE_HEAD, theta=theta, more=keys), kv_heads,
        add_one_to_norms, norm_centre=0.0, embed_std=WIDTH ** -0.5)


def lfm2() -> Model:
    """A hybrid: attention in the layers around one of gated short convolution, whose last inputs are its state."""
    kv_heads, d_ff, length = 2, 80, 3
    kinds = ["full_attention", "conv", "full_attention"]  # [LAYERS]

    def keys(writer: gguf.GGUFWriter) -> None:
        writer.add_vocab_size(VOCAB)
        writer.add_shortconv_l_cache(length)

    return Model(
        "lfm2", transformers.Lfm2Config(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, block_auto_adjust_ff_dim=False,
            norm_eps=EPS, conv_L_cache=length, layer_types=kinds, rope_parameters=rope()),
        Modules(ln1="operator_norm", proj="self_attn.out_proj", attn_add="self_attn.out_proj", mid="ffn_norm",
                ln2="ffn_norm", mlp_add="feed_forward", mixer_add="conv", final="model.embedding_norm"),
        common_keys(d_ff, d_rope=WIDTH // HEADS, more=keys),
        [kv_heads if kind == "full_attention" else 0 for kind in kinds],
        lambda name, array: array[:, 0] if name.endswith("conv.conv.weight") else array)


def experts(writer: gguf.GGUFWriter) -> None:
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(EXPERTS_USED)


def mixtral() -> Model:
    """Mixture of experts, the chosen gates made to add up to one. llama.cpp runs it as a `llama`."""
    kv_heads, d_ff = 2, 24
    return Model(
        "llama", transformers.MixtralConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            num_local_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED, rope_parameters=rope()),
        Modules(router="mlp.gate"), common_keys(d_ff, d_rope=WIDTH // HEADS, more=experts), kv_heads,
        adjacent_pairs(kv_heads))


def qwen2moe() -> Model:
    """Mixture of experts with a gated shared expert, gates as they are; biases on q, k and v."""
    kv_heads, d_ff, d_expert, d_shared = 2, 80, 24, 40

    def keys(writer: gguf.GGUFWriter) -> None:
        experts(writer)
        writer.add_expert_feed_forward_length(d_expert)
        writer.add_expert_shared_feed_forward_length(d_shared)

    return Model(
        "qwen2moe", transformers.Qwen2MoeConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            moe_intermediate_size=d_expert, shared_expert_intermediate_size=d_shared, num_experts=EXPERTS,
            num_experts_per_tok=EXPERTS_USED, decoder_sparse_step=1, norm_topk_prob=False, rope_parameters=rope()),
        Modules(router="mlp.gate"), common_keys(d_ff, d_rope=WIDTH // HEADS, more=keys), kv_heads)


def cohere() -> Model:
    """Parallel residual, both branches fed by one norm without bias."""
    kv_heads, d_ff, logit_scale = 2, 80, 0.25
    return Model(
        "command-r", transformers.CohereConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, layer_norm_eps=EPS,
            logit_scale=logit_scale, use_qk_norm=False, rope_parameters=rope()),
        Modules(mid=None, ln2=None),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS, more=lambda writer: writer.add_logit_scale(logit_scale)),
        kv_heads)  # RoPE pairs are adjacent in transformers too


def granite() -> Model:
    """A llama whose embedding, branches, attention and logits are scaled."""
    # Exact in float32.
    kv_heads, d_ff, embedding, residual, attention, logit = 2, 80, 3.0, 0.375, 0.25, 2.0

    def keys(writer: gguf.GGUFWriter) -> None:
        writer.add_embedding_scale(embedding)
        writer.add_residual_scale(residual)
        writer.add_attention_scale(attention)
        writer.add_logit_scale(logit)

    return Model(
        "granite", transformers.GraniteConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            embedding_multiplier=embedding, residual_multiplier=residual, attention_multiplier=attention,
            logits_scaling=logit, rope_parameters=rope(), tie_word_embeddings=True),
        Modules(scale=residual), common_keys(d_ff, d_rope=WIDTH // HEADS, more=keys), kv_heads,
        adjacent_pairs(kv_heads), embed_std=0.3)


def qwen3() -> Model:
    """Norms over each head's query and key; heads wider than the stream divided by their number."""
    kv_heads, d_ff = 2, 80
    return Model(
        "qwen3", transformers.Qwen3Config(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, head_dim=WIDE_HEAD, rope_parameters=rope()),
        Modules(), common_keys(d_ff, d_rope=WIDE_HEAD, more=wide_heads), kv_heads)


def phi2() -> Model:
    """Parallel residual, both branches fed by one LayerNorm, biases everywhere, RoPE on half of each head."""
    d_ff = 4 * WIDTH
    return Model(
        "phi2", transformers.PhiConfig(**SHAPE, num_key_value_heads=HEADS, intermediate_size=d_ff,
                                       layer_norm_eps=EPS, hidden_act="gelu_new", rope_parameters=rope(partial=0.5)),
        Modules(proj="self_attn.dense", attn_add="self_attn.dense", mid=None, ln2=None,
                final="model.final_layernorm"),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS // 2))


def bloom() -> Model:
    """ALiBi, LayerNorm on the embedding."""
    # transformers' attention and MLP modules add the residual themselves, so what they add is their last matrix's.
    return Model(
        "bloom", transformers.BloomConfig(vocab_size=VOCAB, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS,
                                          layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
        Modules(proj="self_attention.dense", attn_add="self_attention.dense", mlp_add="mlp.dense_4h_to_h",
                blocks="transformer.h", embed="transformer.word_embeddings", final="transformer.ln_f"),
        common_keys(4 * WIDTH, rms=False), convert=split_fused_heads)


MODELS = {function.__name__: function for function in (
    llama, gpt2, gptneox, olmo2, gemma2, mixtral, cohere, granite, qwen3, phi2, bloom, gemma3, qwen2moe, lfm2)}
