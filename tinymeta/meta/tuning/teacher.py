"""Learning to teach: the teacher of a distillation is updated through the student's step (Zhou, Xu & McAuley 2022,
"BERT learns to teach: knowledge distillation with meta learning", MetaDistil).

Distillation (Hinton, Vinyals & Dean 2015) trains a student S on the labels and on a teacher's softened answers,

    L(S; T) = α · ce(S(x), y) + (1 − α) · τ² · ce(S(x)/τ, softmax(T(x)/τ))

and leaves the teacher as it is, however much its answers are beyond the student. Here each step first tries a
student's step and marks the teacher by what it did for the student on a quiz, examples of its own:

    S′(T) = S − λ ∇_S L(S; T)                           the pilot update            (Algorithm 1, line 5)
    T ← T − μ ∇_T ce(S′(T)(x_q), y_q)                   the teacher learns          (lines 6, 7)
    S ← S − λ ∇_S L(S; T)                               the student's real step     (line 8)
"""

from __future__ import annotations

from dataclasses import dataclass

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import adapt
from tinymeta.meta.core.learner import classification
from tinymeta.ops.reduce import mean, sum
from tinymeta.ops.softmax import log_softmax, softmax
from tinymeta.optim.optimizer import LearningRate, Setting
from tinymeta.optim.sgd import SGD


@dataclass(frozen=True)
class Distillation:
    """What a student learns from a teacher (Hinton et al. 2015, § 2).

    Shapes: batches x (n, …), y (n,); student and teacher give logits (n, classes) → ().
    Source: Hinton, Vinyals & Dean 2015, § 2; Zhou, Xu & McAuley 2022, algorithm 1, for the pilot.

    Parameters
    ----------
    temperature
        τ: how much the answers of both are softened.
    hard
        α: the share of the labels in the loss; the rest is the teacher's.

    Examples
    --------
    >>> answers, batch = (lambda x: 0.0 * x), (np.ones((3, 2)), np.array([0, 1, 1]))
    >>> tm.meta.Distillation(temperature=2.0, hard=1.0).loss(answers, answers, batch)
    tensor(0.6931)
    """

    temperature: Setting = 1.0
    hard: Setting = 0.5

    def loss(self, student: Tree, teacher: Tree, batch: Tree) -> Tensor:
        """L(S; T) on a batch (x, y)."""
        x, _ = batch
        told = softmax(teacher(x) / self.temperature)
        said = log_softmax(student(x) / self.temperature)
        soft = -(self.temperature**2) * mean(sum(told * said, -1))
        return self.hard * classification(student, batch) + (1 - self.hard) * soft

    def pilot(self, student: Tree, teacher: Tree, batch: Tree, rate: LearningRate) -> Tree:
        """S′(T): the student one step of size λ = `rate` further, as a function of the teacher."""
        return adapt(lambda s, b: self.loss(s, teacher, b), student, batch, rule=SGD(rate), steps=1)

    def quiz_loss(self, teacher: Tree, student: Tree, batch: Tree, quiz: Tree, rate: LearningRate) -> Tensor:
        """The loss of S′(T) on the quiz (x, y): what the teacher descends."""
        return classification(self.pilot(student, teacher, batch, rate), quiz)
