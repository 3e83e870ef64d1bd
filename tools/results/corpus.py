"""Manifests and vocabularies of the runs, and models with random weights.

    WORK/data/LANG/train.jsonl ...  what s3r data prepare gives, and drawn from it:
    WORK/data/LANG/train-10.jsonl   the training set of so many minutes
    WORK/data/LANG/dev-short.jsonl  what is listened to during training
    WORK/sets/LANG-UNIT/            vocabulary, and these manifests as its labels spell them
    WORK/sets/LANG+LANG...-lid/     some minutes of each of many languages
    WORK/random/HASH/SEED/          a model of the shape of the backbone HASH, fresh weights
    WORK/draw.json                  how the sets were drawn
"""

import json
import shutil
from pathlib import Path

from results.program import ProgramError

SUFFIX = {"char": ".text.jsonl", "phone": ".phones.jsonl", "lid": ".jsonl"}


class Corpus:
    def __init__(self, program, work, recipe):
        self.program = program
        self.work = Path(work)
        self.recipe = recipe

    # Preparing.

    def prepare(self, tree, say):
        """Makes what is not there yet; `tree` is a folder of Debian's packages or None."""
        self.check()
        data = self.work / "data"
        if not data.exists():
            say("s3r data prepare debian")
            part = self.work / "data.part"
            shutil.rmtree(part, ignore_errors=True)
            self.program.output("data", "prepare", "debian", *([tree] if tree else []),
                                "-o", part, "--per-language")
            part.rename(data)
        for lang in self.recipe["languages"]:
            self._draw(lang)
            self._vocabulary(lang, "char", say)
        for lang in self.recipe["study_languages"]:
            self._vocabulary(lang, "phone", say)
        self._all_languages()

    def check(self):
        """Refuses sets that were drawn by another recipe: runs would be recorded wrongly."""
        path = self.work / "draw.json"
        wanted = {key: self.recipe[key]
                  for key in ("split_seed", "dev_minutes", "lid_minutes")}
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(wanted) + "\n")
        found = json.loads(path.read_text())
        if found != wanted:
            raise SystemExit(f"{path}: the sets were drawn with {found}, the recipe has {wanted}; "
                             "take another work folder")

    def _minutes(self, lang):
        hour = lang in self.recipe["hour_languages"] + self.recipe["study_languages"]
        return [10, 60] if hour else [10]

    def _draw(self, lang):
        """The small sets, from the plain manifests: so phones have the same sentences."""
        folder = self.work / "data" / lang
        seed = ["--seed", self.recipe["split_seed"]]
        for minutes in self._minutes(lang):
            self.program.output("data", "split", folder / "train.jsonl", "--minutes", minutes,
                                *seed, "-o", folder / f"train-{minutes}.jsonl")
        self._at_most(folder / "dev.jsonl", self.recipe["dev_minutes"],
                      folder / "dev-short.jsonl")

    def _at_most(self, whole, minutes, out):
        """Writes a draw of so many minutes, or all of a manifest that is no longer."""
        if duration_s(whole) > 60 * minutes:
            self.program.output("data", "split", whole, "--minutes", minutes, "--seed",
                                self.recipe["split_seed"], "-o", out)
        else:
            shutil.copyfile(whole, out)

    def _vocabulary(self, lang, unit, say):
        folder = self.work / "sets" / f"{lang}-{unit}"
        if folder.exists():
            return
        names = ["train", "dev", "test", "dev-short"]
        names += [f"train-{minutes}" for minutes in self._minutes(lang)]
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        say(f"s3r vocab build --unit {unit} --lang {lang}")
        try:
            self.program.output("vocab", "build", "--unit", unit, "--lang", lang, "-o", part,
                                *(self.work / "data" / lang / f"{name}.jsonl" for name in names))
        except ProgramError as error:
            if unit != "phone":
                raise
            say(f"no phones of {lang}: {error}")
            return
        part.rename(folder)

    def _all_languages(self):
        """Manifests of telling languages apart: each language's draw, one after another."""
        folder = self.work / "sets" / ("+".join(self.recipe["lid_languages"]) + "-lid")
        if folder.exists():
            return
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        minutes = self.recipe["lid_minutes"]
        for split in ("train", "dev", "test"):
            lines = []
            for lang in self.recipe["lid_languages"]:
                drawn = part / "drawn.jsonl"
                self._at_most(self.work / "data" / lang / f"{split}.jsonl", minutes[split],
                              drawn)
                lines.append(drawn.read_text(encoding="utf-8"))
                drawn.unlink()
            name = f"train-{minutes['train']}" if split == "train" else split
            (part / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        # All of dev is listened to during training.
        shutil.copyfile(part / "dev.jsonl", part / "dev-short.jsonl")
        part.rename(folder)

    # Looking up.

    def vocabulary(self, run):
        return self.work / "sets" / f"{run.lang}-{run.unit}"

    def manifest(self, run, name):
        return self.vocabulary(run) / (name + SUFFIX[run.unit])

    def has(self, run):
        return self.manifest(run, f"train-{run.minutes}").exists()

    def random_model(self, backbone, seed):
        """Fresh weights for the shape of the backbone; one set of weights a seed."""
        folder = self.work / "random" / self.recipe["backbone"][:16] / str(seed)
        if folder.exists():
            return folder
        part = folder.with_name(f"{seed}.part")
        shutil.rmtree(part, ignore_errors=True)
        shape = fresh_shape(json.loads((Path(backbone) / "config.json").read_text()))
        # The fresh model is written before the first step, which is thrown away; the
        # contrastive objective needs no targets, and its own tensors are not in the model.
        self.program.output("pretrain", "--objective", "wav2vec2", "--steps", 1, "--seed", seed,
                            "--data", self.work / "data" / self.recipe["languages"][0] / "dev.jsonl",
                            "-o", part, "-q", "batch.seconds=20",
                            *(word for pair in shape for word in ("--shape", pair)))
        (part / "start").rename(folder)
        shutil.rmtree(part)
        return folder


def duration_s(manifest):
    lines = manifest.read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["duration"] for line in lines if line)


def fresh_shape(config):
    """The --shape values of s3r pretrain for a Hugging Face configuration."""
    conv = " + ".join(f"[({width},{kernel},{stride})]" for width, kernel, stride in zip(
        config["conv_dim"], config["conv_kernel"], config["conv_stride"]))
    values = {
        "family": config["model_type"],
        "conv": conv,
        "extractor_norm": config["feat_extract_norm"],
        "conv_bias": config["conv_bias"],
        "hidden_size": config["hidden_size"],
        "ffn_size": config["intermediate_size"],
        "blocks": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "pos_conv_kernel": config["num_conv_pos_embeddings"],
        "pos_conv_groups": config["num_conv_pos_embedding_groups"],
        "pre_norm": config["do_stable_layer_norm"],
    }
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}"
            for key, value in values.items()]
