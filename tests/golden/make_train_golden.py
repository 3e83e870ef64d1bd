#!/usr/bin/env python3
"""Ten optimiser steps of mask fine-tuning, written out in PyTorch.

    python3 tests/golden/make_train_golden.py

The method as its paper defines it, on the tiny model of w2v2_group_postln: scores for the
feed-forward matrices, the smallest |score| of each matrix removed, the gradient straight
through, CTC summed over utterances and divided by their number, Adam with eps beside the
uncorrected second moment, the tri-stage schedule.  No dropout, no masking.  Computed in
float64, stored in mask_steps/golden.safetensors:

    text.U              the labels of utterance U (audio: input.U of w2v2_group_postln)
    scores.NAME         first scores
    mask.NAME           [10, elements / 8] U8: the mask that each step uses, first bit lowest
    after.NAME          scores after the last step
    head.weight, bias   after the last step
    loss, rate          [10] of each step
"""
import json
import math
import pathlib

import numpy
import torch
from torch.nn import functional as F

from model_files import DTYPE_NAME, f16_grid, save_golden
from reference_model import ReferenceModel

HERE = pathlib.Path(__file__).parent
CASE = HERE / "w2v2_group_postln"
STEPS, PEAK, SPARSITY = 10, 5e-3, 0.1
BETAS, EPS = (0.9, 0.98), 1e-8
WARM, HOLD, DECAY, FIRST, LAST = 0.1, 0.4, 0.5, 0.01, 1e-4


def load_safetensors(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header, tensors = json.loads(raw[8:8 + length]), {}
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        data = raw[8 + length + begin:8 + length + end]
        kind = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
        tensors[name] = torch.frombuffer(bytearray(data),
                                         dtype=kind[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class Kept(torch.autograd.Function):
    """The mask of |score|: all but the trunc((1 - p) n) smallest."""

    @staticmethod
    def forward(ctx, scores):
        removed = int((1 - (1 - SPARSITY)) * scores.numel())
        mask = torch.ones(scores.numel(), dtype=scores.dtype)
        mask[scores.abs().flatten().argsort(stable=True)[:removed]] = 0
        ctx.save_for_backward(scores)
        return mask.view_as(scores)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].sign()


def rate_of(step):
    warm, hold, decay = int(WARM * STEPS), int(HOLD * STEPS), int(DECAY * STEPS)
    if step < warm:
        return PEAK * (FIRST + (1 - FIRST) / warm * step)
    if step < warm + hold:
        return PEAK
    return PEAK * math.exp(math.log(LAST) / decay * (step - warm - hold))


def adam(parameter, state, step, rate):
    m, v = state
    m.mul_(BETAS[0]).add_(parameter.grad, alpha=1 - BETAS[0])
    v.mul_(BETAS[1]).addcmul_(parameter.grad, parameter.grad, value=1 - BETAS[1])
    scale = rate * math.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)
    parameter.data.addcdiv_(m, v.sqrt() + EPS, value=-scale)
    parameter.grad = None


def main():
    torch.manual_seed(1)
    config = json.loads((CASE / "config.json").read_text())
    golden = load_safetensors(CASE / "golden.safetensors")
    weights = load_safetensors(CASE / "model.safetensors")
    model = ReferenceModel(config).double()
    prefix = "wav2vec2."
    state = {(n[len(prefix):] if n.startswith(prefix) else n): t.double()
             for n, t in weights.items()}
    missing = model.load_state_dict(state, strict=False)
    assert not missing.missing_keys, missing.missing_keys
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    vocabulary = json.loads((CASE / "vocab.json").read_text())
    texts = [[5, 7, 7, 4, 9], [6, 4, 10, 5, 5, 8]]
    assert max(max(t) for t in texts) < len(vocabulary)

    names = [f"encoder.layers.{i}.feed_forward.{part}.weight" for i in range(2)
             for part in ("intermediate_dense", "output_dense")]
    modules = dict(model.named_modules())
    frozen = {n: dict(model.named_parameters())[n].data.clone() for n in names}
    scores = {}
    for name in names:
        bound = 1 / math.sqrt(frozen[name].shape[1])
        first = (torch.rand(frozen[name].shape, dtype=torch.float64) * 2 - 1) * bound
        scores[name] = f16_grid(first).requires_grad_(True)
    head = [model.lm_head.weight, model.lm_head.bias]
    for parameter in head:
        parameter.requires_grad_(True)
    trained = list(scores.values()) + head
    states = [(torch.zeros_like(p), torch.zeros_like(p)) for p in trained]
    out = {f"text.{u}": torch.tensor(t, dtype=torch.float32) for u, t in enumerate(texts)}
    out.update({f"scores.{n}": s.detach().float().clone() for n, s in scores.items()})
    masks, losses, rates = {n: [] for n in names}, [], []
    for step in range(STEPS):
        for name in names:
            module = modules[name.rsplit(".", 1)[0]]
            mask = Kept.apply(scores[name])
            masks[name].append(mask.detach().flatten().float())
            del module.weight
            module.weight = frozen[name] * mask
        loss = 0
        for u, text in enumerate(texts):
            logits = model(golden[f"input.{u}"].double())[2]
            log_probs = F.log_softmax(logits, -1)[:, None]
            loss = loss + F.ctc_loss(log_probs, torch.tensor([text]),
                                     torch.tensor([logits.shape[0]]),
                                     torch.tensor([len(text)]), blank=0, reduction="sum")
        (loss / len(texts)).backward()
        losses.append(loss.item() / len(texts))
        rates.append(rate_of(step))
        for parameter, moments in zip(trained, states):
            adam(parameter, moments, step + 1, rates[-1])
    DTYPE_NAME[torch.uint8] = "U8"
    moved = 0
    for name in names:
        rows = torch.stack(masks[name])
        moved += int((rows[0] != rows[-1]).sum())
        out[f"mask.{name}"] = torch.from_numpy(
            numpy.packbits(rows.numpy().astype(bool), axis=1, bitorder="little"))
        out[f"after.{name}"] = scores[name].detach().float()
    out["head.weight"], out["head.bias"] = (p.detach().float() for p in head)
    out["loss"], out["rate"] = torch.tensor(losses), torch.tensor(rates)
    folder = HERE / "mask_steps"
    folder.mkdir(exist_ok=True)
    save_golden(folder / "golden.safetensors", out, {"format": "pt"})
    print("loss", [round(x, 4) for x in losses], "mask elements that moved:", moved)


if __name__ == "__main__":
    main()
