"""The study behind docs/results.md, on made-up records: python3 -m unittest."""

import copy
import json
import math
import signal
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from results import language_models, plot  # noqa: E402
from results.claims import HOLDS, MISSING, NOT, OPEN, Judge, together  # noqa: E402
from results.corpus import Corpus, fresh_shape  # noqa: E402
from results.program import Program  # noqa: E402
from results.records import Records  # noqa: E402
from results.report import Report, cell, grid_line  # noqa: E402
from results.runner import Runner  # noqa: E402
from results.study import METHOD, METHODS, RECIPE, Study  # noqa: E402
from results.summary import Score, difference, score  # noqa: E402

METRICS = ("cer", "wer", "per")
RECIPE_HERE = {**copy.deepcopy(RECIPE), "backbone": "ab" * 32, "seeds": [1, 2, 3]}


def errors(rate):
    """Of languages, which have no interval."""
    return {"error": {"rate": rate}, "mean_error": {"rate": rate}}


def record_of(run, rate, test_rate=None):
    """A record with one rate for every metric; dev's is also test's when that is None."""
    def metrics(value):
        return {"rate": value, "low": value - 0.01, "high": value + 0.01, "errors": 1,
                "reference": 100}
    test_rate = rate if test_rate is None else test_rate
    return {"key": run.key(), **run.identity(), "program": "s3r 0", "machine": "a machine",
            "step": 300, "seconds": 60.0, "eval_seconds": 1.0, "mask_bytes": 1000,
            "dev": {**{name: metrics(rate) for name in METRICS}, **errors(rate)},
            "test": {**{name: metrics(test_rate) for name in METRICS}, **errors(test_rate)},
            "test_languages": {lang: [4, 3] for lang in RECIPE["lid_languages"]}}


class WithRecords(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "results" / "runs.jsonl"
        self.records = Records(self.path)

    def study(self):
        return Study(RECIPE_HERE, self.records.dev_rate)

    def put(self, run, *rates):
        """A record in memory alone; writing hundreds of them takes long on some disks."""
        self.records.read(json.dumps(record_of(run, *rates)), 0)

    def tune(self, best=0):
        """Records of all tuning runs; the point with the number `best` is the lowest."""
        study = self.study()
        for method in METHODS:
            for index, runs in enumerate(study.tuning_runs(method)):
                for run in runs:
                    self.put(run, 0.3 if index == best else 0.5)
        for name in RECIPE_HERE["lid_methods"]:
            for index, run in enumerate(study.lid_tuning_runs(METHOD[name])):
                self.put(run, 0.3 if index == best else 0.5)

    def fill(self, rate):
        """Records of all runs that are missing, with the rate(experiment, run)."""
        for experiment, run in self.study().plan():
            if run and not self.records.of(run):
                self.put(run, rate(experiment, run))

    def claim(self, number):
        found = Judge(self.study(), self.records).claims()
        return next(claim for claim in found if claim.number == number)


class StudyTest(WithRecords):
    def test_budgets_of_tuning_are_equal(self):
        self.assertEqual({len(method.points) for method in METHODS}, {len(METHODS[0].points)})
        for method in METHODS:
            points = [json.dumps(point, sort_keys=True) for point in method.points]
            self.assertEqual(len(points), len(set(points)), method.name)

    def test_nothing_but_tuning_is_planned_before_tuning(self):
        plan = list(self.study().plan())
        self.assertTrue(all((run is not None) == name.endswith("tuning") for name, run in plan))

    def test_tuning_takes_the_lowest_dev_rate(self):
        self.tune(best=3)
        for method in METHODS:
            self.assertEqual(self.study().tuned[method.name], method.points[3])
        self.assertEqual(self.study().lid_tuned["ori"], METHODS[-1].points[3])
        self.assertTrue(all(run for _, run in self.study().plan()))

    def test_tuning_does_not_look_at_test(self):
        study = self.study()
        for method in METHODS:
            for index, runs in enumerate(study.tuning_runs(method)):
                for run in runs:
                    self.put(run, 0.3 + index / 100, 0.9 - index / 100)
        self.assertEqual(self.study().tuned["ori"], METHODS[-1].points[0])

    def test_a_point_that_diverged_is_not_chosen(self):
        self.tune()
        run = self.study().tuning_runs(METHODS[0])[0][0]
        changed = {"key": run.key(), **run.identity(), "diverged": True}
        self.records.by_key[run.key()] = changed
        self.assertEqual(self.study().tuned[METHODS[0].name], METHODS[0].points[1])

    def test_a_key_is_what_decides_a_run(self):
        run = self.study().tuning_runs(METHODS[0])[0][0]
        other = Study({**RECIPE_HERE, "backbone": "cd" * 32}, self.records.dev_rate)
        self.assertNotEqual(run.key(), other.tuning_runs(METHODS[0])[0][0].key())
        self.assertEqual(run.key(), self.study().tuning_runs(METHODS[0])[0][0].key())
        keys = {one.key() for _, one in self.study().plan() if one}
        self.assertEqual(len(keys), len({one for _, one in self.study().plan() if one}))

    def test_tables_share_runs(self):
        self.tune()
        table = self.study().table
        self.assertEqual(table["modules"].cells["nl, 0.1", "ffn"][2],
                         table["sparsity-10"].cells["nl", "0.1"][2])
        self.assertEqual(table["blocks"].cells["nl", "none"][1],
                         table["main-10"].cells["nl", "head only"][1])

    def test_the_first_seed_comes_first(self):
        self.tune()
        seeds = [run.seed for name, run in self.study().plan() if name != "sparsity-60"]
        self.assertEqual(seeds, sorted(seeds))


class RecordsTest(WithRecords):
    def test_records_survive(self):
        run = self.study().tuning_runs(METHODS[0])[0][0]
        self.records.add(record_of(run, 0.25))
        again = Records(self.path)
        self.assertEqual(again.of(run)["test"]["cer"]["rate"], 0.25)
        self.assertIsNone(again.of(None))
        self.assertEqual([path.name for path in self.path.parent.iterdir()], ["runs.jsonl"])

    def test_a_bad_line_is_named(self):
        self.path.parent.mkdir(parents=True)
        for text, message in (("{}\n", ":1: no JSON object"), ('{"key": "a"}\n' * 2, ":2: ")):
            self.path.write_text(text)
            with self.assertRaisesRegex(SystemExit, message):
                Records(self.path)


class SummaryTest(WithRecords):
    def test_score(self):
        self.tune()
        cell_runs = self.study().table["main-10"].cells["cs", "weights"]
        for seed, rate in ((1, 0.2), (3, 0.3)):
            self.put(cell_runs[seed], rate)
        found = score(self.records, cell_runs, "cer")
        self.assertAlmostEqual(found.mean, 25)
        self.assertAlmostEqual(found.deviation, math.sqrt(50))
        self.assertAlmostEqual(found.low, 24)
        self.assertEqual((found.n, found.missing, found.diverged), (2, 1, 0))
        self.assertEqual(cell(found), "25.00 ± 7.07 (n 2)")

    def test_cells(self):
        self.assertEqual(cell(Score({}, 0, 3)), "missing")
        self.assertEqual(cell(Score({}, 1, 3)), "diverged")
        self.assertEqual(cell(Score({1: 20.0}, 1, 3)), "20.00 (n 1, 1 diverged)")
        self.assertEqual(cell(Score({1: 20.0, 2: 21.0, 3: 22.0}, 0, 3)), "21.00 ± 1.00")

    def test_the_lowest_of_a_row_is_bold(self):
        nan = math.nan
        self.assertEqual(grid_line("a", [2, 1, nan], "xyz"), "| a | x | **y** | z |")
        self.assertEqual(grid_line("a", [2, nan, nan], "xyz"), "| a | x | y | z |")

    def test_differences_are_paired_by_seed(self):
        first, second = Score({1: 10.0, 2: 20.0}, 0, 3), Score({2: 19.0, 3: 50.0}, 0, 3)
        found = difference({"nl": (first, second)})
        self.assertEqual((found.by_row, found.count, found.seeds), ({"nl": 1.0}, 1, 1))
        self.assertTrue(math.isnan(found.error))
        self.assertIsNone(difference({"nl": (first, Score({3: 1.0}, 0, 3))}))

    def test_the_error_is_over_rows_when_they_are_many(self):
        def pairs(count):
            return {row: (Score({1: row, 2: row}, 0, 2), Score({1: 0, 2: 0}, 0, 2))
                    for row in range(count)}
        many = difference(pairs(5))
        self.assertEqual(many.count, 5)
        self.assertAlmostEqual(many.error, math.sqrt(2.5) / math.sqrt(5))
        self.assertEqual(difference(pairs(4)).count, 8)


class ClaimsTest(WithRecords):
    def test_nothing_is_claimed_without_records(self):
        found = Judge(self.study(), self.records).claims()
        self.assertEqual({claim.verdict for claim in found}, {MISSING})

    def test_a_claim_that_holds_and_one_that_does_not(self):
        self.tune()
        rates = {"ori": 0.20, "ri": 0.22, "wmi": 0.24}

        def rate(_, run):
            settings = dict(run.settings)
            jitter = (run.seed + len(run.lang + run.lang[0])) * 1e-4
            jitter += (ord(run.lang[0]) % 7) * 1e-4 * (settings["method"] == "mask")
            if settings["method"] == "adapter":
                return 0.1 + jitter
            return rates.get(settings.get("mask.init"), 0.3) + jitter
        self.fill(rate)
        self.assertEqual(self.claim("C2").verdict, HOLDS)
        self.assertEqual(self.claim("C10").verdict, NOT)
        self.assertIn("in 10 of 10 languages", " ".join(self.claim("C2").evidence))

    def test_equal_results_decide_nothing(self):
        self.tune()
        self.fill(lambda _, run: 0.3 + (run.seed - 1) / 100)
        for number in ("C1", "C2", "C10", "C12", "C14"):
            self.assertEqual(self.claim(number).verdict, OPEN, number)

    def test_the_best_sparsity_is_compared(self):
        self.tune()

        def rate(_, run):
            best = 0.3 if run.minutes == 60 else 0.06
            return 0.2 + abs(dict(run.settings).get("mask.sparsity", 0) - best)
        self.fill(rate)
        self.assertEqual(self.claim("C14").verdict, HOLDS)

    def test_together(self):
        self.assertEqual(together([HOLDS, HOLDS]), HOLDS)
        self.assertEqual(together([HOLDS, OPEN]), OPEN)
        self.assertEqual(together([MISSING, OPEN]), MISSING)
        self.assertEqual(together([MISSING, NOT]), NOT)


class ReportTest(WithRecords):
    def setUp(self):
        super().setUp()
        self.decodings = Records(self.path.with_name("lm.jsonl"))

    def report(self, recipe):
        return Report(recipe, self.records, self.decodings)

    def decode(self, lang, minutes, seed, form, wer):
        """A record of a mask with a form of decoding."""
        run = self.study().table[f"main-{minutes}"].cells[lang, "mask ORI"][seed]
        self.decodings.read(json.dumps({
            "key": language_models.key_of(run, form), "seed": seed,
            "test": {"wer": {"rate": wer}, "cer": {"rate": wer / 2}},
            "text": {"words": 9, "order": 3, "perplexity": 12.5}}), 0)

    def test_language_models(self):
        self.tune()
        for seed, wer in ((1, 0.8), (2, 0.9), (3, 1.0)):
            self.decode("cs", 10, seed, "word", wer)
        self.decode("nl", 60, 2, "greedy", 0.5)
        text = self.report(RECIPE_HERE).text()
        self.assertIn("| cs, 10 | words, lexicon | 90.00 ± 10.00 | 45.00 ± 5.00 | 3 |", text)
        self.assertIn("| nl, 60 | best label a frame | 50.00 (n 1) | 25.00 (n 1) | 1 |",
                      text)
        self.assertIn("| nl, 10 | words, lexicon | missing | missing | 0 |", text)
        self.assertIn("* cs, words: order 3, perplexity 12.5 on dev, 9 words of text.", text)

    def test_without_records_all_is_missing(self):
        report = self.report(RECIPE_HERE)
        text = report.text()
        self.assertEqual(report.plots, {})
        self.assertIn("not measured yet", text)
        self.assertIn("Nothing is measured yet.", text)

    def test_with_records_nothing_is_missing(self):
        self.tune()
        self.fill(lambda _, run: 0.2 + run.seed / 100)
        for lang, minutes, seed, _ in language_models.masks(self.study()):
            for form in language_models.FORMS:
                self.decode(lang, minutes, seed, form, 0.5)
        report = self.report(RECIPE_HERE)
        text = report.text()
        self.assertNotIn("| missing |", text)
        self.assertNotIn("nan", text)
        self.assertEqual(text.count("](results/"), len(report.plots) + 2)
        for name, svg in report.plots.items():
            self.assertTrue(xml.fromstring(svg).tag.endswith("svg"), name)

    def test_other_recipes_are_not_shown(self):
        self.tune()
        self.fill(lambda _, run: 0.2)
        other = {**RECIPE_HERE, "backbone": "cd" * 32}
        self.assertEqual(self.report(other).plots, {})

    def test_the_order_of_records_does_not_matter(self):
        self.tune()
        self.fill(lambda _, run: 0.2 + run.seed / 100)
        page = self.report(RECIPE_HERE).text()
        lines = self.records.lines
        self.records = Records(self.path)
        for line in reversed(lines):
            self.records.read(line, 0)
        self.assertEqual(page, self.report(RECIPE_HERE).text())


# A program that ends at once; head only diverges at one rate and fails at another.
STUB = """#!/bin/sh
echo "$@" >>"$0.calls"
case "$1" in
--version) echo "s3r 0" ;;
doctor) echo '{"cpu_level": "none"}' ;;
mask) echo '{"facts": {"step": 7, "backbone": {"hash": "ab"}, "data": {}}}' ;;
eval) echo '{"metrics": {"cer": {"rate": 0.5, "low": 0.4, "high": 0.6}}}' ;;
identify) echo '{"accuracy": 0.75, "mean_accuracy": 0.5, "languages":
    [{"language": "nl", "utterances": 4, "right": 3}]}' ;;
tune-lm) echo '{"best": {"lm_weight": 1.5, "word_score": -2}}' ;;
train)
    case "$*" in *.lr=0.01\\ *) exit 7 ;; *.lr=0.03\\ *) exit 1 ;; *.lr=0.1\\ *) kill -TERM $PPID; exec sleep 60 ;;
    esac
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$2" && echo mask >"$2/best.s3m" && echo state >"$2/checkpoint-1.s3c" ;;
esac
"""


class StubCorpus:
    """Has data for head only, of one language: in Dutch unless told otherwise."""

    def __init__(self, work, lang="nl"):
        self.work = work
        self.lang = lang

    def has(self, run):
        return run.lang == self.lang and dict(run.settings)["method"] == "head"

    def vocabulary(self, run):
        return run.lang

    def manifest(self, _, name):
        return name


class WithStub(WithRecords):
    def setUp(self):
        super().setUp()
        self.work = self.path.parents[1]
        self.stub = self.work / "s3r"
        self.stub.write_text(STUB)
        self.stub.chmod(0o755)
        self.said = []

    def calls(self):
        return self.stub.with_suffix(".calls").read_text()


class LanguageModelsTest(WithStub):
    """Models are there: making them takes packages."""

    def setUp(self):
        super().setUp()
        self.tune()
        self.decodings = Records(self.path.with_name("lm.jsonl"))
        self.run_ = self.study().table["main-10"].cells["cs", "mask ORI"][1]
        self.folder = self.work / "lm" / "cs"
        self.folder.mkdir(parents=True)
        for units, order in (("word", 3), ("char", 5)):
            (self.folder / f"{units}.{order}.s3l").touch()
            (self.folder / f"{units}.s3l").symlink_to(f"{units}.{order}.s3l")
        (self.folder / "perplexity").write_text("word 2 9.5\nword 3 8.5\nchar 5 4.25\n")
        (self.folder / "text.txt").write_text("a b\nc\n")

    def measure(self):
        decoder = language_models.LanguageModels(Program(self.stub), StubCorpus(self.work),
                                                 "backbone", self.said.append)
        decoder._models = lambda run, lang: self.folder
        return decoder.measure_all(self.study(), self.records, self.decodings)

    def add_mask(self):
        mask = self.work / "runs" / self.run_.key() / "best.s3m"
        mask.parent.mkdir(parents=True)
        mask.touch()

    def test_a_mask_is_decoded_once_in_each_form(self):
        self.assertEqual(self.measure(), 12)
        self.add_mask()
        self.assertEqual(self.measure(), 12)  # of no run
        self.put(self.run_, 0.3)
        self.assertEqual(self.measure(), 11)
        found = {record["form"]: record for record in self.decodings.by_key.values()}
        self.assertEqual(sorted(found), sorted(language_models.FORMS))
        self.assertEqual(found["word"]["text"], {"words": 3, "order": 3, "perplexity": 8.5})
        self.assertEqual(found["char"]["weights"], {"lm_weight": 1.5, "word_score": -2})
        self.assertEqual(found["greedy"]["test"]["cer"]["rate"], 0.5)
        self.assertNotIn("text", found["search"])
        self.assertIn(f"--lm {self.folder}/word.s3l --lexicon lm --lm-weight 1.5 "
                      "--word-score -2 --data test", self.calls())
        said = len(self.said)
        self.measure()
        self.assertEqual(len(self.said), said)

    def test_a_run_that_diverged_is_not_decoded(self):
        self.add_mask()
        self.records.by_key[self.run_.key()] = {"diverged": True}
        self.assertEqual(self.measure(), 12)
        self.assertEqual(self.decodings.by_key, {})


class RunnerTest(WithStub):

    def run_all(self, seconds=60, lang="nl"):
        runner = Runner(Program(self.stub), StubCorpus(self.work, lang), self.records,
                        RECIPE_HERE, "backbone", self.said.append)
        return runner, runner.run_all(1, time.monotonic() + seconds)

    def rates(self):
        return [record["settings"]["optimizer.lr"] for record in self.records.by_key.values()]

    def test_runs_failures_and_a_signal(self):
        runner, number = self.run_all()
        # The run that was on is ended, and the one after it is not begun.
        self.assertEqual(number, signal.SIGTERM)
        self.assertEqual(self.rates(), [3e-3, 1e-2])
        self.assertEqual([str(error) for error in runner.failed.values()],
                         ["s3r train ended with 1"])
        diverged = list(self.records.by_key.values())[1]
        self.assertTrue(diverged["diverged"])
        self.assertEqual(self.records.of(self.study().tuning_runs(METHODS[1])[0][0])["step"], 7)
        self.assertEqual(self.records.lines, self.path.read_text().splitlines())

    def test_what_is_large_is_removed(self):
        self.run_all()
        folder = self.work / "runs" / next(iter(self.records.by_key))
        self.assertEqual([path.name for path in folder.iterdir()], ["best.s3m"])
        self.assertFalse(folder.with_suffix(".seconds").exists())
        self.assertIn("$ s3r train -m backbone", folder.with_suffix(".log").read_text())

    def test_a_second_call_makes_what_is_missing(self):
        self.run_all()
        trained = "train -m backbone --vocab nl --train train-10 --dev dev-short"
        before = self.calls().count(trained)
        self.run_all()
        # The one that failed, the one that was stopped, and none of the others.
        self.assertEqual(self.calls().count(trained), before + 2)

    def test_languages_are_told_apart(self):
        self.tune()
        before = set(self.records.by_key)
        _, number = self.run_all(lang="+".join(RECIPE_HERE["lid_languages"]))
        self.assertEqual((number, self.said[0]), (0, "begins: 13 languages 10m lid pretrained "
                                                  "method=head optimizer.lr=0.003 seed=2"))
        added = [self.records.by_key[key] for key in set(self.records.by_key) - before]
        self.assertEqual(sorted(one["settings"]["seed"] for one in added), [2, 3])
        self.assertEqual(added[0]["test"], {"error": {"rate": 0.25}, "mean_error": {"rate": 0.5}})
        self.assertEqual(added[0]["test_languages"], {"nl": [4, 3]})
        self.assertIn("train -m backbone --task lid --train train-10 --dev dev-short", self.calls())
        self.assertIn("--manifest test --json", self.calls())
        self.assertNotIn("eval.metric", self.calls())

    def test_no_run_begins_after_the_deadline(self):
        self.run_all(seconds=-1)
        self.assertEqual(self.rates(), [])


class PlotTest(unittest.TestCase):
    def test_ticks_hold_their_range(self):
        for low, high in ((0, 1), (18.2, 97.4), (5, 5), (0, 0), (-3, 4e-3)):
            found = plot.ticks(low, high)
            self.assertLessEqual(found[0], low)
            self.assertGreaterEqual(found[-1], high)
            self.assertTrue(2 <= len(found) <= 9, found)

    def test_nothing_makes_no_plot(self):
        self.assertIsNone(plot.dots("t", "x", "y", ["a"], ["b"], {}))
        self.assertIsNone(plot.lines("t", "x", "y", {"a": []}))

    def test_text_is_escaped(self):
        svg = plot.dots("a < b & c", "x", "y", ["<r>"], ["c"], {("<r>", "c"): (1, math.nan)})
        self.assertIn("<r>", [part.text for part in xml.fromstring(svg).iter()])


class CorpusTest(unittest.TestCase):
    def test_sets_of_another_draw_are_refused(self):
        with tempfile.TemporaryDirectory() as work:
            Corpus(None, work, RECIPE_HERE).check()
            Corpus(None, work, RECIPE_HERE).check()
            with self.assertRaisesRegex(SystemExit, "draw.json: the sets were drawn with"):
                Corpus(None, work, {**RECIPE_HERE, "split_seed": 9}).check()

    def test_fresh_shape(self):
        found = fresh_shape({
            "model_type": "hubert", "conv_dim": [64, 128], "conv_kernel": [10, 7],
            "conv_stride": [5, 4], "feat_extract_norm": "group", "conv_bias": False,
            "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8,
            "num_attention_heads": 4, "num_conv_pos_embeddings": 128,
            "num_conv_pos_embedding_groups": 16, "do_stable_layer_norm": True})
        self.assertIn("conv=[(64,10,5)] + [(128,7,4)]", found)
        self.assertIn("pre_norm=true", found)
        self.assertIn("conv_bias=false", found)


if __name__ == "__main__":
    unittest.main()
