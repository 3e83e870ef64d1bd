"""What is measured: the recipe, the methods and the tables of runs.

A run is what one call of `s3r train` is told.  Its key is a hash of that, so a run that
two tables need is made once, and a record of another recipe or backbone is never taken
for one of this.  Nothing here knows results, but for the choice of a method's tuned
point, which is a function of the dev scores that it is given.
"""

import hashlib
import json
from dataclasses import dataclass, field

# Everything that all runs share, in one place.  A trial overrides single keys
# (tools/results.py --recipe FILE).
RECIPE = {
    # Content hash of the backbone (s3r inspect); empty: none is chosen yet.
    "backbone": "4de51829137dcf0cf6506fd908e7e90425408700dde599dbf72582a32349add7",
    # The draw of the small training sets is the same for all seeds of training: spreads
    # are those of training, not of the choice of sentences.
    "split_seed": 1,
    # Longest dev set that is listened to during training.
    "dev_minutes": 4,
    "seeds": [1, 2, 3],
    "languages": ["cs", "nl", "es", "ru", "fr", "ro", "en", "bg", "el", "it"],
    "hour_languages": ["cs", "nl"],
    "tuning_languages": ["nl", "es"],
    # Of the sparsity curve, modules, blocks and phones: the largest test sets.
    "study_languages": ["cs", "nl"],
    "sparsities": {"10": [0.02, 0.04, 0.06, 0.08, 0.1, 0.14, 0.2, 0.3, 0.5],
                   "60": [0.02, 0.06, 0.1, 0.2, 0.3, 0.5]},
    "module_sparsities": [0.1, 0.3],
    # Groups of two of the backbone's eight blocks.
    "block_groups": ["0-1", "2-3", "4-5", "6-7"],
    # Sparsity of the block groups, which the paper does not state.
    "block_sparsity": 0.1,
    # By minutes of training data.
    "steps": {"10": 400, "60": 1200},
    # Of telling languages apart: all that have minutes enough, with up to ten of each to
    # train and some of dev and test.
    "lid_languages": ["be", "bg", "ca", "cs", "da", "el", "en", "es", "fr", "it", "nl", "ro",
                      "ru"],
    "lid_minutes": {"train": 10, "dev": 2, "test": 3},
    "lid_methods": ["head", "weights", "ori"],
    "lid_steps": 400,
    # Settings of s3r train.
    "settings": {
        "precision": "bf16",
        "batch.seconds": 20,
        "batch.accumulate": 1,
        "optimizer.clip_norm": 5,
        # The head starts from nothing with every method.
        "optimizer.head_lr": 5e-3,
        "schedule.kind": "linear",
        "schedule.warmup": 0.05,
        # Clips are short and the backbone is narrow: the defaults hide too much of both.
        "augment.time_prob": 0.2,
        "augment.channel_prob": 0,
        "dropout.layer_drop": 0,
        "eval.every": 100,
    },
}


@dataclass(frozen=True)
class Method:
    """One column of the main table.  `points` are the settings that tuning compares."""

    name: str
    label: str
    settings: dict
    points: list
    start: str = "pretrained"  # or "random"


def rates(*values):
    return [{"optimizer.lr": value} for value in values]


# Every method has four points, the same number of tuning runs.  Of the head alone, and of
# the fixed mask, the rate is that of the head.
HEAD_ALONE = {"optimizer.head_lr": 0}
METHODS = [
    Method("random", "random init, weights", {"method": "weights", "also.extractor": "true"},
           rates(3e-5, 1e-4, 3e-4, 1e-3), "random"),
    Method("head", "head only", {"method": "head", **HEAD_ALONE},
           rates(3e-3, 1e-2, 3e-2, 1e-1)),
    Method("bias", "biases and norms", {"method": "bias"},
           rates(1e-3, 3e-3, 1e-2, 3e-2)),
    Method("weights", "weights", {"method": "weights"},
           rates(5e-4, 1e-3, 2e-3, 4e-3)),
    Method("adapter", "adapters",
           {"method": "adapter", "adapter.kind": "zero", "adapter.width": 64},
           rates(3e-4, 1e-3, 3e-3, 1e-2)),
    Method("lora", "LoRA", {"method": "lora", "lora.modules": "both", "lora.rank": 16},
           rates(3e-4, 1e-3, 3e-3, 1e-2)),
    Method("magnitude", "fixed mask",
           {"method": "magnitude", "mask.sparsity": 0.1, **HEAD_ALONE},
           rates(3e-3, 1e-2, 3e-2, 1e-1)),
    Method("ri", "mask RI", {"method": "mask", "mask.init": "ri", "mask.sparsity": 0.1},
           rates(1e-3, 3e-3, 1e-2, 3e-2)),
    Method("wmi", "mask WMI", {"method": "mask", "mask.init": "wmi", "mask.sparsity": 0.1},
           rates(1e-3, 3e-3, 1e-2, 3e-2)),
    Method("ori", "mask ORI", {"method": "mask", "mask.init": "ori", "mask.sparsity": 0.1},
           rates(1e-3, 3e-3, 1e-2, 3e-2)),
]
METHOD = {method.name: method for method in METHODS}


@dataclass(frozen=True)
class Run:
    """What one training is told; hashable, equal runs are one."""

    backbone: str
    start: str  # "pretrained", or "random": fresh weights of the same shape
    lang: str  # or all that are told apart, with "+" between them
    minutes: int
    unit: str  # of a label: "char" or "phone"; "lid": languages are told apart
    split_seed: int
    dev_minutes: float  # for "lid" of each language
    settings: tuple  # of (KEY, VALUE), sorted; the seed is among them

    @property
    def seed(self):
        return dict(self.settings)["seed"]

    def identity(self):
        values = dict(vars(self))
        values["settings"] = dict(self.settings)
        return values

    def key(self):
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self):
        # "eval.metric" and what all runs share say nothing in a list of runs.
        shown = [f"{key}={value}" for key, value in self.settings
                 if key.split(".")[0] in ("method", "mask", "adapter", "lora", "seed")
                 or key == "optimizer.lr"]
        lang = f"{self.lang.count('+') + 1} languages" if self.unit == "lid" else self.lang
        return " ".join([lang, f"{self.minutes}m", self.unit, self.start] + shown)


@dataclass
class Table:
    """Rows and columns of cells; a cell holds a run for each seed.

    A run is None while the tuning that decides its settings is not complete.
    """

    name: str
    title: str
    corner: str  # what the rows are
    rows: list
    columns: list
    cells: dict = field(default_factory=dict)  # (row, column) -> {seed: Run or None}
    metrics: tuple = ("cer",)
    means: bool = False  # whether a last row has the mean over rows

    def runs(self, seed):
        """(row, column, run) in the order of rows."""
        for row in self.rows:
            for column in self.columns:
                cell = self.cells.get((row, column), {})
                if seed in cell:
                    yield row, column, cell[seed]


class Study:
    """The tables of runs of a recipe.

    `dev_rate(run, metric)` is the dev error rate of a run, infinite when it diverged, or
    None when it was not made: the only result on which the study depends.
    """

    def __init__(self, recipe, dev_rate):
        self.recipe = recipe
        self.dev_rate = dev_rate
        self.tuned = {method.name: self._choose(method) for method in METHODS}
        self.lid_tuned = {name: self._choose_lid(METHOD[name])
                          for name in recipe["lid_methods"]}
        self.tables = [self._main(10), self._main(60), self._sparsity(10), self._modules(),
                       self._blocks(), self._phones(), self._lid(), self._sparsity(60)]
        self.table = {table.name: table for table in self.tables}

    # Runs.

    def run(self, method, lang, seed, point, minutes=10, unit="char", **extra):
        """A run of a method at a point; None without a point."""
        if point is None:
            return None
        recipe = self.recipe
        settings = dict(recipe["settings"])
        settings["schedule.steps"] = recipe["steps"][str(minutes)]
        if unit != "lid":  # which has one score
            settings["eval.metric"] = "per" if unit == "phone" else "cer"
        settings["seed"] = seed
        settings.update(method.settings)
        settings.update(point)
        settings.update({key.replace("__", "."): value for key, value in extra.items()})
        dev_minutes = recipe["lid_minutes"]["dev"] if unit == "lid" else recipe["dev_minutes"]
        return Run(recipe["backbone"], method.start, lang, minutes, unit,
                   recipe["split_seed"], dev_minutes,
                   tuple(sorted(settings.items())))

    def tuning_runs(self, method):
        """The runs of tuning: a list, in the order of points, of lists by language."""
        seed = self.recipe["seeds"][0]
        return [[self.run(method, lang, seed, point)
                 for lang in self.recipe["tuning_languages"]] for point in method.points]

    def tuning_rate(self, runs):
        """Mean dev CER of a point over languages; None when one is missing."""
        found = [self.dev_rate(run, "cer") for run in runs]
        return None if None in found else sum(found) / len(found)

    def _choose(self, method):
        """The point with the lowest mean dev CER; None until all are measured."""
        found = [self.tuning_rate(runs) for runs in self.tuning_runs(method)]
        if None in found:
            return None
        return method.points[found.index(min(found))]

    def lid_run(self, method, seed, point):
        """Telling languages apart; None without a point."""
        recipe = self.recipe
        return self.run(method, "+".join(recipe["lid_languages"]), seed, point,
                        recipe["lid_minutes"]["train"], "lid",
                        schedule__steps=recipe["lid_steps"],
                        eval__every=recipe["lid_steps"] // 4)

    def lid_tuning_runs(self, method):
        return [self.lid_run(method, self.recipe["seeds"][0], point)
                for point in method.points]

    def _choose_lid(self, method):
        found = [self.dev_rate(run, "error") for run in self.lid_tuning_runs(method)]
        if None in found:
            return None
        return method.points[found.index(min(found))]

    # Tables.

    def _fill(self, table, make):
        """Sets each cell to make(row, column, seed) of each seed."""
        for row in table.rows:
            for column in table.columns:
                table.cells[row, column] = {
                    seed: make(row, column, seed) for seed in self.recipe["seeds"]}
        return table

    def _methods(self, table, minutes, unit):
        by_label = {method.label: method for method in METHODS}
        table.columns = list(by_label)
        return self._fill(table, lambda lang, label, seed: self.run(
            by_label[label], lang, seed, self.tuned[by_label[label].name], minutes, unit))

    def _main(self, minutes):
        hour = minutes == 60
        table = Table(f"main-{minutes}", "One hour" if hour else "Ten minutes", "language",
                      self.recipe["hour_languages" if hour else "languages"], [],
                      metrics=("cer", "wer"), means=True)
        return self._methods(table, minutes, "char")

    def _phones(self):
        table = Table("phones", "Phones", "language", self.recipe["study_languages"], [],
                      metrics=("per",), means=True)
        return self._methods(table, 10, "phone")

    def _lid(self):
        recipe = self.recipe
        columns = {METHOD[name].label: METHOD[name] for name in recipe["lid_methods"]}
        table = Table("lid", "Which language is spoken", "languages",
                      [str(len(recipe["lid_languages"]))], list(columns),
                      metrics=("error", "mean_error"))
        return self._fill(table, lambda _, label, seed: self.lid_run(
            columns[label], seed, self.lid_tuned[columns[label].name]))

    def _ori(self, lang, seed, minutes=10, **extra):
        return self.run(METHOD["ori"], lang, seed, self.tuned["ori"], minutes, **extra)

    def _sparsity(self, minutes):
        languages = self.recipe["study_languages"]
        values = self.recipe["sparsities"][str(minutes)]
        table = Table(f"sparsity-{minutes}", f"Sparsity, {minutes} minutes", "language",
                      languages, [f"{value:g}" for value in values])
        return self._fill(table, lambda lang, value, seed: self._ori(
            lang, seed, minutes, mask__sparsity=float(value)))

    def _modules(self):
        rows = [f"{lang}, {sparsity:g}" for lang in self.recipe["study_languages"]
                for sparsity in self.recipe["module_sparsities"]]
        table = Table("modules", "Feed-forward, attention or both", "language, sparsity", rows,
                      ["ffn", "attention", "both"])

        def make(row, modules, seed):
            lang, sparsity = row.split(", ")
            # "ffn" is the default and left out: so the run is that of the curve.
            extra = {} if modules == "ffn" else {"mask__modules": modules}
            return self._ori(lang, seed, mask__sparsity=float(sparsity), **extra)

        return self._fill(table, make)

    def _blocks(self):
        table = Table("blocks", "Which blocks are masked", "language",
                      self.recipe["study_languages"],
                      ["none"] + self.recipe["block_groups"] + ["all"])
        sparsity = self.recipe["block_sparsity"]

        def make(lang, blocks, seed):
            if blocks == "none":
                return self.run(METHOD["head"], lang, seed, self.tuned["head"])
            extra = {} if blocks == "all" else {"mask__blocks": blocks}
            return self._ori(lang, seed, mask__sparsity=sparsity, **extra)

        return self._fill(table, make)

    # All of it.

    def plan(self):
        """(experiment, run or None) in the order in which they are worth making."""
        for method in METHODS:
            for runs in self.tuning_runs(method):
                for run in runs:
                    yield "tuning", run
        for name in self.recipe["lid_methods"]:
            for run in self.lid_tuning_runs(METHOD[name]):
                yield "lid-tuning", run
        for seed in self.recipe["seeds"]:
            for table in self.tables[:-1]:
                for _, _, run in table.runs(seed):
                    yield table.name, run
        for seed in self.recipe["seeds"]:
            for _, _, run in self.tables[-1].runs(seed):
                yield self.tables[-1].name, run
