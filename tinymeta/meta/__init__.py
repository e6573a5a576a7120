"""Meta-learning on one interface: adapt, then a loss on the query.

Read adapt.py and objective.py for the inner loop, learner.py and then any algorithm, fit.py for the
outer loop, evaluate.py for measuring.
"""

from tinymeta.meta.adapt import adapt
from tinymeta.meta.anil import ANIL
from tinymeta.meta.cavia import CAVIA
from tinymeta.meta.conjugate import conjugate_gradients
from tinymeta.meta.evaluate import adaptation_curve, evaluate, inductive, on_query, one_by_one, transductive
from tinymeta.meta.fit import fit, trained
from tinymeta.meta.implicit import Implicit
from tinymeta.meta.implicit_error import meta_gradient_errors
from tinymeta.meta.incontext import InContext, Reader
from tinymeta.meta.learner import GradientLearner, Learner, classification, regression
from tinymeta.meta.maml import MAML, Joint
from tinymeta.meta.mamlpp import MAMLPlusPlus
from tinymeta.meta.matching import MatchingNet
from tinymeta.meta.metasgd import MetaSGD
from tinymeta.meta.objective import joint, maml, over_tasks, query_loss
from tinymeta.meta.protonet import ProtoNet
from tinymeta.meta.relation import Relation, RelationNet

__all__ = [
    "ANIL",
    "CAVIA",
    "MAML",
    "GradientLearner",
    "Implicit",
    "InContext",
    "Joint",
    "Learner",
    "MAMLPlusPlus",
    "MatchingNet",
    "MetaSGD",
    "ProtoNet",
    "Reader",
    "Relation",
    "RelationNet",
    "adapt",
    "adaptation_curve",
    "classification",
    "conjugate_gradients",
    "evaluate",
    "fit",
    "inductive",
    "joint",
    "maml",
    "meta_gradient_errors",
    "on_query",
    "one_by_one",
    "over_tasks",
    "query_loss",
    "regression",
    "trained",
    "transductive",
]
