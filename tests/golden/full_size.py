#!/usr/bin/env python3
"""Writes a random model of full size, with reference outputs, for parity and benchmarks.

    python3 tests/golden/full_size.py FOLDER --model base [--wav FILE | --seconds 10]

FOLDER becomes a Hugging Face model folder in float32 (base: 380 MB, large: 1.3 GB,
hubert-xlarge: 3.9 GB) with reference.safetensors: "input.0", "extractor.0",
"hidden.0.L" of every layer and "logits.0", as in golden.safetensors, computed by
torchaudio in float32 (--double: in float64, the better reference for parity).
Not part of the test run.
"""
import argparse
import os
import time

import torch
import torchaudio

from make_golden import FULL_STACK, LARGE, make_config, make_waveform
from model_files import (randomize, save_safetensors, torchaudio_model, write_model_folder)
from reference_model import ReferenceModel, normalize


def full_config(family, width, heads, inner, layers, **fields):
    return make_config(family, FULL_STACK, 512, width, heads, inner, 32,
                       num_hidden_layers=layers, num_conv_pos_embeddings=128,
                       num_conv_pos_embedding_groups=16, **fields)


# name: (config, do_normalize)
MODELS = {
    "base": (full_config("wav2vec2", 768, 12, 3072, 12), True),
    "large": (full_config("wav2vec2", 1024, 16, 4096, 24, **LARGE), True),
    "hubert-base": (full_config("hubert", 768, 12, 3072, 12), True),
    "hubert-large": (full_config("hubert", 1024, 16, 4096, 24, **LARGE), True),
    "hubert-xlarge": (full_config("hubert", 1280, 16, 5120, 48, **LARGE), True),
}


def load_waveform(path):
    waveform, rate = torchaudio.load(path)
    if rate != 16000:
        raise SystemExit(f"{path}: expected 16000 Hz, found {rate}")
    return waveform.mean(dim=0)


def read_waveform(arguments, generator):
    if arguments.wav:
        return load_waveform(arguments.wav)
    return make_waveform(int(arguments.seconds * 16000), generator).float()


def encode(model, config, features):
    """All hidden states [1, T, D], from the extractor's output."""
    transformer = model.encoder.transformer
    hidden = [transformer._preprocess(model.encoder.feature_projection(features))]
    for layer in transformer.layers:
        hidden.append(layer(hidden[-1]))
    if config["do_stable_layer_norm"]:
        hidden[-1] = transformer.layer_norm(hidden[-1])
    return hidden


def reference_hidden(model, config, waveform, do_normalize):
    """All hidden states [T, D] that torchaudio's model gives for a waveform."""
    x = (normalize(waveform) if do_normalize else waveform)[None]
    with torch.no_grad():
        features = model.feature_extractor(x, None)[0]
        return [h[0] for h in encode(model, config, features)]


def reference_outputs(config, state, waveform, do_normalize, dtype):
    model = torchaudio_model(config, {k: v.to(dtype) for k, v in state.items()}, dtype)
    x = waveform.to(dtype)
    x = (normalize(x) if do_normalize else x)[None]
    with torch.no_grad():
        start = time.perf_counter()
        features = model.feature_extractor(x, None)[0]
        middle = time.perf_counter()
        hidden = encode(model, config, features)
        logits = model.aux(hidden[-1])
        end = time.perf_counter()
        assert torch.equal(logits, model(x)[0])
    print(f"torchaudio, {torch.get_num_threads()} threads, {dtype}: extractor "
          f"{middle - start:.3f} s, encoder and head {end - middle:.3f} s")
    golden = {"input.0": waveform, "extractor.0": features[0], "logits.0": logits[0]}
    golden.update({f"hidden.0.{i}": h[0] for i, h in enumerate(hidden)})
    return {k: v.float() for k, v in golden.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--model", choices=MODELS, default="base")
    parser.add_argument("--wav", help="16 kHz audio file instead of a synthetic signal")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--double", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config, do_normalize = MODELS[arguments.model]
    generator = torch.Generator().manual_seed(arguments.seed)
    model = ReferenceModel(config).eval()
    randomize(model, generator)
    write_model_folder(arguments.folder, config, model, torch.float32, do_normalize)
    dtype = torch.float64 if arguments.double else torch.float32
    golden = reference_outputs(config, model.state_dict(), read_waveform(arguments, generator),
                               do_normalize, dtype)
    save_safetensors(os.path.join(arguments.folder, "reference.safetensors"), golden,
                     {"case": arguments.model})


if __name__ == "__main__":
    main()
