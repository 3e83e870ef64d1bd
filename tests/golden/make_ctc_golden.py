#!/usr/bin/env python3
"""CTC losses and their gradients as PyTorch gives them: tests/golden/ctc_loss.

    python3 tests/golden/make_ctc_golden.py        # PyTorch 1.13

Tensors of golden.safetensors, CASE a name: CASE.logits [frames, labels],
CASE.target [length], CASE.blank [1], CASE.loss [1], CASE.grad [frames, labels].  Loss and
gradient are computed in float64 from the F32 logits; infinite losses have a zero gradient.
"""
import os
import pathlib

import torch

from model_files import f16_grid, save_golden


def case(generator, frames, labels, target, blank=0, scale=2.0, shift=0.0):
    logits = f16_grid(torch.randn((frames, labels), generator=generator) * scale + shift)
    x = logits.double().requires_grad_()
    loss = torch.nn.functional.ctc_loss(
        torch.log_softmax(x, 1)[:, None], torch.tensor([target], dtype=torch.long),
        [frames], [len(target)], blank=blank, reduction="sum", zero_infinity=False)
    if torch.isfinite(loss):
        loss.backward()
    grad = x.grad if x.grad is not None else torch.zeros_like(x)
    return {"logits": logits, "target": torch.tensor(target).float(),
            "blank": torch.tensor([blank]).float(), "loss": loss.detach().float()[None],
            "grad": grad.float()}


def draw(generator, length, labels, blank):
    others = [i for i in range(labels) if i != blank]
    picks = torch.randint(len(others), (length,), generator=generator)
    return [others[int(i)] for i in picks]


def main():
    g = torch.Generator().manual_seed(20240501)
    cases = {
        "plain": case(g, 20, 6, [1, 2, 3, 4, 5]),
        "repeats": case(g, 15, 5, [1, 1, 2, 2, 2, 1]),
        "all_equal": case(g, 9, 3, [2, 2, 2, 2, 2]),
        "tight": case(g, 6, 5, [1, 2, 3, 4, 1, 2]),
        "one_frame": case(g, 1, 4, [3]),
        "one_frame_empty": case(g, 1, 4, []),
        "empty": case(g, 12, 4, []),
        "too_long": case(g, 4, 5, [1, 2, 3, 4, 1]),
        "repeat_too_long": case(g, 5, 5, [1, 1, 1, 2]),
        "blank_last": case(g, 25, 8, draw(g, 9, 8, 7), blank=7),
        "blank_inside": case(g, 25, 8, draw(g, 9, 8, 3), blank=3),
        "confident": case(g, 30, 6, draw(g, 10, 6, 0), scale=60.0),
        "shifted": case(g, 30, 6, draw(g, 10, 6, 0), shift=300.0),
        "long": case(g, 150, 9, draw(g, 40, 9, 0), scale=3.0),
        "wide": case(g, 8, 300, draw(g, 4, 300, 0)),
    }
    for i in range(8):
        frames = int(torch.randint(2, 40, (1,), generator=g))
        labels = int(torch.randint(2, 12, (1,), generator=g))
        blank = int(torch.randint(labels, (1,), generator=g))
        length = int(torch.randint(frames // 2 + 1, (1,), generator=g))
        cases[f"random{i}"] = case(g, frames, labels, draw(g, length, labels, blank), blank)
    folder = pathlib.Path(__file__).parent / "ctc_loss"
    os.makedirs(folder, exist_ok=True)
    save_golden(folder / "golden.safetensors",
                {f"{name}.{key}": value for name, tensors in cases.items()
                 for key, value in tensors.items()},
                {"torch": torch.__version__})


if __name__ == "__main__":
    main()
