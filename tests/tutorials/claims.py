"""What the lessons claim: a sentence of their prose, and what must be so of the numbers that the lesson computed.

A sentence that compares holds with its 95 % interval, `report.interval`: not by luck of one draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.recipes.report import interval

Numbers = dict[str, Any]  # the lesson's variables at its end
Claim = tuple[str, Callable[[Numbers], bool]]


def above(values: ArrayLike, bound: float) -> bool:
    """Whether the whole interval of the mean lies above."""
    found = interval(values)
    return found.mean - found.half > bound


def below(values: ArrayLike, bound: float) -> bool:
    found = interval(values)
    return found.mean + found.half < bound


def _stopped(n: Numbers, other: str) -> Any:
    """Training a network: by how much the network that was stopped errs more, per problem."""
    return n["result"]["network, stopped in time"] - n["result"][other]


def _after(n: Numbers, a: str, b: str, k: int) -> Any:
    """Maml on sinusoids: paired differences of the errors of two learners, in column k."""
    return n["error"][a][:, k] - n["error"][b][:, k]


def _learned_loss(n: Numbers) -> Any:
    """Learning the learning rule: the errors by the learned loss, per task."""
    return next(values for name, values in n["errors"].items() if name.startswith("learned"))


def _reweighting(n: Numbers, features: int, other: str) -> Any:
    """Learning the data: by how many per cent reweighting is better, per problem."""
    return n["accuracy"][features]["reweighted"] - n["accuracy"][features][other]


def _dice(n: Numbers, other: str, after: int) -> Any:
    """A policy that learns: how much more MAML with DiCE is paid, per goal, before (0) or after (1) one step."""
    return n["pay"]["MAML, DiCE"][after] - n["pay"][other][after]


def _extra(n: Numbers, name: str) -> float:
    """A new language: bits per character beyond those that the language itself needs."""
    return float((n["needed"][name] - n["needed"]["the language itself"]).mean())


CLAIMS: dict[str, list[Claim]] = {
    "training_a_network": [
        (
            "after 100 steps it is ahead on all three",
            lambda n: all(below(v[5] - n["curves"]["descent"][b][5], 0) for b, v in n["curves"]["Adam"].items()),
        ),
        (
            "the points trained on sinks below the noise's own, 4.00",
            lambda n: n["noise"] ** 2 == 4.0 and below(n["curves"]["Adam"]["train"][-1], 4.0),
        ),
        (
            "on the test points it rises nearly to where it began",
            lambda n: (
                not below(n["curves"]["Adam"]["test"][-1] - n["curves"]["Adam"]["test"][0], 0)
                and above(n["curves"]["Adam"]["test"][-1] - n["curves"]["Adam"]["test"][5], 1)
            ),
        ),
        (
            "the network can't be told from the polynomial",
            lambda n: (
                not above(_stopped(n, "polynomial, best degree"), 0)
                and not below(_stopped(n, "polynomial, best degree"), 0)
            ),
        ),
        ("is far ahead of both, with two numbers", lambda n: above(_stopped(n, "a sin x + b cos x"), 0.5)),
    ],
    "a_meta_learner_of_your_own": [
        (
            "Learned features need less than 0.6 of the baseline's error",
            lambda n: below(n["result"]["learned features"] - 0.6 * n["result"]["kernel ridge, tuned"], 0),
        ),
        (
            "an error of less than 0.6 of the baseline's",
            lambda n: below(n["baseline"] - (n["test"][3] ** 2).mean(1), 0),
        ),
        (
            "are still far from what somebody does who knows the family",
            lambda n: above(n["result"]["learned features"] - 3 * n["result"]["knows the family"], 0),
        ),
    ],
    "maml_on_sinusoids": [
        ("the cosine was 1.000 at random weights", lambda n: above(n["at_start"], 0.9985)),
        (
            "at random weights the two are the same, at weights that MAML has trained they are not",
            lambda n: below(n["at_end"]["MAML"], 0.9) and above(n["at_start"], 0.9985),
        ),
        (
            "αλ grows until (I − αH) turns whatever meets it",
            lambda n: n["shortening"](n["start"]) < 0.1 < 1 < n["shortening"](n["learners"]["MAML"]),
        ),
        (
            "Before the first step all are alike",
            lambda n: all(abs(interval(_after(n, k, "MAML", 0)).mean) < 0.3 for k in n["learners"]),
        ),
        (
            "after one step, first-order MAML is behind MAML",
            lambda n: above(_after(n, "first-order", "MAML", 1), 0),
        ),
        ("takes more steps, and is ahead of MAML after five", lambda n: below(_after(n, "Reptile", "MAML", 2), 0)),
        (
            "a baseline that wasn't tuned proves nothing",
            lambda n: all(below(_after(n, k, "joint training", 1), 0) for k in ("MAML", "first-order", "Reptile")),
        ),
    ],
    "record_once_replay": [
        ("It grows: aᵀδ costs n·in·out", lambda n: sorted(n["saving"].values()) == [*n["saving"].values()]),
        (
            "fewer than in·out/(in + out)",
            lambda n: (
                [making > factored for making, factored in (n["products"](r, 784, 256, 5) for r in (192, 193))]
                == [True, False]
            ),
        ),
        (
            "the recording makes three matrices of it, the program that runs makes none",
            lambda n: (
                [
                    sum(node.shape == (30, 20) and program.moved(node) > 0 for node in program.nodes)
                    for program in (n["recorded"], n["running"])
                ]
                == [3, 0]
            ),
        ),
        ("The bytes: a W′ for every task", lambda n: n["fall"][1] > 2 * n["fall"][0] > 2),
    ],
    "few_shot_characters": [
        ("the learned embedding is better than the best blur", lambda n: above(n["learned"] - n["blur"], 0)),
        (
            "Against bare pixels the gain would look more than twice as large, and most of that a blur does, too",
            lambda n: above(n["learned"] - n["pixels"] - 2 * (n["learned"] - n["blur"]), 0),
        ),
        ("Several per cent, and nothing was trained for it", lambda n: above(n["in_company"] - n["learned"], 2)),
        ("the last column is made by company alone", lambda n: above(n["gap"]["trained"], 0)),
        ("Training in company widens it", lambda n: above(n["gap"]["trained"] - n["gap"]["random"], 0)),
    ],
    "learning_the_learning_rule": [
        (
            "It has come close to Newton's step, 1/curvature",
            lambda n: 0.9 < n["newton"].min() < n["newton"].max() < 1.1 and n["single"] > 0,
        ),
        (
            "It is kept, and far ahead of plain descent with its best step size",
            lambda n: n["momentum"] > 0.4 and n["final"]["learned"] < n["final"]["plain descent, best step size"] - 3,
        ),
        (
            "no better than a grid of 380 pairs",
            lambda n: len(n["grid"]) == 380 and n["final"]["learned"] > n["final"]["momentum, best of a grid"] - 0.3,
        ),
        (
            "All but one: `RMSProp`, once its step size is tuned, is ahead of the cell",
            lambda n: all(
                (below if name == "RMSProp" else above)(values.mean(1) - n["curves"]["learned cell"].mean(1), 0)
                for name, values in n["curves"].items()
                if name != "learned cell"
            ),
        ),
        ("Far better than squares", lambda n: below(_learned_loss(n) - 0.5 * n["errors"]["squares, p = 2"], 0)),
        (
            "no better than p = 1",
            lambda n: not below(_learned_loss(n) - n["errors"]["absolute values, p = 1"], 0),
        ),
    ],
    "strategies_and_memory": [
        (
            "Each family has its rule",
            lambda n: (
                n["alone"]["alike", "gradient"][0] < n["alone"]["alike", "sign"][0] - 2
                and n["alone"]["badly scaled", "sign"][0] < n["alone"]["badly scaled", "gradient"][0] - 2
            ),
        ),
        (
            "far ahead of every fixed mixture",
            lambda n: below(n["result"]["strategy"] - n["result"]["best fixed mixture"], -2),
        ),
        (
            "Running both rules and keeping the better is better still",
            lambda n: below(n["result"]["both rules, the better kept"] - n["result"]["strategy"], 0),
        ),
        (
            "Both uses of the memory keep task 1",
            lambda n: max(n["ends"]["projection"][0], n["ends"]["replay"][0]) < 1e-4 < n["ends"]["forgetting"][0],
        ),
        (
            "twenty examples keep five tasks that plain descent forgets",
            lambda n: below(
                np.subtract(*(np.mean(n["histories"][k], axis=2)[:, -1] for k in ("a memory of 20", "plain descent"))),
                0,
            ),
        ),
        (
            "plain replay does as well as the projection",
            lambda n: max(*n["ends"]["projection"], *n["ends"]["replay"]) < 1e-4,
        ),
    ],
    "learning_the_data": [
        (
            "reweighting gains less than two per cent",
            lambda n: below(_reweighting(n, 2, "the trusted ten alone"), 2),
        ),
        (
            "there reweighting beats them, and a mixture",
            lambda n: (
                above(_reweighting(n, 20, "the trusted ten alone"), 0)
                and above(_reweighting(n, 20, "both, half and half"), 0)
            ),
        ),
        (
            "In five steps the made-up pair teaches more than all sixty, or than any real pair",
            lambda n: (
                below(n["losses"]["distilled pair"] - n["losses"]["all sixty"], 0)
                and below(n["losses"]["distilled pair"] - n["losses"]["best real pair"], 0)
            ),
        ),
        ("the best of 900 real pairs", lambda n: len(n["pairs"]) == 900),
        ("both near the middle, teach nothing", lambda n: n["losses"]["class means"].mean() > 0.9 * np.log(2)),
        (
            "given a hundred, the sixty are the better teachers",
            lambda n: below(n["losses"]["all sixty, 100 steps"] - n["losses"]["distilled pair, 100 steps"], 0),
        ),
    ],
    "a_policy_that_learns": [
        ("a ~ N(μ, 0.3²)", lambda n: n["sigma"] == 0.3),
        (
            "Half the gradient is gone at n = 2",
            lambda n: above(n["slopes"][2, "mean of all"], 0.45) and below(n["slopes"][2, "mean of all"], 0.55),
        ),
        (
            "a factor of n/(n − 1), puts it right",
            lambda n: all(
                above(n["slopes"][k, "mean of the others"], 0.9) and below(n["slopes"][k, "mean of the others"], 1.1)
                for k in (2, 20)
            ),
        ),
        (
            "The surrogate's is 0",
            lambda n: (
                np.abs(n["hessians"]["surrogate"]).max() < 1e-12
                and np.abs(n["hessians"]["dice"].mean(axis=0) - 2 * np.eye(2)).max() < 0.3
            ),
        ),
        ("MAML through the surrogate is first-order MAML: what is left is rounding", lambda n: n["missing"] < 1e-14),
        (
            "With DiCE it goes to the other side",
            lambda n: (
                n["starts"]["MAML, DiCE"][0] < -0.4
                and abs(n["starts"]["MAML, surrogate"][0]) < 0.15
                and abs(n["starts"]["joint training"][0] - 0.6) < 0.15
            ),
        ),
        (
            "worse than joint training before the step, better than it after",
            lambda n: below(_dice(n, "joint training", 0), 0) and above(_dice(n, "joint training", 1), 0),
        ),
        (
            "the Hessian's share is smaller, and is there",
            lambda n: (
                above(_dice(n, "MAML, surrogate", 1), 0)
                and _dice(n, "MAML, surrogate", 1).mean() < 0.5 * _dice(n, "joint training", 1).mean()
            ),
        ),
    ],
    "a_new_language": [
        (
            "The meta-learned table is little better than joint training with a tuned step",
            lambda n: 0 < _extra(n, "joint training, tuned step") - _extra(n, "meta-learned start and steps") < 0.05,
        ),
        (
            "counting comes near both",
            lambda n: _extra(n, "counting on the family's mean") - _extra(n, "meta-learned start and steps") < 0.1,
        ),
        (
            "they need a small part of the extra bits of any other",
            lambda n: (
                all(_extra(n, "meta-learned directions") < 0.25 * _extra(n, other) for other in list(n["needed"])[1:-1])
                and below(n["needed"]["meta-learned directions"] - n["needed"]["meta-learned start and steps"], 0)
            ),
        ),
    ],
}
