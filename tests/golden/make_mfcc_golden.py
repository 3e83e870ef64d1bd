#!/usr/bin/env python3
"""MFCC and their differences as torchaudio gives them: tests/golden/mfcc.

    python3 tests/golden/make_mfcc_golden.py       # PyTorch 1.13, torchaudio 0.13

Tensors of golden.safetensors, CASE a name: CASE.wave [samples], 16-bit PCM that F16
holds, CASE.rows [frames, 39], computed in float64 as HuBERT's dump_mfcc_feature.py does
in float32: cepstra, compute_deltas of them, compute_deltas of those.
"""
import math
import pathlib

import torch
import torchaudio

from model_files import f16_grid, save_golden


def rows_of(wave):
    mfcc = torchaudio.compliance.kaldi.mfcc(
        wave.double()[None], sample_frequency=16000.0, use_energy=False, dither=0.0)
    mfcc = mfcc.transpose(0, 1)
    delta = torchaudio.functional.compute_deltas(mfcc)
    delta2 = torchaudio.functional.compute_deltas(delta)
    return torch.cat([mfcc, delta, delta2]).transpose(0, 1).contiguous()


def on_grid(x):
    return f16_grid((x * 32768).round().clamp(-32768, 32767).div(32768).float())


def voice(g, count, level):
    """Harmonics of a gliding voice under moving formants, a pause, and noise."""
    t = torch.arange(count).double() / 16000
    phase = 2 * math.pi * (110 * t + 60 * t * t)
    x = torch.zeros(count).double()
    for k in range(1, 30):
        hz = k * (110 + 120 * t)
        gain = torch.exp(-((hz - 500 - 600 * t) / 300) ** 2) \
            + 0.4 * torch.exp(-((hz - 2400 + 900 * t) / 500) ** 2)
        x += gain * torch.sin(k * phase)
    x *= torch.sin(2 * math.pi * 2.5 * t).clamp(min=0)
    x += 0.002 * torch.randn(count, generator=g).double()
    return on_grid(x * level)


def main():
    g = torch.Generator().manual_seed(20241123)
    noise = torch.randn(3000, generator=g).double()
    silence = torch.zeros(3000).double()
    silence[1500:1800] = 0.3
    cases = {
        "voice": voice(g, 7000, 0.3),
        "quiet": voice(g, 4000, 0.002),
        "offset": on_grid(voice(g, 4000, 0.1).double() + 0.05),
        "clipped": on_grid(noise),
        "silence": on_grid(silence),
        "one_frame": on_grid(0.1 * noise[:400]),
        "two_frames": on_grid(0.1 * noise[:719]),
    }
    tensors = {}
    for name, wave in cases.items():
        tensors[name + ".wave"] = wave
        tensors[name + ".rows"] = rows_of(wave).float()
    folder = pathlib.Path(__file__).resolve().parent / "mfcc"
    folder.mkdir(exist_ok=True)
    save_golden(folder / "golden.safetensors", tensors,
                {"torchaudio": torchaudio.__version__})


if __name__ == "__main__":
    main()
