"""The figures that recipes draw, each one function from numbers to a figure.

    learning_curves   what training did          metrics.jsonl, one line per stage
    step_curves       how fast, how far          a number against a step, with its interval
    curve_panels      the same, case by case     several of these, side by side
    functions         what a model says          curves over the truth and the points seen, in panels
    adaptation        what a few steps do        one regression task, a panel per method
    bars              who is better              means with intervals, published figures as marks
    cells             what goes with what        numbers or characters on coloured grounds
    images            what the data look like    rows of characters

What only one recipe draws stands beside it, made of these or of the parts in `tinymeta.view.style`. A quantity with an
interval is anything with `mean` and `half`, such as the report's `Interval`.
"""

from tinymeta.view.plots.bars import bars as bars
from tinymeta.view.plots.curves import Points as Points
from tinymeta.view.plots.curves import curve_panels as curve_panels
from tinymeta.view.plots.curves import learning_curves as learning_curves
from tinymeta.view.plots.curves import step_curves as step_curves
from tinymeta.view.plots.functions import adaptation as adaptation
from tinymeta.view.plots.functions import functions as functions
from tinymeta.view.plots.grids import cells as cells
from tinymeta.view.plots.grids import images as images
