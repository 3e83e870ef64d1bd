"""Means, deviations and paired differences of records.  Rates here are in percent."""

import math
from dataclasses import dataclass
from statistics import mean, stdev


@dataclass
class Score:
    """An error rate over seeds."""

    values: dict  # seed -> rate, of runs that were made and did not diverge
    diverged: int
    planned: int
    low: float = math.nan   # mean of the seeds' 95 % intervals
    high: float = math.nan

    @property
    def n(self):
        return len(self.values)

    @property
    def mean(self):
        return mean(self.values.values()) if self.values else math.nan

    @property
    def deviation(self):
        """Of the seeds; NaN for one."""
        return stdev(self.values.values()) if self.n > 1 else math.nan

    @property
    def missing(self):
        return self.planned - self.n - self.diverged


def score(records, cell, metric, split="test"):
    """The Score of a cell of a study.Table: {seed: run or None}."""
    found = {seed: records.of(run) for seed, run in cell.items()}
    found = {seed: record for seed, record in found.items() if record}
    sound = {seed: record[split][metric] for seed, record in found.items()
             if not record.get("diverged")}
    result = Score({seed: 100 * value["rate"] for seed, value in sound.items()},
                   len(found) - len(sound), len(cell))
    if sound and all("low" in value for value in sound.values()):
        result.low = 100 * mean(value["low"] for value in sound.values())
        result.high = 100 * mean(value["high"] for value in sound.values())
    return result


@dataclass
class Difference:
    """Of two columns over the rows of a table: first minus second."""

    by_row: dict  # row -> mean over the seeds that both have
    error: float  # standard error of the mean; NaN for one difference
    count: int    # differences that the error is from
    seeds: int    # smallest number of seeds of a row

    @property
    def mean(self):
        return mean(self.by_row.values())

    @property
    def lower(self):
        """Rows where the first is the lower one."""
        return sum(value < 0 for value in self.by_row.values())


MANY_ROWS = 5  # from so many rows on the error is that over rows


def difference(pairs):
    """The Difference of {row: (Score, Score)}; None when a row has no common seed.

    With many rows (languages) the standard error is that of the rows' mean differences;
    with few, that of all (row, seed) pairs, which then says nothing about other languages.
    """
    by_pair = {row: [first.values[seed] - second.values[seed]
                     for seed in first.values if seed in second.values]
               for row, (first, second) in pairs.items()}
    if not by_pair or not all(by_pair.values()):
        return None
    by_row = {row: mean(values) for row, values in by_pair.items()}
    units = list(by_row.values())
    if len(by_row) < MANY_ROWS:
        units = [value for values in by_pair.values() for value in values]
    error = stdev(units) / math.sqrt(len(units)) if len(units) > 1 else math.nan
    return Difference(by_row, error, len(units), min(map(len, by_pair.values())))
