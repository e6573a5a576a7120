"""Meta-learning on one interface: adapt, then a loss on the query. Read adapt.py, objective.py, fit.py."""

from tinymeta.meta.adapt import adapt
from tinymeta.meta.evaluate import adaptation_curve, inductive, on_query, transductive
from tinymeta.meta.fit import fit, trained
from tinymeta.meta.objective import joint, maml, over_tasks

__all__ = [
    "adapt",
    "adaptation_curve",
    "fit",
    "inductive",
    "joint",
    "maml",
    "on_query",
    "over_tasks",
    "trained",
    "transductive",
]
