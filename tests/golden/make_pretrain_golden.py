#!/usr/bin/env python3
"""The objectives of pretraining as PyTorch computes them: tests/golden/pretraining.

    python3 tests/golden/make_pretrain_golden.py        # PyTorch 1.13

Tensors of golden.safetensors, CASE a name; computed in float64 from
the F32 inputs.  Noise and negatives come from the counter-based generator, written here a
second time (Philox 4x32-10 and the lane hash of base/random.h).

CASE.prediction.*: hidden [frames, D], features, labels, masked, weight, bias, embeddings,
unmasked_weight, loss [2] (masked, unmasked), correct [2], penalty, grad.* of everything.
CASE.contrastive.*: the same for the other objective; noise is drawn from SEED and KEYS.
"""
import math
import os
import pathlib

import torch
import torch.nn.functional as F

from model_files import f16_grid, save_golden

M32 = 0xFFFFFFFF
SEED, KEYS = 20240607, [1001, 77, 123456789]
GUMBEL, NEGATIVE = 0x67756D62656C, 0x6E65676174


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & M32, (p0 >> 32) ^ c[3] ^ k[1], p0 & M32]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


def random_at(key, a, b):
    out = philox([a & M32, a >> 32, b & M32, b >> 32], [key & M32, key >> 32])
    return out[0] | out[1] << 32


def lane(key, index):
    x = (index * 0x9E3779B1 + (key & M32)) & M32
    x = (x ^ x >> 16) * 0x7FEB352D & M32
    x ^= x >> 15
    x = (x + (key >> 32)) & M32
    x = x * 0x846CA68B & M32
    x = (x ^ x >> 16) * 0x9E3779B1 & M32
    return x ^ x >> 15


def gumbel_noise(key, count):
    return torch.tensor([-math.log(-math.log((lane(key, j) + 0.5) * 2.0**-32))
                         for j in range(count)], dtype=torch.float64)


def negatives_of(key, count, own, n):
    picks = [lane(key, k) * (n - 1) >> 32 for k in range(count)]
    return [p + (p >= own) for p in picks]


def on_f16_grid(inputs):
    return {name: f16_grid(value) for name, value in inputs.items()}


def leaves(inputs):
    return {name: value.double().requires_grad_() for name, value in inputs.items()}


def outputs(x, extra):
    grads = {f"grad.{name}": value.grad.float() for name, value in x.items()
             if value.grad is not None}
    return {**grads, **{name: torch.tensor(value).float().reshape(-1)
                        for name, value in extra.items()}}


def penalty(features):
    return features.pow(2).mean()


def prediction(g, frames, classes, unmasked_weight, unlabelled=()):
    masked = sorted(torch.randperm(frames, generator=g)[: frames * 3 // 5].tolist())
    labels = torch.randint(classes, (frames,), generator=g)
    inputs = {"hidden": torch.randn((frames, 12), generator=g),
              "features": torch.randn((frames, 8), generator=g),
              "weight": torch.randn((10, 12), generator=g) * 0.5,
              "bias": torch.randn((10,), generator=g) * 0.1,
              "embeddings": torch.rand((classes, 10), generator=g)}
    inputs = on_f16_grid(inputs)
    x = leaves(inputs)
    projected = x["hidden"] @ x["weight"].T + x["bias"]
    logits = F.cosine_similarity(projected[:, None], x["embeddings"][None], dim=-1) / 0.1
    rows = [[i for i in range(frames) if (i in masked) == want and i not in unlabelled]
            for want in (True, False)]
    parts = [F.cross_entropy(logits[r], labels[r], reduction="sum") for r in rows]
    correct = [(logits[r].argmax(-1) == labels[r]).sum().item() for r in rows]
    pen = penalty(x["features"])
    loss = parts[0] + unmasked_weight * parts[1] + 10 * len(rows[0]) * pen
    loss.backward()
    stored = labels.float()
    for i in unlabelled:
        stored[i] = -1
    return {**inputs, "labels": stored, "masked": torch.tensor(masked).float(),
            **outputs(x, {"unmasked_weight": unmasked_weight, "penalty": pen.item(),
                          "loss": [p.item() for p in parts], "correct": correct})}


def quantise(x, norm, masked_of, frames_of, groups, temperature, is_training):
    logits = norm @ x["code_weight"].T + x["code_bias"]
    entries = logits.shape[1] // groups
    grouped = logits.view(-1, groups, entries)
    seed = random_at(SEED, GUMBEL, 0)
    if is_training:
        noise = torch.stack([gumbel_noise(random_at(seed, key, frame), groups * entries)
                             for key, frame in frames_of])
        soft = ((grouped + noise.view_as(grouped)) / temperature).softmax(-1)
    else:
        soft = grouped
    codes = soft.argmax(-1)
    hard = F.one_hot(codes, entries).double()
    choice = hard + soft - soft.detach() if is_training else hard
    vectors = x["vectors"].view(groups, entries, -1)
    q = torch.einsum("ngv,gvd->ngd", choice, vectors).flatten(1)
    mean = grouped.softmax(-1).mean(0)
    perplexity = (-(mean * (mean + 1e-7).log()).sum(-1)).exp().sum()
    used = hard.mean(0)
    code_perplexity = (-(used * (used + 1e-7).log()).sum(-1)).exp().sum()
    return q, codes, perplexity, code_perplexity, groups * entries


def contrastive(g, lengths, is_training, entries=6, groups=2, negatives=9, spread=1.0):
    masked_of, frames_of, masked, first = [], [], [], 0
    for u, length in enumerate(lengths):
        count = max(1, length // 2)
        rows = sorted(torch.randperm(length, generator=g)[:count].tolist())
        masked_of.append(count)
        frames_of += [(KEYS[u], row) for row in rows]
        masked += [first + row for row in rows]
        first += length
    inputs = {"hidden": torch.randn((first, 12), generator=g),
              "features": torch.randn((first, 8), generator=g),
              "norm_gain": 1 + 0.1 * torch.randn((8,), generator=g),
              "norm_bias": 0.1 * torch.randn((8,), generator=g),
              "code_weight": spread * torch.randn((groups * entries, 8), generator=g),
              "code_bias": 0.1 * torch.randn((groups * entries,), generator=g),
              "vectors": torch.rand((groups * entries, 5), generator=g),
              "target_weight": 0.5 * torch.randn((7, groups * 5), generator=g),
              "target_bias": 0.1 * torch.randn((7,), generator=g),
              "hidden_weight": 0.5 * torch.randn((7, 12), generator=g),
              "hidden_bias": 0.1 * torch.randn((7,), generator=g)}
    inputs = on_f16_grid(inputs)
    x = leaves(inputs)
    norm = F.layer_norm(x["features"][masked], (8,), x["norm_gain"], x["norm_bias"], 1e-5)
    q, codes, perplexity, code_perplexity, total = quantise(
        x, norm, masked_of, frames_of, groups, 1.5, is_training)
    targets = q @ x["target_weight"].T + x["target_bias"]
    contexts = x["hidden"][masked] @ x["hidden_weight"].T + x["hidden_bias"]
    seed, loss, correct, first = random_at(SEED, NEGATIVE, 0), 0, 0, 0
    for count in masked_of:
        for own in range(count if count > 1 else 0):
            key, frame = frames_of[first + own]
            places = negatives_of(random_at(seed, key, frame), negatives, own, count)
            rows = [first + own] + [first + p for p in places]
            logits = F.cosine_similarity(contexts[first + own][None], targets[rows],
                                         dim=-1) / 0.1
            same = [k > 0 and bool((codes[r] == codes[first + own]).all())
                    for k, r in enumerate(rows)]
            logits = logits.masked_fill(torch.tensor(same), -math.inf)
            loss = loss + F.cross_entropy(logits[None], torch.tensor([0]))
            rest = logits[1:].max().item()
            correct += rest > -math.inf and logits[0].item() > rest
        first += count
    diversity = len(masked) * (total - perplexity) / total
    pen = penalty(x["features"])
    (loss + 0.1 * diversity + 10 * len(masked) * pen).backward()
    return {**inputs, "masked": torch.tensor(masked).float(),
            **outputs(x, {"lengths": lengths, "training": is_training,
                          "negatives": negatives, "loss": loss.item(),
                          "diversity": diversity.item(), "perplexity": perplexity.item(),
                          "code_perplexity": code_perplexity.item(), "correct": correct,
                          "penalty": pen.item()})}


def main():
    assert philox([0] * 4, [0, 0]) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    g = torch.Generator().manual_seed(20240606)
    cases = {"plain.prediction": prediction(g, 20, 6, 0.0),
             "both.prediction": prediction(g, 33, 17, 0.5),
             "gaps.prediction": prediction(g, 25, 5, 1.0, unlabelled=(0, 7, 8, 24)),
             "plain.contrastive": contrastive(g, [14, 22], True),
             "alone.contrastive": contrastive(g, [3, 20, 9], True),
             "repeats.contrastive": contrastive(g, [24], True, entries=2),
             "best.contrastive": contrastive(g, [17, 12], False),
             "wide.contrastive": contrastive(g, [32, 21], True, entries=20, negatives=100)}
    folder = pathlib.Path(__file__).parent / "pretraining"
    os.makedirs(folder, exist_ok=True)
    save_golden(folder / "golden.safetensors",
                {f"{name}.{key}": value for name, tensors in cases.items()
                 for key, value in tensors.items()},
                {"torch": torch.__version__})


if __name__ == "__main__":
    main()
