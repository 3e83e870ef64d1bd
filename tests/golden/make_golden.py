#!/usr/bin/env python3
"""Writes the numeric references of the tests: one small model folder a case.

    python3 tests/golden/make_golden.py [case ...]

Needs PyTorch and torchaudio (1.13 and 0.13 were used); nobody who builds, tests or uses
the library does.  README.md says what each file holds.  Expected values are computed in
float64 by reference_model.py and stored as float32.
"""
import argparse
import os
import pathlib
import sys

import torch

from model_files import (f16_grid, make_vocabulary, randomize, round_weights, save_golden,
                         torchaudio_model, write_model_folder)
from reference_model import ReferenceModel, normalize, relative_bucket

HERE = pathlib.Path(__file__).parent
FULL_STACK = {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
SHORT_STACK = {"conv_kernel": [10, 3, 2], "conv_stride": [5, 2, 2]}
CHEAP_STACK = {"conv_kernel": [6, 2], "conv_stride": [2, 2]}


def make_config(model_type, stack, channels, width, heads, inner, vocab, **fields):
    layers = len(stack["conv_kernel"])
    config = {
        "architectures": [{"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM",
                           "data2vec-audio": "Data2VecAudio"}[model_type] + "ForCTC"],
        "model_type": model_type, "conv_bias": False,
        "conv_dim": channels if isinstance(channels, list) else [channels] * layers, **stack,
        "do_stable_layer_norm": False, "feat_extract_activation": "gelu",
        "feat_extract_norm": "group", "hidden_act": "gelu", "hidden_size": width,
        "intermediate_size": inner, "layer_norm_eps": 1e-5, "num_attention_heads": heads,
        "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16,
        "num_feat_extract_layers": layers, "num_hidden_layers": 2, "pad_token_id": 0,
        "vocab_size": vocab}
    config.update(fields)
    return config


LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
BIAS = {"num_buckets": 320, "max_bucket_distance": 800}

# name: (config, samples of the two utterances, dtype of the weights, options)
CASES = {
    "w2v2_group_postln": (
        make_config("wav2vec2", FULL_STACK, 10, 16, 2, 32, 12),
        (3400, 2405), torch.bfloat16, {}),
    "w2v2_layer_preln": (
        make_config("wav2vec2", SHORT_STACK, 8, 16, 4, 24, 12, **LARGE, num_hidden_layers=1,
                    num_conv_pos_embeddings=128, num_conv_pos_embedding_groups=8),
        (601, 413), torch.bfloat16, {"do_normalize": True}),
    "hubert_group": (
        make_config("hubert", SHORT_STACK, 8, 16, 2, 24, 10, feat_proj_layer_norm=True,
                    num_conv_pos_embeddings=15),
        (700, 333), torch.bfloat16, {"do_normalize": True}),
    "hubert_layer_preln": (
        make_config("hubert", SHORT_STACK, 8, 16, 2, 24, 10, **LARGE,
                    feat_proj_layer_norm=True, num_conv_pos_embedding_groups=2),
        (640, 411), torch.bfloat16, {"do_normalize": True, "new_weight_norm_names": True}),
    "hubert_no_projection_norm": (
        make_config("hubert", SHORT_STACK, 8, 16, 2, 24, 10, **LARGE,
                    feat_proj_layer_norm=False, num_conv_pos_embedding_groups=8,
                    num_hidden_layers=1),
        (500, 301), torch.float32, {"do_normalize": True}),
    "data2vec_audio": (
        make_config("data2vec-audio", SHORT_STACK, 8, 16, 2, 24, 10,
                    feat_extract_norm="layer", num_conv_pos_embeddings=5,
                    conv_pos_kernel_size=19, num_conv_pos_embedding_groups=8),
        (600, 390), torch.bfloat16, {"do_normalize": True}),
    "wavlm_base": (
        make_config("wavlm", SHORT_STACK, 8, 16, 4, 20, 12, **BIAS),
        (560, 362), torch.bfloat16, {}),
    "wavlm_large": (
        make_config("wavlm", CHEAP_STACK, 8, 16, 2, 24, 10, **BIAS,
                    **{**LARGE, "conv_bias": False}),
        (388, 84), torch.bfloat16, {"do_normalize": True}),
    "odd_shapes": (
        make_config("wav2vec2", {"conv_kernel": [7, 3], "conv_stride": [4, 2]}, [10, 14],
                    21, 3, 26, 13, **{**LARGE, "conv_bias": False}, layer_norm_eps=1e-3,
                    num_conv_pos_embeddings=9, num_conv_pos_embedding_groups=7,
                    pad_token_id=12),
        (203, 67), torch.float16, {"do_normalize": True, "blank_is_last": True}),
}


def make_waveform(samples, generator):
    """A decaying, gliding tone in noise with a small offset, as 16-bit PCM that F16 holds."""
    t = torch.arange(samples, dtype=torch.float64) / 16000
    tone = 0.2 * torch.exp(-3 * t) * torch.sin(2 * torch.pi * (180 * t + 900 * t * t))
    noise = 0.05 * torch.randn(samples, generator=generator, dtype=torch.float64)
    return f16_grid(torch.round((tone + noise + 0.01) * 32768) / 32768)


def check_against_torchaudio(name, config, model, waveform):
    """True when torchaudio has this form and agrees to 1e-6 (in float64: to rounding)."""
    other = torchaudio_model(config, model.state_dict(), torch.float64)
    if other is None:
        return False
    features, hidden, logits = model(waveform)
    with torch.no_grad():
        theirs = {"extractor": other.feature_extractor(waveform[None], None)[0][0],
                  "logits": other(waveform[None])[0][0]}
        states = other.extract_features(waveform[None])[0]
    ours = {"extractor": features, "logits": logits}
    # torchaudio's intermediate outputs lack the final norm of the pre-norm form
    last = len(states) - 1 if config["do_stable_layer_norm"] else len(states)
    for i in range(last):
        ours[f"hidden.{i + 1}"], theirs[f"hidden.{i + 1}"] = hidden[i + 1], states[i][0]
    for key, value in ours.items():
        worst = (value - theirs[key]).abs().max().item()
        assert worst < 1e-6, f"{name}: {key} differs from torchaudio by {worst}"
    return True


def check_buckets():
    """float32 and float64 logarithms must choose the same buckets where we test them."""
    distance = torch.arange(-400, 401)
    ours = relative_bucket(distance, 320, 800)
    size = distance.abs().double().clamp(min=80)
    log_part = torch.log(size / 80) / torch.log(torch.tensor(10.0, dtype=torch.float64)) * 80
    exact = torch.where(distance.abs() < 80, distance.abs(), 80 + log_part.long())
    assert torch.equal(ours, exact + 160 * (distance > 0).long())


def make_case(name):
    config, lengths, dtype, options = CASES[name]
    options = dict(options)
    do_normalize = options.pop("do_normalize", False)
    generator = torch.Generator().manual_seed(list(CASES).index(name) + 1)
    model = ReferenceModel(config).double().eval()
    randomize(model, generator)
    round_weights(model)
    folder = HERE / name
    write_model_folder(folder, config, model, dtype, do_normalize, **options)

    golden, frames, inputs, verified = {}, [], [], False
    for i, samples in enumerate(lengths):
        waveform = make_waveform(samples, generator)
        network_input = normalize(waveform) if do_normalize else waveform.clone()
        inputs.append(network_input.detach())
        network_input.requires_grad_(True)
        features, hidden, logits = model(network_input)
        verified = check_against_torchaudio(name, config, model, inputs[i])
        seed = torch.randn(logits.shape, generator=generator).bfloat16().double()
        ((logits * seed).sum() / 1000).backward()
        frames.append(logits.shape[0])
        golden[f"input.{i}"] = waveform
        golden[f"extractor.{i}"] = features
        for level, state in enumerate(hidden):
            golden[f"hidden.{i}.{level}"] = state
        golden[f"logits.{i}"] = logits
        golden[f"seed_grad.{i}"] = seed
        if samples < 2000:
            golden[f"grad_input.{i}"] = network_input.grad
    for key, parameter in sorted(model.named_parameters()):
        golden["grad." + key] = parameter.grad
    save_golden(folder / "golden.safetensors", {k: v.float() for k, v in golden.items()},
                {"case": name})
    worst = check_float32(name, config, golden, model, do_normalize)
    check_gradient(name, golden, model, inputs)
    return model, verified, frames, worst


def check_gradient(name, golden, model, network_inputs):
    """The stored gradients against one central difference along a random direction."""
    generator = torch.Generator().manual_seed(99)
    parameters = sorted(model.named_parameters())
    steps = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for _, p in parameters]
    losses, step = [], 1e-5
    with torch.no_grad():
        for sign in (1, -2, 1):  # forward, backward, and home again
            for (_, parameter), direction in zip(parameters, steps):
                parameter += sign * step * direction
            losses.append(sum((model(x)[2] * golden[f"seed_grad.{i}"] / 1000).sum().item()
                              for i, x in enumerate(network_inputs)))
    numeric = (losses[0] - losses[1]) / (2 * step)
    analytic = sum((golden["grad." + key] * direction).sum().item()
                   for (key, _), direction in zip(parameters, steps))
    assert abs(numeric - analytic) < 1e-6 * (1 + abs(analytic)), (name, numeric, analytic)


def check_float32(name, config, golden, model, do_normalize):
    """float32 arithmetic must meet the tolerances of README.md with room to spare."""
    plain = ReferenceModel(config).eval()
    plain.load_state_dict(model.state_dict())
    worst = {"extractor": 0.0, "hidden": 0.0, "logits": 0.0, "grad": 0.0}
    for i in range(2):
        waveform = golden[f"input.{i}"].float()
        features, hidden, logits = plain(normalize(waveform) if do_normalize else waveform)
        (logits * golden[f"seed_grad.{i}"].float() / 1000).sum().backward()
        pairs = [("extractor", features, golden[f"extractor.{i}"]),
                 ("logits", logits, golden[f"logits.{i}"])]
        pairs += [("hidden", h, golden[f"hidden.{i}.{k}"]) for k, h in enumerate(hidden)]
        for kind, found, expected in pairs:
            scale = expected.abs().max() if kind == "extractor" else 1.0
            worst[kind] = max(worst[kind], ((found - expected).abs().max() / scale).item())
    largest = max(v.abs().max() for k, v in golden.items() if k.startswith("grad."))
    for key, parameter in plain.named_parameters():
        expected = golden["grad." + key]
        scale = torch.maximum(expected.abs().max(), 1e-3 * largest)
        difference = (parameter.grad - expected).abs().max()
        worst["grad"] = max(worst["grad"], (difference / scale).item())
    limits = {"extractor": 1e-5, "hidden": 1e-4, "logits": 1e-3, "grad": 1e-3}
    for kind, limit in limits.items():
        assert worst[kind] < limit / 2, f"{name}: {kind} in float32 is off by {worst[kind]}"
    return worst


def fairseq_names(state):
    """Parameter name -> name in a pretrained fairseq model."""
    table = [("feature_projection.layer_norm", "layer_norm"),
             ("feature_projection.projection", "post_extract_proj"),
             ("encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
             (".attention.", ".self_attn."),
             ("feed_forward.intermediate_dense", "fc1"),
             ("feed_forward.output_dense", "fc2")]
    names = {}
    for name in state:
        new = name
        for old, replacement in table:
            new = new.replace(old, replacement)
        parts = name.split(".")
        if parts[0] == "feature_extractor":
            is_norm = parts[3] == "layer_norm"
            new = ".".join(parts[:3] + ["2" if is_norm else "0", parts[4]])
        elif parts[:2] == ["encoder", "layers"] and parts[3] == "layer_norm":
            new = name.replace("layer_norm", "self_attn_layer_norm")
        names[name] = new
    return names


def fairseq_model_fields(config):
    layers = list(zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"]))
    return {"extractor_mode": "default", "encoder_layers": config["num_hidden_layers"],
            "encoder_embed_dim": config["hidden_size"],
            "encoder_ffn_embed_dim": config["intermediate_size"],
            "encoder_attention_heads": config["num_attention_heads"],
            "activation_fn": "gelu", "layer_norm_first": False, "conv_bias": False,
            "conv_feature_layers": f"[{layers[0]}] + [{layers[1]}] * 4 + [{layers[5]}] * 2",
            "conv_pos": config["num_conv_pos_embeddings"],
            "conv_pos_groups": config["num_conv_pos_embedding_groups"],
            "feature_grad_mult": 0.1, "dropout": 0.1, "encoder_layerdrop": 0.05,
            "quantize_targets": True, "final_dim": 8, "latent_vars": 4, "latent_groups": 2}


def write_fairseq_variants(config, model):
    """The weights of w2v2_group_postln as fairseq files of 2021 (zip) and 2020 (legacy)."""
    folder = HERE / "w2v2_group_postln_fairseq"
    folder.mkdir(exist_ok=True)
    state = {k: v for k, v in model.state_dict().items()}
    names = fairseq_names(state)
    fields = fairseq_model_fields(config)
    tuned, pretrained = {}, {}
    for name, value in state.items():
        if name.startswith("lm_head"):
            tuned["w2v_encoder." + name.replace("lm_head", "proj")] = value.half()
        else:
            tuned["w2v_encoder.w2v_model." + names[name]] = value.half()
            pretrained[names[name]] = value.float()
    mask = torch.linspace(-1, 1, config["hidden_size"])
    tuned["w2v_encoder.w2v_model.mask_emb"] = mask.half()
    pretrained["mask_emb"] = mask
    for name, shape in {"quantizer.vars": (1, 8, 4), "quantizer.weight_proj.weight": (8, 10),
                        "quantizer.weight_proj.bias": (8,), "project_q.weight": (8, 8),
                        "project_q.bias": (8,), "final_proj.weight": (8, 16),
                        "final_proj.bias": (8,)}.items():
        pretrained[name] = torch.full(shape, 0.25)

    task = {"_name": "audio_pretraining", "data": "/data/manifest", "labels": "ltr",
            "normalize": False, "sample_rate": 16000}
    cfg = {"_name": None, "common": {"_name": None, "fp16": True, "seed": 1},
           "model": {"_name": "wav2vec_ctc", "w2v_path": "/data/wav2vec_small.pt",
                     "normalize": False, "blank_weight": 0.0, "mask_prob": 0.65,
                     "w2v_args": {"_name": None, "task": {**task, "labels": None},
                                  "model": {"_name": "wav2vec2", **fields}}},
           "task": task, "criterion": {"_name": "ctc", "zero_infinity": True}}
    optimizer = [{"criterion_name": "CtcCriterion", "optimizer_name": "FairseqAdam",
                  "lr_scheduler_state": {"best": None}, "num_updates": 20000}]
    torch.save({"args": None, "cfg": cfg, "model": tuned, "criterion": None,
                "optimizer_history": optimizer, "task_state": {},
                "extra_state": {"epoch": 1, "val_loss": 0.5}, "last_optimizer_state": None},
               folder / "finetuned_zip.pt")
    args = argparse.Namespace(arch="wav2vec2", task="audio_pretraining", normalize=False,
                              sample_rate=16000, criterion="wav2vec", max_update=400000,
                              lr=[0.0005], **fields)
    torch.save({"args": args, "model": pretrained, "optimizer_history": optimizer,
                "extra_state": {"epoch": 1}, "last_optimizer_state": None},
               folder / "pretrained_legacy.pt", _use_new_zipfile_serialization=False)
    labels = list(make_vocabulary(config["vocab_size"], False))[4:]
    (folder / "dict.ltr.txt").write_text(
        "".join(f"{label} {1000 - 7 * i}\n" for i, label in enumerate(labels)))


def main():
    torch.set_num_threads(1)
    # In PyTorch 1.13 oneDNN's float32 GELU backward is wrong for a transposed gradient.
    torch.backends.mkldnn.set_flags(False)
    check_buckets()
    for name in sys.argv[1:] or CASES:
        model, verified, frames, worst = make_case(name)
        if name == "w2v2_group_postln":
            write_fairseq_variants(CASES[name][0], model)
        size = sum(f.stat().st_size for f in (HERE / name).iterdir())
        source = "equals torchaudio" if verified else "reference only"
        errors = " ".join(f"{kind} {value:.1e}" for kind, value in worst.items())
        print(f"{name:26s} {size:7d} bytes  frames {frames}  {source}; float32: {errors}")
    total = sum(os.path.getsize(os.path.join(root, file)) for root, _, files in os.walk(HERE)
                for file in files if "__pycache__" not in root)
    print(f"all files: {total} bytes")
    assert total < 1000000, "the fixtures must stay below 1 MB"


if __name__ == "__main__":
    main()
