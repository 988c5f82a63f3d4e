"""Where recorded numbers come from: how many runs, on what machines, in what time."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures import style
from analysis.figures.baseline import minutes
from analysis.figures.labels import label
from analysis.runs import Record


def took(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """A row per kind of machine and number of threads: the runs recorded with them, and how long those took.

    Times are wall times of training, validation and evaluation; runs that were recorded side by side on one machine
    count in full each.
    """
    rows = pd.DataFrame(
        {
            label("processor", lang): record.about["machine"]["processor"],
            label("threads", lang): style.number(record.about["machine"]["threads"], lang),
            "minutes": minutes(record),
        }
        for record in records
    )
    times = rows.groupby(list(rows.columns[:2]), sort=True)["minutes"]
    table = pd.DataFrame(
        {
            label("runs", lang): times.size().map(lambda n: style.number(n, lang)),
            label("minutes_per_run", lang): times.mean().map(lambda value: style.number(value, lang, 1)),
            label("minutes_in_all", lang): times.sum().map(lambda value: style.number(value, lang)),
        }
    ).reset_index()
    table.index = [""] * len(table)
    return table
