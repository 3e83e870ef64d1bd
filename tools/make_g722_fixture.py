#!/usr/bin/env python3
"""Decodes G.722 with ffmpeg as a reference for the tests.

Writes into tests/data/audio:
  g722_patterns.g722   bytes that visit the limits of the predictors: noise, constants
  g722_patterns.s16    what ffmpeg makes of them, 16-bit little-endian at 16 kHz
  g722_expected.txt    per clip of speech: name, samples, FNV-1a (64 bits) of the samples

Usage: tools/make_g722_fixture.py
"""
import pathlib
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "audio"


def patterns():
    """2,000 bytes: noise, each extreme code held, alternations, noise again."""
    state, out = 12345, bytearray()

    def noise(count):
        nonlocal state
        for _ in range(count):
            state = (state * 1103515245 + 12345) % 2**31
            out.append(state >> 16 & 0xFF)

    noise(700)
    for code in (0x00, 0xFF, 0x3F, 0xC0, 0x04, 0xA0, 0x60, 0x1F):
        out.extend([code] * 60)
    out.extend([0x20, 0x04] * 60 + [0xE0, 0x44] * 60)
    noise(2000 - len(out))
    return bytes(out)


def decode(path):
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "g722", "-i", path,
                           "-f", "s16le", "pipe:1"], check=True, capture_output=True).stdout


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def main():
    (FOLDER / "g722_patterns.g722").write_bytes(patterns())
    lines = []
    for path in sorted(FOLDER.glob("*.g722")):
        pcm = decode(path)
        if path.stem == "g722_patterns":
            path.with_suffix(".s16").write_bytes(pcm)
        else:
            lines.append(f"{path.name} {len(pcm) // 2} {fnv1a(pcm):016x}\n")
    (FOLDER / "g722_expected.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
