"""Random "trained-like" weights and the files of a Hugging Face model folder.

Shared by make_golden.py and full_size.py: the safetensors writer, weights whose scales
resemble those of trained models, the comparison model of torchaudio.
"""
import json
import math
import os
import struct

import torch
import torchaudio

from reference_model import FAMILY_PREFIX

DTYPE_NAME = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
LETTERS = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"


def save_safetensors(path, tensors, metadata):
    """tensors: name -> tensor.  Data in the order of the dict, header padded to 8."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPE_NAME[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text.encode())
        for tensor in tensors.values():
            raw = tensor.detach().contiguous()
            if raw.element_size() == 2:
                raw = raw.view(torch.int16)
            file.write(raw.numpy().tobytes())


def save_golden(path, tensors, metadata):
    """Expected values: what F16 holds exactly is stored so; test_golden_open widens it."""
    def smallest(tensor):
        if tensor.dtype != torch.float32 or not torch.equal(tensor.half().float(), tensor):
            return tensor
        return tensor.half()
    stored = {name: smallest(tensor) for name, tensor in tensors.items()}
    # The widest first, so that all are aligned.
    order = sorted(stored, key=lambda name: -stored[name].element_size())
    save_safetensors(path, {name: stored[name] for name in order}, metadata)


def f16_grid(tensor):
    """Inputs drawn at random, rounded so that save_golden takes half the bytes."""
    return tensor.half().to(tensor.dtype)


def randomize(model, generator):
    """Fills every parameter with values of trained-like scale."""

    def normal(shape, std, mean=0.0):
        return torch.randn(shape, generator=generator, dtype=torch.float64) * std + mean

    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if "layer_norm" in name:
            is_gain = name.endswith("weight")
            value = normal(shape, 0.2, 1.0).abs() if is_gain else normal(shape, 0.15)
        elif name.endswith("weight_g"):
            # equal taps of a whole kernel with std sqrt(4 / (kernel * width)) have this norm
            width, inputs, kernel = dict(model.named_parameters())[
                name[:-1] + "v"].shape
            value = normal(shape, 0.3, 1.0).abs() * math.sqrt(4 * inputs / kernel)
        elif name.endswith("gru_rel_pos_const"):
            value = normal(shape, 0.3, 1.0)
        elif name.endswith("rel_attn_embed.weight"):
            value = normal(shape, 0.5)
        elif name.endswith("bias"):
            value = normal(shape, 0.1)
        else:
            fan_in = shape[1:].numel()
            gain = 1.4 if "conv" in name or "q_proj" in name or "k_proj" in name else 1.0
            value = normal(shape, gain / math.sqrt(fan_in))
        parameter.data = value.to(parameter.dtype)


def round_weights(model):
    """Values that bf16, fp16 and fp32 all hold exactly, so that storage is a free choice."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().half().to(parameter.dtype)
        assert torch.equal(parameter.data, parameter.data.bfloat16().to(parameter.dtype))


def torchaudio_model(config, state, dtype):
    """torchaudio's model with the same parameters; None where it has no such form."""
    if config["model_type"] not in ("wav2vec2", "hubert"):
        return None
    if not config.get("feat_proj_layer_norm", True):
        return None
    model = torchaudio.models.wav2vec2_model(
        extractor_mode=config["feat_extract_norm"] + "_norm",
        extractor_conv_layer_config=list(zip(config["conv_dim"], config["conv_kernel"],
                                             config["conv_stride"])),
        extractor_conv_bias=config["conv_bias"],
        encoder_embed_dim=config["hidden_size"],
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=config["num_conv_pos_embeddings"],
        encoder_pos_conv_groups=config["num_conv_pos_embedding_groups"],
        encoder_num_layers=config["num_hidden_layers"],
        encoder_num_heads=config["num_attention_heads"],
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=config["intermediate_size"],
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=config["do_stable_layer_norm"],
        encoder_layer_drop=0.0,
        aux_num_out=config["vocab_size"])
    renamed = {}
    for name, value in state.items():
        name = name.replace("feature_projection.", "encoder.feature_projection.")
        if name.startswith(("encoder.pos", "encoder.layer")):
            name = name.replace("encoder.", "encoder.transformer.", 1)
        renamed[name.replace("lm_head.", "aux.")] = value
    model = model.to(dtype).eval()
    model.load_state_dict(renamed)
    # torchaudio knows only eps 1e-5
    for norm in model.encoder.modules():
        if isinstance(norm, torch.nn.LayerNorm):
            norm.eps = config["layer_norm_eps"]
    return model


def make_vocabulary(size, blank_is_last):
    """Label -> id: specials first and the blank <pad> at 0, or letters first and [UNK],
    [PAD] last as in many user-made models."""
    if blank_is_last:
        labels = list("|" + LETTERS[:size - 3]) + ["[UNK]", "[PAD]"]
    else:
        labels = ["<pad>", "<s>", "</s>", "<unk>", "|"] + list(LETTERS[:size - 5])
    assert len(labels) == size
    return {label: i for i, label in enumerate(labels)}


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def stored_names(config, state, new_weight_norm_names):
    """Parameter name -> name in the file of the ForCTC class."""
    names = {}
    for name in state:
        stored = name if name.startswith("lm_head") else (
            FAMILY_PREFIX[config["model_type"]] + name)
        if new_weight_norm_names:
            stored = stored.replace("conv.weight_g", "conv.parametrizations.weight.original0")
            stored = stored.replace("conv.weight_v", "conv.parametrizations.weight.original1")
        names[name] = stored
    return names


def write_model_folder(folder, config, model, dtype, do_normalize, blank_is_last=False,
                       new_weight_norm_names=False):
    os.makedirs(folder, exist_ok=True)
    state = model.state_dict()
    names = stored_names(config, state, new_weight_norm_names)
    tensors = {names[k]: v.to(dtype) for k, v in sorted(state.items())}
    if config["model_type"] != "wavlm":  # one model without the unused embedding
        generator = torch.Generator().manual_seed(7)
        mask = torch.rand(config["hidden_size"], generator=generator).bfloat16()
        tensors[FAMILY_PREFIX[config["model_type"]] + "masked_spec_embed"] = mask.to(dtype)
    save_safetensors(os.path.join(folder, "model.safetensors"), tensors, {"format": "pt"})
    write_json(os.path.join(folder, "config.json"), config)
    write_json(os.path.join(folder, "vocab.json"),
               make_vocabulary(config["vocab_size"], blank_is_last))
    write_json(os.path.join(folder, "preprocessor_config.json"), {
        "do_normalize": do_normalize, "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": config["feat_extract_norm"] == "layer",
        "sampling_rate": 16000})
