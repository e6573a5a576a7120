"""Meta-learning on one interface: adapt, then a loss on the query.

Read adapt.py and objective.py for the inner loop, learner.py and then any algorithm, loop.py and fit.py
for the outer loop, evaluate.py for measuring, and spread/ for many workers.
"""

from tinymeta.meta.control.policy import CategoricalPolicy, GaussianPolicy, policy_gradient
from tinymeta.meta.control.policy_search import PolicySearch
from tinymeta.meta.control.trpo import TRPO
from tinymeta.meta.core.adapt import adapt
from tinymeta.meta.core.conjugate import conjugate_gradients
from tinymeta.meta.core.evaluate import adaptation_curve, evaluate, inductive, on_query, one_by_one, transductive
from tinymeta.meta.core.fit import fit
from tinymeta.meta.core.learner import GradientLearner, Learner, classification, regression
from tinymeta.meta.core.loop import trained
from tinymeta.meta.core.objective import joint, maml, over_tasks, query_loss
from tinymeta.meta.core.validation import Validation
from tinymeta.meta.learners.cavia import CAVIA
from tinymeta.meta.learners.implicit import Implicit
from tinymeta.meta.learners.implicit_error import meta_gradient_errors
from tinymeta.meta.learners.incontext import InContext, Reader
from tinymeta.meta.learners.local import LocalMatcher, LocalMatching
from tinymeta.meta.learners.maml import ANIL, MAML, Joint
from tinymeta.meta.learners.mamlpp import MAMLPlusPlus
from tinymeta.meta.learners.matching import MatchingNet
from tinymeta.meta.learners.metaadam import MetaAdam
from tinymeta.meta.learners.metasgd import MetaSGD
from tinymeta.meta.learners.mldg import mldg
from tinymeta.meta.learners.protonet import ProtoNet
from tinymeta.meta.learners.pseudo_tasks import Cactus, Umtra, k_means, partitions_of
from tinymeta.meta.learners.relation import Relation, RelationNet
from tinymeta.meta.learners.reptile import Carried, Carrying
from tinymeta.meta.spread.cluster import Dask
from tinymeta.meta.spread.workers import Workers
from tinymeta.meta.stream.memory import GradientMemory
from tinymeta.meta.stream.online import OnlineMetaSGD
from tinymeta.meta.tuning.distill_data import Synthetic, Trial, Trials, distillation, distilled
from tinymeta.meta.tuning.hypergradient import Hypergradient, Problem, unrolled
from tinymeta.meta.tuning.learned_loss import LossNetwork, shaped_loss
from tinymeta.meta.tuning.learned_optimizer import LearnedRule, LSTMRule, MLPRule, descend, rescaled, window_loss
from tinymeta.meta.tuning.reweight import WeightNet, agreement, clean_weights, look_ahead, weight_net_loss
from tinymeta.meta.tuning.teacher import Distillation
from tinymeta.moved import keep_old_paths as _keep_old_paths

__all__ = [
    "CategoricalPolicy", "GaussianPolicy", "policy_gradient", "PolicySearch", "TRPO", "adapt",
    "conjugate_gradients",
    "adaptation_curve", "evaluate", "inductive", "on_query", "one_by_one", "transductive", "fit",
    "GradientLearner", "Learner", "classification", "regression", "trained",
    "joint", "maml", "over_tasks", "query_loss", "Validation", "CAVIA", "Implicit", "meta_gradient_errors",
    "InContext", "Reader", "LocalMatcher", "LocalMatching", "ANIL", "MAML", "Joint", "MAMLPlusPlus",
    "MatchingNet", "MetaAdam", "MetaSGD", "mldg", "ProtoNet", "Cactus", "Umtra", "k_means", "partitions_of",
    "Relation", "RelationNet", "Carried", "Carrying", "Dask", "Workers", "GradientMemory", "OnlineMetaSGD",
    "Synthetic", "Trial", "Trials", "distillation", "distilled", "Hypergradient", "Problem", "unrolled",
    "LossNetwork", "shaped_loss", "LearnedRule", "LSTMRule", "MLPRule", "descend", "rescaled", "window_loss",
    "WeightNet", "agreement", "clean_weights", "look_ahead", "weight_net_loss", "Distillation",
]  # fmt: skip

_keep_old_paths()  # of the modules that were called like functions of today
