"""Draw the README's picture and the book's card from the records: part of `make notebooks`."""

from pathlib import Path

from analysis import study
from analysis.data import qm9
from analysis.figures import baseline, social_card

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"

if __name__ == "__main__":
    records = study.load_or_train(study.BaselineParameters(), qm9.load())["default"]
    (STATIC / "error-by-size.png").write_bytes(baseline.error_by_size(records, lang="en").png())
    (STATIC / "social-card.png").write_bytes(social_card.picture(records).png())
