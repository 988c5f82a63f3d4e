"""What drives the error of held-out molecules: size, composition, structure, or distance to the training set.

Only held-out molecules are considered, with the offsets of the training set (protocol `held_out`). `seeds` separates
what all seeds repeat from their noise. `explain` and `trees` ask which descriptors explain the error, `size` how it
changes with the number of atoms while the rest is held fixed, `classes` which kinds of molecules are predicted worse
than the others. `record` holds the answers for one model; `python -m analysis error-sources` makes it with `compute`.
That and `trees` need scikit-learn, which takes a second to import, so they are not imported here.
"""

from analysis.evaluation.error_sources.classes import STRUCTURAL
from analysis.evaluation.error_sources.explain import TARGETS
from analysis.evaluation.error_sources.record import MODELS, ErrorSources, ErrorSourcesError, load, save
from analysis.evaluation.error_sources.seeds import errors_by_seed
from analysis.evaluation.error_sources.size import COMPARISONS
