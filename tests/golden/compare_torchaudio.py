#!/usr/bin/env python3
"""Compares a model folder that s3r wrote with torchaudio's model of the same weights.

    python3 tests/golden/compare_torchaudio.py [--s3r build/release/s3r] FOLDER [CLIP ...]

Every hidden state of `s3r features --layer all` against torchaudio in float32 (bf16 and f16
weights are widened, which is exact, on both sides), on the clips of tests/data/speech when
none are named.  Prints the largest difference of each clip; above --limit it fails.  HuBERT
and wav2vec 2.0 alone: torchaudio has no others.  Not part of the test run.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy
import torch

from full_size import load_waveform, reference_hidden
from model_files import torchaudio_model
from reference_model import FAMILY_PREFIX

HERE = pathlib.Path(__file__).parent
STORED = {"F32": (numpy.float32, None), "F16": (numpy.float16, None),
          "BF16": (numpy.int16, torch.bfloat16)}


def read_safetensors(path):
    """name -> float32 tensor."""
    raw = path.read_bytes()
    length, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        stored, shown = STORED[entry["dtype"]]
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensor = torch.from_numpy(numpy.frombuffer(raw[start:end], stored).copy())
        tensor = tensor.view(shown) if shown else tensor
        tensors[name] = tensor.reshape(entry["shape"]).float()
    return tensors


def read_model(folder):
    """The configuration, and the encoder's parameters under the names of the reference."""
    config = json.loads((folder / "config.json").read_text())
    prefix = FAMILY_PREFIX[config["model_type"]]
    state = {}
    for name, tensor in read_safetensors(folder / "model.safetensors").items():
        name = name[len(prefix):] if name.startswith(prefix) else name
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        if name.startswith(("feature_extractor.", "feature_projection.", "encoder.")):
            state[name] = tensor
    # torchaudio wants a head; hidden states do not depend on it.
    config["vocab_size"] = 1
    state["lm_head.weight"] = torch.zeros(1, config["hidden_size"])
    state["lm_head.bias"] = torch.zeros(1)
    return config, state


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("clips", nargs="*", type=pathlib.Path)
    parser.add_argument("--s3r", default="build/release/s3r")
    parser.add_argument("--limit", type=float, default=1e-3)
    arguments = parser.parse_args()
    clips = arguments.clips or sorted((HERE.parent / "data/speech").glob("*.g722"))
    config, state = read_model(arguments.folder)
    preprocessor = json.loads((arguments.folder / "preprocessor_config.json").read_text())
    model = torchaudio_model(config, state, torch.float32)
    if model is None:
        sys.exit(f"{arguments.folder}: torchaudio has no such form")
    worst = 0.0
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for clip in clips:
            subprocess.run([arguments.s3r, "features", "-q", "-m", arguments.folder, "--layer",
                            "all", "-o", work, clip], check=True)
            hidden = reference_hidden(model, config, load_waveform(str(clip)),
                                      preprocessor["do_normalize"])
            differences = []
            for layer, expected in enumerate(hidden):
                found = torch.from_numpy(numpy.load(work / f"{clip.stem}.{layer}.npy"))
                if found.shape != expected.shape:
                    sys.exit(f"{clip}: layer {layer}: expected {list(expected.shape)}, "
                             f"found {list(found.shape)}")
                differences.append(float((found - expected).abs().max()))
            if (work / f"{clip.stem}.{len(hidden)}.npy").exists():
                sys.exit(f"{clip}: more hidden states than the {len(hidden)} of torchaudio")
            scale = max(float(h.abs().max()) for h in hidden)
            print(f"{clip.name}: {hidden[0].shape[0]} frames, {len(hidden)} hidden states, "
                  f"largest difference {max(differences):.1e} of {scale:.3g}")
            worst = max(worst, *differences)
    print(f"largest difference {worst:.1e}, limit {arguments.limit:.0e}")
    sys.exit(worst > arguments.limit)


if __name__ == "__main__":
    main()
