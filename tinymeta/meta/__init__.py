"""Meta-learning on one interface: adapt, then a loss on the query.

Read adapt.py and objective.py for the inner loop, learner.py and then any algorithm, fit.py for the
outer loop, evaluate.py for measuring.
"""

from tinymeta.meta.adapt import adapt
from tinymeta.meta.anil import ANIL
from tinymeta.meta.carried import Carried, Carrying
from tinymeta.meta.cavia import CAVIA
from tinymeta.meta.conjugate import conjugate_gradients
from tinymeta.meta.distill_data import Synthetic, Trial, Trials, distillation, distilled
from tinymeta.meta.evaluate import adaptation_curve, evaluate, inductive, on_query, one_by_one, transductive
from tinymeta.meta.fit import fit, trained
from tinymeta.meta.hypergradient import Hypergradient, Problem, unrolled
from tinymeta.meta.implicit import Implicit
from tinymeta.meta.implicit_error import meta_gradient_errors
from tinymeta.meta.incontext import InContext, Reader
from tinymeta.meta.learned_loss import LossNetwork, shaped_loss
from tinymeta.meta.learned_optimizer import LearnedRule, LSTMRule, MLPRule, descend, rescaled, window_loss
from tinymeta.meta.learner import GradientLearner, Learner, classification, regression
from tinymeta.meta.maml import MAML, Joint
from tinymeta.meta.mamlpp import MAMLPlusPlus
from tinymeta.meta.matching import MatchingNet
from tinymeta.meta.memory import GradientMemory
from tinymeta.meta.metaadam import MetaAdam
from tinymeta.meta.metasgd import MetaSGD
from tinymeta.meta.mldg import mldg
from tinymeta.meta.objective import joint, maml, over_tasks, query_loss
from tinymeta.meta.online import OnlineMetaSGD
from tinymeta.meta.policy import CategoricalPolicy, GaussianPolicy, policy_gradient
from tinymeta.meta.policy_search import PolicySearch
from tinymeta.meta.protonet import ProtoNet
from tinymeta.meta.pseudo_tasks import Cactus, Umtra, k_means, partitions_of
from tinymeta.meta.relation import Relation, RelationNet
from tinymeta.meta.reweight import WeightNet, agreement, clean_weights, look_ahead, weight_net_loss
from tinymeta.meta.teacher import Distillation
from tinymeta.meta.trpo import TRPO

__all__ = [
    "ANIL",
    "CAVIA",
    "MAML",
    "TRPO",
    "Cactus",
    "Carried",
    "Carrying",
    "CategoricalPolicy",
    "Distillation",
    "GaussianPolicy",
    "GradientLearner",
    "GradientMemory",
    "Hypergradient",
    "Implicit",
    "InContext",
    "Joint",
    "LSTMRule",
    "LearnedRule",
    "Learner",
    "LossNetwork",
    "MAMLPlusPlus",
    "MLPRule",
    "MatchingNet",
    "MetaAdam",
    "MetaSGD",
    "OnlineMetaSGD",
    "PolicySearch",
    "Problem",
    "ProtoNet",
    "Reader",
    "Relation",
    "RelationNet",
    "Synthetic",
    "Trial",
    "Trials",
    "Umtra",
    "WeightNet",
    "adapt",
    "adaptation_curve",
    "agreement",
    "classification",
    "clean_weights",
    "conjugate_gradients",
    "descend",
    "distillation",
    "distilled",
    "evaluate",
    "fit",
    "inductive",
    "joint",
    "k_means",
    "look_ahead",
    "maml",
    "meta_gradient_errors",
    "mldg",
    "on_query",
    "one_by_one",
    "over_tasks",
    "partitions_of",
    "policy_gradient",
    "query_loss",
    "regression",
    "rescaled",
    "shaped_loss",
    "trained",
    "transductive",
    "unrolled",
    "weight_net_loss",
    "window_loss",
]
