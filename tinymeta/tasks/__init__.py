"""Task families: what a meta-learner learns from.

Every family has one method, `sample(rng, tasks) -> Episode`, and everything needs NumPy alone (image files
need Pillow, too). Start with `episode.py` and `sinusoid.py`.
"""

from tinymeta.tasks.data import DataError
from tinymeta.tasks.episode import Episode, TaskFamily, stack, unstack
from tinymeta.tasks.glyphs import glyphs
from tinymeta.tasks.images import FewShotImages, ImageClasses
from tinymeta.tasks.linear import LinearRegressions
from tinymeta.tasks.omniglot import download_omniglot, load_omniglot
from tinymeta.tasks.sinusoid import Sinusoids
from tinymeta.tasks.splits import Split, split

__all__ = [
    "DataError",
    "Episode",
    "FewShotImages",
    "ImageClasses",
    "LinearRegressions",
    "Sinusoids",
    "Split",
    "TaskFamily",
    "download_omniglot",
    "glyphs",
    "load_omniglot",
    "split",
    "stack",
    "unstack",
]
