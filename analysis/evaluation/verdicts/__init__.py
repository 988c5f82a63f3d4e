"""The statistical test behind each claim of the report: confirmed, rejected or undecided.

A rule stands in its function's docstring, in
the paragraph that begins with "Rule:", and `Verdict.rule` is that paragraph.

**What is estimated.** Effects are mean values over seeds of one number per seed: the logarithm of a ratio of mean
squared errors, or a rank correlation. Two configurations are compared seed by seed and molecule by molecule, since
both see the same held-out molecules.

**Intervals.** All seeds of a study share the held-out molecules. Which molecules those are is thus noise that all
seeds have in common: it does not show in the spread over seeds, and a t interval over seeds leaves it out. The
percentile bootstrap of a few seeds, on the other hand, is too narrow. So the variance of an effect is the sum of two:
that over seeds (their variance over their number) and that over molecules (the bootstrap variance of the mean over
seeds, with the molecules of every size resampled, the same ones for all seeds and configurations, as in Owen, Ann.
Appl. Stat. 1, 386 (2007)). What seeds and molecules do together is counted in both, which errs on the safe side. The
interval is Student's, with the degrees of freedom of Welch and Satterthwaite (Satterthwaite, Biometrics Bulletin 2,
110 (1946)). Molecules are resampled with exponential weights (Rubin, Ann. Stat. 9, 130 (1981)), so that no size loses
all of its molecules.

*Measured* on synthetic log ratios, 1,000 for each of 48 cases (3 and 5 seeds; 40, 100 and 400 molecules; seeds that
differ by 0 to 30 %; errors with the tails of Student's t with 5 degrees of freedom; molecules that are hard for one of
the two configurations in every seed, or are not), an interval of 95 % misses the truth in

| interval | 3 seeds | 5 seeds |
| --- | --- | --- |
| Student's t over seeds alone | 4 to 27 % | 4 to 49 % |
| percentile bootstrap of seeds and molecules | 1 to 15 % | 1 to 11 % |
| the one used here | 1 to 7 % | 1 to 8 % |

with the largest values for 40 molecules. One seed gives an infinite interval. How often whole rules err is said with
each; the tests measure it again.

**Protocols.** `held_out` has an error per held-out molecule. `as_reported` is known as sums over each set alone; only
seeds vary, and its sets are all molecules of QM9 of a size or with an element, of which none is drawn. Where a claim is
about neither, its protocol is `independent`.

**Decisions.** A claim is confirmed if the interval of 95 % lies wholly on its side of a threshold, rejected if it lies
wholly on the other, else undecided. The threshold is a factor of 1.1 in the mean squared error, in the direction that
the report says: a difference of a tenth is what the hyperparameter search calls too small to count
(`trials.TOLERANCE`), and a claim of an improvement that is smaller says nothing to a user. Each direction errs in 2.5 %
of the cases at the threshold itself, and less often away from it.

**Several comparisons in a claim.** A claim that has several parts is confirmed if each part is, without a correction
(an intersection-union test: Berger, Technometrics 24, 295 (1982)), and rejected if at least one part is, after Holm's
correction over its parts (Holm, Scand. J. Stat. 6, 65 (1979)). What is said of a single part (`Part.verdict`) is
corrected by Holm over the parts of its family.

**Several claims in a table.** Each verdict keeps its own level: a reader asks of one claim whether it holds. So of a
table of true nulls one in twenty would be decided. `together` therefore corrects by Holm over all verdicts that it is
given, and `Verdict.verdict_in_table` says which of them still stand.
"""

from analysis.evaluation.verdicts.claims import CLEAR, INDEPENDENT, seed_deviation, stage2
from analysis.evaluation.verdicts.curves import PROTOCOLS
from analysis.evaluation.verdicts.decisions import FACTOR, Part, Verdict, holm, rule_of, together
from analysis.evaluation.verdicts.table import CLAIMS, Claim, Evidence, Outcome, all_claims
