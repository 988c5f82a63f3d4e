"""The experiments: their arms, the records of these, and the hyperparameter search."""

from analysis.study.base import seed_by_seed, steps_per_epoch, work
from analysis.study.description import describe
from analysis.study.experiments import (
    EPOCHS_OF_BUDGET,
    EXPERIMENTS,
    RECIPE,
    VARIATIONS,
    BalancingParameters,
    BaselineParameters,
    BeyondParameters,
    BeyondRemediesParameters,
    BeyondSplitsParameters,
    ConfirmationParameters,
    DefaultToCustomParameters,
    DirectedTrainingParameters,
    DynamicsParameters,
    ExtrapolationParameters,
    FinalComparisonParameters,
    ForcesParameters,
    GeometriesParameters,
    LargeMoleculesParameters,
    LearningCurveParameters,
    LossModificationParameters,
    RecipeParameters,
    SensitivityParameters,
)
from analysis.study.runs import (
    Status,
    StudyError,
    expected_seconds,
    load_or_train,
    other_records,
    plan,
    recorded,
    recorded_arms,
    status,
)
