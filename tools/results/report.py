"""docs/results.md and its plots, made from the records alone."""

import math
from statistics import mean

from results import language_models, plot
from results.claims import Judge
from results.study import METHOD, METHODS, Study
from results.summary import Score, score

RATE_NAME = {"cer": "CER", "wer": "WER", "per": "PER", "error": "errors",
             "mean_error": "errors, mean over languages"}
NOTES = {
    "main-10": "Ten minutes of training speech a language. The last row is the mean of the "
               "rows above and is there when none is missing.",
    "main-60": "One hour, for the two languages that have so much.",
    "sparsity-10": "Mask ORI at its tuned rate, with another part of the connections removed.",
    "modules": "Mask ORI at its tuned rate with masks on other matrices.",
    "blocks": "Mask ORI with masks in some blocks only; the others stay whole and frozen. "
              "\"none\" is the head alone, at its own tuned rate.",
    "phones": "Labels are phones of espeak-ng instead of letters, the same ten minutes. "
              "Settings are those that were tuned for letters.",
    "lid": "One mask or model tells languages apart, from at most ten minutes of each "
           "([identification.md](identification.md)); an error is a clip whose language is "
           "named wrong. Each method's rate is that with the fewest errors on dev, seed 1. Most "
           "languages have one or two voices, in training and test alike, so this is also "
           "voice, microphone and package that are told apart: expect more errors on speech "
           "from elsewhere. {steps} steps, of which those with the fewest errors on dev are "
           "taken (at most {dev} minutes a language, all of it heard four times during "
           "training).",
    "sparsity-60": "The same curve with one hour.",
}


class Report:
    def __init__(self, recipe, records, decodings, name="results"):
        self.recipe = recipe
        self.records = records
        self.decodings = decodings  # Records of language_models.py
        self.study = Study(recipe, records.dev_rate)
        self.name = name  # of the folder of plots
        self.plots = {}   # file name -> SVG

    def text(self):
        parts = [self._opening(), self._claims(), self._method(), self._tuning()]
        parts += [self._table(table) for table in self.study.tables]
        parts += [self._language_models(), self._numbers(), AGAIN]
        return "\n\n".join(part.strip() for part in parts) + "\n"

    # The head of the page.

    def _planned(self):
        """The runs of the plan, each once; None stands for those that wait for tuning."""
        seen, waiting = {}, 0
        for _, run in self.study.plan():
            if run is None:
                waiting += 1
            else:
                seen[run] = self.records.of(run)
        return seen, waiting

    def _opening(self):
        planned, waiting = self._planned()
        made = [record for record in planned.values() if record]
        state = f"{len(made)} runs are made, {len(planned) - len(made)} are missing"
        if waiting:
            state += f", and {waiting} more wait for the tuning of their method"
        return OPENING.format(state=state)

    def _claims(self):
        claims = Judge(self.study, self.records).claims()
        lines = ["## Claims of the paper", "", CLAIMS.strip(), "", "| claim | here |", "|---|---|"]
        lines += [f"| {claim.number}: {claim.says} | **{claim.verdict}** |" for claim in claims]
        for claim in claims:
            lines += ["", f"**{claim.number}: {claim.verdict}.** Rule: {claim.rule}", ""]
            lines += [f"* {text}" for text in claim.evidence]
        return "\n".join(lines)

    def _method(self):
        recipe, (planned, _) = self.recipe, self._planned()
        made = [record for record in planned.values() if record]
        steps = ", ".join(f"{count} with {minutes} minutes of data"
                          for minutes, count in recipe["steps"].items())
        settings = " ".join(f"{key}={value}" for key, value in recipe["settings"].items())
        return METHOD_TEXT.format(
            backbone=f"`{recipe['backbone']}`" if recipe["backbone"] else "not chosen yet",
            steps=steps, settings=settings, split_seed=recipe["split_seed"],
            dev_minutes=f"{recipe['dev_minutes']:g}", seeds=", ".join(map(str, recipe["seeds"])),
            machines=listed(record["machine"] for record in made),
            programs=listed(record["program"] for record in made),
            points=len(METHODS[0].points), tuning=" and ".join(recipe["tuning_languages"]),
            runs=len(METHODS[0].points) * len(recipe["tuning_languages"]),
            tuning_seed=recipe["seeds"][0])

    # Tuning.

    def _tuning(self):
        short = ["| method | trained with | chosen | mean dev CER | |", "|---|---|---|---|---|"]
        languages = self.recipe["tuning_languages"]
        whole = ["| method | point | " + " | ".join(languages) + " | mean |",
                 "|---|---|" + "---|" * (len(languages) + 1)]
        for method in METHODS:
            short.append(self._tuned(method))
            whole += self._points(method)
        image = self._image("tuning", plot.lines(
            "Tuning: mean dev CER by learning rate", "optimizer.lr",
            "dev CER, %", {method.label: self._by_rate(method) for method in METHODS}))
        return "\n".join(["## Tuning", "", TUNING.strip(), "", *short, "", *image, "<details>",
                          "<summary>Every point</summary>", "", *whole, "", "</details>"])

    def _rate(self, runs):
        """Mean dev CER in percent, or None."""
        found = self.study.tuning_rate(runs)
        return None if found is None else 100 * found

    def _tuned(self, method):
        point = self.study.tuned[method.name]
        trained = "`" + spelled(method.settings) + "`"
        if point is None:
            made = sum(self.records.of(run) is not None
                       for runs in self.study.tuning_runs(method) for run in runs)
            total = len(method.points) * len(self.recipe["tuning_languages"])
            return f"| {method.label} | {trained} | missing | {made} of {total} runs made | |"
        rate = self._rate(self.study.tuning_runs(method)[method.points.index(point)])
        tried = sorted({one["optimizer.lr"] for one in method.points})
        edge = "an end of its rates" if point["optimizer.lr"] in (tried[0], tried[-1]) else ""
        return f"| {method.label} | {trained} | `{spelled(point)}` | {percent(rate)} | {edge} |"

    def _points(self, method):
        lines = []
        for point, runs in zip(method.points, self.study.tuning_runs(method)):
            rates = [self._rate([run]) for run in runs] + [self._rate(runs)]
            best = "**" if point == self.study.tuned[method.name] else ""
            lines.append(f"| {method.label} | {best}`{spelled(point)}`{best} | "
                         + " | ".join(map(percent, rates)) + " |")
        return lines

    def _by_rate(self, method):
        found = [(point["optimizer.lr"], self._rate(runs))
                 for point, runs in zip(method.points, self.study.tuning_runs(method))]
        return [(place, (rate, math.nan)) for place, rate in found
                if rate is not None and math.isfinite(rate)]

    # Tables.

    def _table(self, table):
        lid = {"steps": self.recipe["lid_steps"], "dev": self.recipe["lid_minutes"]["dev"]}
        lines = [f"## {table.title}", "", NOTES[table.name].format(**lid)]
        for metric in table.metrics:
            scores = {cell: score(self.records, runs, metric)
                      for cell, runs in table.cells.items()}
            lines += ["", f"Test {RATE_NAME[metric]} in percent:", ""]
            lines += self._grid(table, scores)
            lines += ["", *self._image(f"{table.name}-{metric}",
                                       self._plot(table, scores, metric))]
        if table.name == "lid":
            lines += self._by_language(table)
        return "\n".join(lines)

    def _by_language(self, table):
        """The rates that were tried, and each language's errors in the order of seeds."""
        lines = ["| method | point | dev errors |", "|---|---|---|"]
        for name in self.recipe["lid_methods"]:
            method = METHOD[name]
            for point, run in zip(method.points, self.study.lid_tuning_runs(method)):
                rate = self.records.dev_rate(run, "error")
                best = "**" if point == self.study.lid_tuned[name] else ""
                lines.append(f"| {method.label} | {best}`{spelled(point)}`{best} | "
                             f"{percent(None if rate is None else 100 * rate)} |")
        lines += ["", "Each language's, by seed:", "",
                 "| " + " | ".join(["language", "clips"] + table.columns) + " |",
                 "|---" * (len(table.columns) + 2) + "|"]
        for lang in self.recipe["lid_languages"]:
            clips, cells = "", []
            for column in table.columns:
                shown = []
                for run in table.cells[table.rows[0], column].values():
                    record = self.records.of(run)
                    if not record or record.get("diverged"):
                        shown.append("-")
                        continue
                    total, right = record["test_languages"][lang]
                    shown.append(f"{100 * (1 - right / total):.1f}")
                    clips = str(total)
                cells.append(" ".join(shown))
            lines.append("| " + " | ".join([lang, clips or "missing"] + cells) + " |")
        return lines

    def _grid(self, table, scores):
        lines = ["| " + " | ".join([table.corner] + table.columns) + " |",
                 "|---" * (len(table.columns) + 1) + "|"]
        for row in table.rows:
            found = [scores[row, column] for column in table.columns]
            lines.append(grid_line(row, [one.mean for one in found], [cell(one) for one in found]))
        if table.means:
            means = [mean(scores[row, column].mean for row in table.rows)
                     for column in table.columns]
            lines.append(grid_line("mean", means, map(percent, means)))
        return lines

    def _plot(self, table, scores, metric):
        values = {place: (one.mean, one.deviation) for place, one in scores.items() if one.n}
        title = f"{table.title}: test {RATE_NAME[metric]}, mean and standard deviation of seeds"
        label = f"test {RATE_NAME[metric]}, %"
        if not table.name.startswith("sparsity"):
            return plot.dots(title, table.corner, label, table.rows, table.columns, values)
        return plot.lines(title, "sparsity (part that is removed)", label, {
            row: [(float(column), values[row, column]) for column in table.columns
                  if (row, column) in values] for row in table.rows})

    def _image(self, name, svg):
        """The lines that show a plot; none without one."""
        if svg is None:
            return []
        self.plots[f"{name}.svg"] = svg
        return [f"![plot of the table]({self.name}/{name}.svg)", ""]

    # Language models.

    def _language_models(self):
        """Word and character error rates of the forms of decoding, mean over the masks."""
        lines = ["## Language models", "", LANGUAGE_MODELS.strip(), "",
                 "| language, minutes | decoding | test WER | test CER | masks |",
                 "|---|---|---|---|---|"]
        texts, rates_of = {}, {}
        for place, found in self._decoded().items():
            for form, (label, _) in language_models.FORMS.items():
                records = found.get(form, [])
                rates = {metric: self._spread(records, metric) for metric in ("wer", "cer")}
                rates_of[f"{place[0]}, {place[1]}", label] = rates["wer"]
                lines.append(f"| {place[0]}, {place[1]} | {label} | {cell(rates['wer'])} "
                             f"| {cell(rates['cer'])} | {len(records)} |")
                texts.update({(place[0], form): record["text"] for record in records
                              if "text" in record})
        lines += ["", *self._image("language-models", self._decoding_plot(rates_of))]
        lines += [*(f"* {lang}, {form}s: order {text['order']}, perplexity "
                        f"{text['perplexity']:g} on dev, {text['words']} words of text."
                        for (lang, form), text in sorted(texts.items()))]
        return "\n".join(lines)

    def _decoded(self):
        """(language, minutes) -> form -> records."""
        found = {}
        for lang, minutes, _, run in language_models.masks(self.study):
            forms = found.setdefault((lang, minutes), {})
            for form in language_models.FORMS if run else ():
                record = self.decodings.by_key.get(language_models.key_of(run, form))
                if record:
                    forms.setdefault(form, []).append(record)
        return found

    def _spread(self, records, metric):
        rates = {record["seed"]: 100 * record["test"][metric]["rate"] for record in records}
        return Score(rates, 0, len(self.recipe["seeds"]))

    @staticmethod
    def _decoding_plot(rates):
        """Word error rates of {(place, form): Score}."""
        return plot.dots(
            "Language models: test WER, mean and standard deviation of seeds",
            "language, minutes", "test WER, %", list(dict.fromkeys(row for row, _ in rates)),
            list(dict.fromkeys(column for _, column in rates)),
            {place: (found.mean, found.deviation) for place, found in rates.items() if found.n})

    # Every number.

    def _numbers(self):
        lines = ["| table | row | column | n | dev | test | test WER | best step | file, kB "
                 "| minutes |", "|---" * 10 + "|"]
        for table in self.study.tables:
            for place, runs in table.cells.items():
                if any(self.records.of(run) for run in runs.values()):
                    lines.append(self._number_line(table, place, runs))
        body = lines if len(lines) > 2 else ["Nothing is measured yet."]
        return "\n".join(["## Every number", "", NUMBERS.strip(), "", *body])

    def _number_line(self, table, place, runs):
        metric = table.metrics[0]
        found = [record for record in map(self.records.of, runs.values()) if record]
        sound = [record for record in found if not record.get("diverged")]
        test = score(self.records, runs, metric)
        words = score(self.records, runs, "wer") if "wer" in table.metrics else None
        return "| " + " | ".join([
            table.title, *place, str(len(found)), cell(score(self.records, runs, metric, "dev")),
            cell(test) + interval(test), cell(words) + interval(words) if words else "",
            " ".join(str(record["step"]) for record in sound),
            f"{mean(record['mask_bytes'] for record in sound) / 1e3:.0f}" if sound else "",
            f"{mean(record['seconds'] for record in found) / 60:.1f}"]) + " |"


# How values are written.

def spelled(settings):
    """KEY=VALUE as on the command line."""
    return " ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
                    for key, value in settings.items())


def percent(value):
    if value is None or math.isnan(value):
        return "missing"
    return "diverged" if math.isinf(value) else f"{value:.2f}"


def cell(found):
    """A Score: mean, deviation, and what is not as planned."""
    if not found.n:
        return "diverged" if found.diverged else "missing"
    text = f"{found.mean:.2f}"
    if found.n > 1:
        text += f" ± {found.deviation:.2f}"
    notes = [f"n {found.n}"] if found.n < 3 else []
    notes += [f"{found.diverged} diverged"] if found.diverged else []
    return f"{text} ({', '.join(notes)})" if notes else text


def interval(found):
    return "" if math.isnan(found.low) else f" [{found.low:.1f}, {found.high:.1f}]"


def grid_line(row, means, texts):
    """A line with its lowest value in bold, when there is something to compare it with."""
    measured = [value for value in means if not math.isnan(value)]
    best = min(measured) if len(measured) > 1 else None
    shown = [f"**{text}**" if value == best else text for value, text in zip(means, texts)]
    return "| " + " | ".join([row] + shown) + " |"


def listed(values):
    return "; ".join(sorted(set(values))) or "none yet"


# The prose of the page.

OPENING = """
# Results

What the methods of `s3r train` reach on ten languages with ten minutes of speech each, and
which of the paper's claims hold here. This page is written by `tools/results.py report` from
[results/runs.jsonl](results/runs.jsonl), which has one line a run, and
[results/lm.jsonl](results/lm.jsonl), a line a decoding; no result in it is typed by hand. What
was not measured is called missing. Results are reported as they came, also where they disagree
with the paper.

**State:** {state}.
"""

CLAIMS = """
The claims are numbered in the order of the paper, C1 to C16; those that are not here need other
backbones, other corpora or other programs. The paper has one seed a point and a
backbone of 95 million parameters that heard 960 hours; ours is much smaller and heard far less.
So "does not hold" means here, not there.

Methods are compared by the difference of their error rates, paired by language and seed. Its
standard error is that of the languages' mean differences when there are five languages or more;
with fewer it is that of all pairs of language and seed, which tells nothing about other
languages. A mean difference of less than two standard errors is called open. A claim of several
parts holds when all of them do.
"""

METHOD_TEXT = """
## What was measured

* **Data.** Recorded speech in Debian's packages, `s3r data prepare debian`
  ([data.md](data.md#debians-speech-packages) has minutes, clips and licences). No text is in
  two of train, dev and test. Training sets are drawn once by `s3r data split --seed
  {split_seed}`, the same for every seed and method: spreads are those of training alone.
* **Speakers.** Train, dev and test share their voices, and most languages have one or two. These
  are error rates of known voices on short sentences; they compare methods and say little about
  strangers.
* **Backbone.** Content hash {backbone}. It was pretrained on speech of the same packages, without
  the clips of dev and test, and on what its model card names.
* **Training.** Of transcription (languages told apart have a section of their own). Steps:
  {steps}. For all methods: `{settings}`; all else as `s3r train` has it. The
  step is chosen on dev by CER (phones: PER), of which at most {dev_minutes} minutes are listened to
  during training. The extractor is frozen with every method but random init.
* **Random init.** Fresh weights of the backbone's shape, others for each seed, all of them trained,
  the extractor too.
* **Tuning.** {points} points a method, the same number for all, each on {tuning} with ten minutes and
  seed {tuning_seed}: {runs} runs a method. The point with the lowest mean dev CER is taken for all
  other runs, of other languages, of one hour and of phones too. (Rates were moved
  after a look at dev where the best was at an end: down for random init, which had one more run,
  Dutch at 5e-4 with a dev CER of 96.9; up for weights, which had 1e-4 and 2e-4, and for the
  head alone, which had 1e-3, and with it for the fixed mask.) Sizes (part removed, width,
  rank) are not tuned; the sparsity has a table of its own.
* **Scores.** `s3r eval` over the whole of dev and of test, in fp32. Everything is chosen on dev;
  test is read once a run and decides nothing. Mean ± standard deviation over seeds
  ({seeds}); n is shown when it is below 3; the lowest in a row is bold.
* **Intervals** [low, high] are `s3r eval`'s, 95 % over test utterances, mean of the seeds.
* **Made by:** {programs}.
* **Machine:** {machines}.
"""

TUNING = """
The chosen rate decides everything below. Where it is at an end of the rates that were tried, a
better one may lie beyond.
"""

LANGUAGE_MODELS = """
Masks ORI of the main tables, decoded with and without language models
([decoding.md](decoding.md#what-it-is-worth)). The text is that of the training sentences and of
Debian packages in the language (LibreOffice's help, manual pages, the manual of aptitude; Czech
fortunes, the Dutch Debian FAQ; GPL and MPL), without any sentence of dev or test. The order is
that with the lowest perplexity on dev; weights are those with the lowest word error rate on 1.5
minutes of dev, for each mask; the lexicon is all words of the text.
"""

NUMBERS = """
A line for each cell with at least one run. dev and test are CER, for phones PER, for languages
errors. Best steps are
listed by seed; file is the size of the result (`best.s3m`), minutes the time of training on one
thread.
"""

AGAIN = """
## Other results

* Bytes of masks, and what N languages cost: [masks.md](masks.md#smaller-files).
* Time and memory of many masks on one backbone: [router.md](router.md#what-it-costs).

## Running it again

    tools/build.sh release
    tools/results.py data [PACKAGES]           # manifests and vocabularies, minutes
    tools/results.py list                      # what there is and what is missing
    tools/results.py run --backbone FOLDER --hours 8 --jobs 2
    tools/results.py lm --backbone FOLDER      # masks with language models
    tools/results.py report                    # this page and its plots
    tools/results.py check                     # whether this page is that of the records

`PACKAGES` is a folder with Debian's packages or their content; without it they are fetched by
`apt-get`. Phones need `espeak-ng`. `run` makes what is missing in an order that fills tables
early: tuning, then every table with the first seed, then the other seeds. It may be stopped at
any time and goes on where it was. Recipe, methods and tables are in `tools/results/study.py`:
another recipe or backbone begins the study anew, and the old records stay in the file. The same
program on a processor of the same level gives the same bits; bf16 products of another level
differ in rounding.
"""
