"""Draw the README's and the landing page's picture and the book's card from the records: part of `make notebooks`."""

from pathlib import Path

from analysis import study
from analysis.data import qm9
from analysis.figures import baseline, social_card

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"

if __name__ == "__main__":
    records = study.load_or_train(study.BaselineParameters(), qm9.load())["default"]
    for name, lang in (("error-by-size", "en"), ("error-by-size-ca", "ca")):
        (STATIC / f"{name}.png").write_bytes(baseline.error_by_size(records, lang=lang).png())
    (STATIC / "social-card.png").write_bytes(social_card.picture(records).png())
