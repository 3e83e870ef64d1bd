"""Makes the PyTorch fixtures in tests/data/torch (run it from anywhere; needs torch).

Every tensor counts up from a base, so that the tests can tell each element.  Classes that
real checkpoints pickle (omegaconf, fairseq) are stubs under the same module names: only
the names reach the file.
"""
import argparse
import collections
import dataclasses
import enum
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy
import torch

FOLDER = pathlib.Path(__file__).resolve().parent / "torch"


def stub_module(name, *classes):
    module = types.ModuleType(name)
    parts = name.split(".")
    for i in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    sys.modules[name] = module
    for cls in classes:
        cls.__module__ = name
        cls.__qualname__ = cls.__name__
        setattr(module, cls.__name__, cls)


class DictConfig:
    def __init__(self, content, parent=None):
        self._metadata = ContainerMetadata()
        self._parent = parent
        self._flags_cache = None
        self._content = {k: wrap(v, self) for k, v in content.items()}


class ListConfig:
    def __init__(self, content, parent=None):
        self._metadata = ContainerMetadata()
        self._parent = parent
        self._content = [wrap(v, self) for v in content]


class AnyNode:
    def __init__(self, value, parent=None):
        self._metadata = ContainerMetadata()
        self._parent = parent
        self._val = value


class ContainerMetadata:
    def __init__(self):
        self.ref_type = dict
        self.optional = True


class ChoiceEnum(enum.Enum):
    layer_norm = "layer_norm"
    default = "default"


class OldEnum(enum.Enum):
    """Pickled as Pythons before 3.11 do."""
    default = "default"

    def __reduce_ex__(self, protocol):
        return OldEnum, (self.value,)


@dataclasses.dataclass
class CommonConfig:
    seed: int = 1
    fp16: bool = True


def wrap(value, parent):
    if isinstance(value, dict):
        return DictConfig(value, parent)
    if isinstance(value, list):
        return ListConfig(value, parent)
    return AnyNode(value, parent)


stub_module("omegaconf.dictconfig", DictConfig)
stub_module("omegaconf.listconfig", ListConfig)
stub_module("omegaconf.nodes", AnyNode)
stub_module("omegaconf.base", ContainerMetadata)
stub_module("fairseq.dataclass.constants", ChoiceEnum, OldEnum)
stub_module("fairseq.dataclass.configs", CommonConfig)


def count_up(base, *shape, dtype=torch.float32):
    numel = int(numpy.prod(shape)) if shape else 1
    return (torch.arange(numel, dtype=torch.float64) + base).reshape(shape).to(dtype)


def varied_state_dict():
    shared = count_up(100, 6, 4)
    model = collections.OrderedDict()
    model["f32"] = count_up(0, 2, 3)
    model["f16"] = count_up(1, 4, dtype=torch.float16)
    model["bf16"] = count_up(2, 4, dtype=torch.bfloat16)
    model["f64"] = count_up(3, 2, dtype=torch.float64)
    model["i64"] = count_up(-4, 3, dtype=torch.int64)
    model["i32"] = count_up(-4, 3, dtype=torch.int32)
    model["i16"] = count_up(-4, 3, dtype=torch.int16)
    model["i8"] = count_up(-4, 3, dtype=torch.int8)
    model["u8"] = count_up(4, 3, dtype=torch.uint8)
    model["bool"] = torch.tensor([True, False, True])
    model["scalar"] = count_up(7)
    model["empty"] = torch.zeros(0, 5)
    model["whole"] = shared
    model["rows"] = shared[2:4]
    model["columns"] = shared[:, 1:3]
    model["transposed"] = shared.t()
    model["expanded"] = count_up(50, 3, 1).expand(3, 4)
    model["parameter"] = torch.nn.Parameter(count_up(9, 2, 2))
    model["not_a_tensor"] = 12
    model["none"] = None
    model._metadata = collections.OrderedDict([("", {"version": 1})])
    return model


def fairseq_model():
    model = collections.OrderedDict()
    model["w2v_encoder.w2v_model.mask_emb"] = count_up(0, 4)
    model["w2v_encoder.w2v_model.encoder.layers.0.fc1.weight"] = count_up(1, 3, 2)
    model["w2v_encoder.proj.weight"] = count_up(2, 2, 2, dtype=torch.float16)
    return model


def fairseq_args():
    return {
        "args": argparse.Namespace(
            arch="wav2vec_ctc", conv_bias=False, dropout=0.1, lr=[0.0001, 5e-05],
            no_epoch_checkpoints=None, max_update=80000,
            w2v_args=argparse.Namespace(encoder_layers=12, arch="wav2vec2"),
            device=torch.device("cpu"), best=numpy.float64(3.5), infinite=float("inf")),
        "model": fairseq_model(),
        "optimizer_history": [{"num_updates": 5, "lr_scheduler_state": {"best": None}}],
        "extra_state": {"metrics": collections.defaultdict(list, {"loss": [1.5]})},
        "last_optimizer_state": {"state": {0: {"exp_avg": count_up(5, 2)}}},
    }


def fairseq_cfg():
    config = DictConfig({
        "_name": None,
        "common": {"seed": 1, "fp16": True},
        "model": {"extractor_mode": ChoiceEnum.layer_norm,
                  "old_mode": OldEnum.default, "encoder_layers": 24,
                  "conv_feature_layers": "[(512, 10, 5)]", "latent_temp": [2.0, 0.5]},
        "task": CommonConfig(seed=7),
    })
    return {"args": None, "cfg": config, "model": fairseq_model(),
            "extra_state": {"epoch": numpy.int64(3)}}


def save_legacy_with_views(path):
    """What PyTorch before 0.4 wrote: storages that are views of a root storage."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.id if isinstance(obj, View) else None

    class View:
        def __init__(self, *identity):
            self.id = identity

    class Tensor:
        def __init__(self, storage, offset, size, stride):
            self.args = (storage, offset, size, stride)

        def __reduce__(self):
            return torch._utils._rebuild_tensor, self.args

    def storage(view):
        return View("storage", torch.FloatStorage, "root", "cpu", 10, view)

    model = {"whole": Tensor(storage(None), 0, (10,), (1,)),
             "view": Tensor(storage(("v1", 4, 5)), 1, (2, 2), (2, 1))}
    buffer = io.BytesIO()
    pickle.dump(torch.serialization.MAGIC_NUMBER, buffer, protocol=2)
    pickle.dump(1001, buffer, protocol=2)
    pickle.dump({"protocol_version": 1001, "little_endian": True,
                 "type_sizes": {"short": 2, "int": 4, "long": 4}}, buffer, protocol=2)
    Pickler(buffer, protocol=2).dump(model)
    pickle.dump(["root"], buffer, protocol=2)
    buffer.write(struct.pack("<q", 10) + struct.pack("<10f", *range(10)))
    path.write_bytes(buffer.getvalue())


def rezip_deflated(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            new.writestr(info, old.read(name), compress_type=zipfile.ZIP_DEFLATED)


class Unseekable(io.RawIOBase):
    """Makes zipfile write data descriptors."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)

    def close(self):
        self.file.close()
        super().close()


def rezip_with_descriptors(source, target):
    stream = Unseekable(target)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            with new.open(info, "w", force_zip64=True) as entry:
                entry.write(old.read(name))
    stream.close()


def main():
    FOLDER.mkdir(exist_ok=True)
    for suffix, is_zip in (("zip", True), ("legacy", False)):
        def save(value, name, **options):
            torch.save(value, FOLDER / name, _use_new_zipfile_serialization=is_zip,
                       **options)
        save(varied_state_dict(), f"varied_{suffix}.bin")
        save(fairseq_args(), f"fairseq_args_{suffix}.pt")
        save(fairseq_cfg(), f"fairseq_cfg_{suffix}.pt")
        save(fairseq_model(), f"protocol4_{suffix}.bin", pickle_protocol=4)
    save_legacy_with_views(FOLDER / "views_legacy.bin")
    rezip_deflated(FOLDER / "varied_zip.bin", FOLDER / "deflated_zip.bin")
    rezip_with_descriptors(FOLDER / "protocol4_zip.bin", FOLDER / "descriptors_zip.bin")


if __name__ == "__main__":
    main()
