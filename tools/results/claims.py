"""What of the paper's claims holds here.  Each claim has a rule that is applied by code.

Most are made of comparisons.  "Better" is decided on test by the mean difference of error
rates: beyond two standard errors it holds or does not, else it is open.
Where a method has several settings (a sparsity), dev chooses among them.
"""

import math
from dataclasses import dataclass
from statistics import mean

from results.summary import difference, score

HOLDS, NOT, OPEN, MISSING = "holds", "does not hold", "open", "not measured yet"


@dataclass
class Claim:
    number: str
    says: str     # what the paper says
    rule: str     # when we call it so
    verdict: str
    evidence: list  # sentences


def verdict(found):
    """Of one comparison that should be negative."""
    if found is None:
        return MISSING
    if not math.isnan(found.error) and abs(found.mean) > 2 * found.error:
        return HOLDS if found.mean < 0 else NOT
    return OPEN


def together(verdicts):
    """Of several comparisons that must all hold."""
    for answer in (NOT, MISSING, OPEN):
        if answer in verdicts:
            return answer
    return HOLDS


def signed(value):
    return f"{value:+.2f}".replace("-", "−")


def sentence(name, found):
    if found is None:
        return f"{name}: {MISSING}."
    error = "no error with one pair" if math.isnan(found.error) else (
        f"standard error {found.error:.2f} from {found.count} differences")
    return (f"{name}: {signed(found.mean)} points ({error}), lower in {found.lower} of "
            f"{len(found.by_row)}; {verdict(found)}.")


class Judge:
    def __init__(self, study, records):
        self.study = study
        self.records = records

    def claims(self):
        return [self._c1(), self._c2(), self._c10(), self._c12(), self._c13(), self._c14()]

    # Comparisons.

    def _columns(self, name, first, second, metric="cer"):
        """The difference of two columns of a table."""
        table = self.study.table[name]
        return difference({row: tuple(score(self.records, table.cells[row, column], metric)
                                      for column in (first, second)) for row in table.rows})

    def _compare(self, comparisons):
        """Verdict and sentences of (name, table, first column, second column)."""
        found = [(name, self._columns(table, first, second))
                 for name, table, first, second in comparisons]
        return (together([verdict(one) for _, one in found]),
                [sentence(name, one) for name, one in found])

    def _best_on_dev(self, table, cells):
        """Index of the cell with the lowest mean dev CER over the seeds that all have (one
        that diverged is the worst); None when there is no such seed."""
        rates = [{seed: self.records.dev_rate(run, "cer") for seed, run in
                  table.cells[cell].items() if self.records.of(run)} for cell in cells]
        common = set.intersection(*map(set, rates))
        if not common:
            return None
        means = [mean(found[seed] for seed in common) for found in rates]
        return means.index(min(means))

    # Claims.

    def _c1(self):
        answer, evidence = self._compare([
            ("Ten minutes, mask ORI minus weights", "main-10", "mask ORI", "weights"),
            ("One hour, mask ORI minus weights", "main-60", "mask ORI", "weights")])
        return Claim("C1", "Discarding at most 10 % of the connections beats weight fine-tuning "
                     "at every amount of data.",
                     "Test CER of mask ORI is below that of weights, at ten minutes and at one "
                     "hour. A tenth of the connections is removed.",
                     answer, evidence)

    def _c2(self):
        answer, evidence = self._compare([
            ("Mask ORI minus mask RI", "main-10", "mask ORI", "mask RI"),
            ("Mask ORI minus mask WMI", "main-10", "mask ORI", "mask WMI")])
        evidence.append(self._lowest_of_three())
        evidence += self._compare([
            ("Beside the rule, mask RI minus weights", "main-10", "mask RI", "weights")])[1]
        return Claim("C2", "ORI is the best of the three first scores; RI is as good as weight "
                     "fine-tuning or better.",
                     "Test CER of mask ORI at ten minutes is below that of mask RI and of mask "
                     "WMI.", answer, evidence)

    def _lowest_of_three(self):
        table = self.study.table["main-10"]
        count = whole = 0
        for row in table.rows:
            means = [score(self.records, table.cells[row, column], "cer").mean
                     for column in ("mask ORI", "mask RI", "mask WMI")]
            if not any(map(math.isnan, means)):
                whole += 1
                count += means[0] == min(means)
        return f"ORI has the lowest mean of the three in {count} of {whole} languages measured."

    def _c10(self):
        answer, evidence = self._compare([
            ("Ten minutes, mask ORI minus adapters", "main-10", "mask ORI", "adapters"),
            ("One hour, mask ORI minus adapters", "main-60", "mask ORI", "adapters")])
        return Claim("C10", "Masks beat adapters, by 5 points of WER at ten minutes and 3 at one "
                     "hour.",
                     "Test CER of mask ORI is below that of adapters at ten minutes and at one "
                     "hour. Unlike the paper's, our adapters have a rate of their own and start "
                     "as identity.", answer, evidence)

    def _c12(self):
        table = self.study.table["modules"]
        sparsities = self.study.recipe["module_sparsities"]
        pairs = {"attention": {}, "both": {}}
        for lang in self.study.recipe["study_languages"]:
            rows = [f"{lang}, {sparsity:g}" for sparsity in sparsities]
            best = {}
            for modules in table.columns:
                chosen = self._best_on_dev(table, [(row, modules) for row in rows])
                if chosen is not None:
                    best[modules] = score(self.records, table.cells[rows[chosen], modules], "cer")
            for other, found in pairs.items():
                if "ffn" in best and other in best:
                    found[lang] = (best["ffn"], best[other])
        found = {other: difference(found) if len(found) ==
                 len(self.study.recipe["study_languages"]) else None
                 for other, found in pairs.items()}
        return Claim("C12", "Masking the feed-forward matrices only is best; attention only is "
                     "poor.",
                     "Test CER with masks on feed-forward matrices is below that with masks on "
                     "attention, and on both; dev chooses each one's sparsity.",
                     together([verdict(one) for one in found.values()]),
                     [sentence(f"Feed-forward minus {other}", one)
                      for other, one in found.items()])

    def _c13(self):
        groups = self.study.recipe["block_groups"]
        third, first = groups[2], groups[0]
        comparisons = [(f"Blocks {third} minus blocks {group}", "blocks", third, group)
                       for group in groups if group != third]
        answer, evidence = self._compare(comparisons)
        useless = self._columns("blocks", first, "none")
        evidence.append(sentence(f"Blocks {first} minus head only", useless))
        if useless is None:
            answer = MISSING if answer != NOT else NOT
        elif verdict(useless) == HOLDS:
            answer = NOT
        return Claim("C13", "The third of four groups of blocks matters most, the first is of no "
                     "use.",
                     "Test CER with masks in the third group is below that of each other group, "
                     "and masks in the first group are not better than the head alone.",
                     answer, evidence)

    def _c14(self):
        evidence, verdicts = [], []
        curves = [self.study.table[f"sparsity-{minutes}"] for minutes in (10, 60)]
        columns = [value for value in curves[0].columns if value in curves[1].columns]
        for lang in self.study.recipe["study_languages"]:
            best = []
            for table in curves:
                chosen = self._best_on_dev(table, [(lang, column) for column in columns])
                best.append(None if chosen is None else float(columns[chosen]))
            if None in best:
                verdicts.append(MISSING)
                evidence.append(f"{lang}: {MISSING}.")
                continue
            verdicts.append(HOLDS if best[1] > best[0] else NOT if best[1] < best[0] else OPEN)
            evidence.append(f"{lang}: best on dev {best[0]:g} with ten minutes, {best[1]:g} with "
                            f"one hour; {verdicts[-1]}.")
        evidence.append("Larger models: not measured, there is one backbone.")
        return Claim("C14", "More data bears a higher sparsity; larger models want a lower one.",
                     "The sparsity with the lowest mean dev CER is higher with one hour than with "
                     "ten minutes, in both languages, of those that both curves have. Neighbours "
                     "on the curve differ little, so this rule is weak.", together(verdicts), evidence)

