"""Task families: what a meta-learner learns from.

Every family has one method, `sample(rng, tasks) -> Episode`; environments to act in have `draw` and go
through `rollout`. NumPy is all they need, and Pillow where images are read from files. Start with
`episode.py` and `sinusoid.py`.
"""

from tinymeta.tasks.augment import Augment, AugmentPhotos
from tinymeta.tasks.autoencode import Autoencoding
from tinymeta.tasks.bandits import Bandits, regret
from tinymeta.tasks.challenge import challenge_tasks, load_runs
from tinymeta.tasks.data import DataError
from tinymeta.tasks.environment import Environment, Trajectories, rollout
from tinymeta.tasks.episode import Episode, TaskFamily, stack, unstack
from tinymeta.tasks.folder import load_folder
from tinymeta.tasks.glyphs import glyphs
from tinymeta.tasks.gridgame import GridGame
from tinymeta.tasks.gymnasium import Gymnasium
from tinymeta.tasks.images import FewShotImages, ImageClasses
from tinymeta.tasks.labels import NoisySupport, flip_background, flip_uniform, imbalanced
from tinymeta.tasks.languages import Languages, Vocabulary, load_languages, markov_languages, split_languages
from tinymeta.tasks.linear import LinearRegressions
from tinymeta.tasks.mixture import Mixture
from tinymeta.tasks.navigation import Navigation
from tinymeta.tasks.omniglot import download_omniglot, load_omniglot
from tinymeta.tasks.quadratics import Quadratics
from tinymeta.tasks.signals import SignalBandits
from tinymeta.tasks.sinusoid import Sinusoids
from tinymeta.tasks.splits import Split, split
from tinymeta.tasks.stream import DriftingSinusoids
from tinymeta.tasks.table import TableTasks, load_table

__all__ = [
    "Augment",
    "AugmentPhotos",
    "Autoencoding",
    "Bandits",
    "DataError",
    "DriftingSinusoids",
    "Environment",
    "Episode",
    "FewShotImages",
    "GridGame",
    "Gymnasium",
    "ImageClasses",
    "Languages",
    "LinearRegressions",
    "Mixture",
    "Navigation",
    "NoisySupport",
    "Quadratics",
    "SignalBandits",
    "Sinusoids",
    "Split",
    "TableTasks",
    "TaskFamily",
    "Trajectories",
    "Vocabulary",
    "challenge_tasks",
    "download_omniglot",
    "flip_background",
    "flip_uniform",
    "glyphs",
    "imbalanced",
    "load_folder",
    "load_languages",
    "load_omniglot",
    "load_runs",
    "load_table",
    "markov_languages",
    "regret",
    "rollout",
    "split",
    "split_languages",
    "stack",
    "unstack",
]
