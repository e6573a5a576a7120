"""Invented alphabets: a character data set that needs no download.

A stroke is a path of constant speed whose direction turns: theta(s) = theta + k (s - 1/2) + b ((2s - 1)^2 -
1/3), and some have a sharp corner. Lines, arcs, loops, hooks, S-curves and angles are all of this form. An
alphabet has an inventory of such strokes, and its characters combine one to four of them, joined at starts,
at ends and along one another, or set apart: the generative idea of Bayesian program learning (Lake et al.
2015), much simplified. Sharing an inventory makes characters of one alphabet harder to tell apart than
those of two.

Every character is drawn by several hands. A hand slants, stretches, turns and presses in its own way, the
same for all characters it draws, and no two of its drawings agree exactly. Ink is rendered from the
distance to the curve.

The amounts were set by eye beside Omniglot, and so that nearest neighbours in pixels find the tasks about as hard
(measured over 4,000 tasks of one query per class): 5-way 1-shot 48 % here and 45 % on Omniglot; 20-way 27 % and 25 %;
5-way within one alphabet 45 % and 39 %.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymeta.tasks.episode import Array
from tinymeta.tasks.images import ImageClasses

STROKES = 4  # most strokes in a character
POINTS = 56  # points per stroke: less than a pixel apart at 28 x 28
INVENTORY = 8  # strokes an alphabet is built from
PEN = 0.052  # half the width of a line, in half-widths of the image


class Strokes(NamedTuple):
    """Shapes of strokes, in fields of one shape: angles in radians, lengths in half-widths of a character."""

    direction: Array
    length: Array
    turn: Array
    bend: Array
    corner: Array
    second: Array  # a second corner, half-way between the first and the end
    corner_at: Array

    def paths(self, wobble: Array) -> Array:
        """The points of each stroke, starting at the origin, y down: (..., POINTS, 2).

        `wobble`, (..., POINTS), is added to the direction along the way.
        """
        s = np.linspace(0.0, 1.0, POINTS)
        direction, length, turn, bend, corner, second, corner_at = (field[..., None] for field in self)
        theta = direction + turn * (s - 0.5) + bend * ((2 * s - 1) ** 2 - 1 / 3) + wobble
        theta = theta + 0.5 * (corner * np.sign(s - corner_at) + second * np.sign(s - 0.5 * (1 + corner_at)))
        steps = np.stack([np.cos(theta), np.sin(theta)], axis=-1) * (length / (POINTS - 1))[..., None]
        path: Array = np.cumsum(steps, axis=-2) - steps[..., :1, :]
        return path


class Layout(NamedTuple):
    """How a character's strokes hang together, in fields of shape (..., STROKES).

    Stroke i has its point `own` (a fraction of its length) at point `along` of the earlier stroke
    `partner`, or at the free place `anchor` where `joined` is false. Strokes from `number` on are not
    drawn.
    """

    number: Array  # (...,)
    joined: Array
    partner: Array
    along: Array
    own: Array
    anchor: Array  # (..., STROKES, 2)


def glyphs(alphabets: int = 10, characters: int = 20, hands: int = 20, seed: int = 0, size: int = 28) -> ImageClasses:
    """Invent alphabets and have them drawn.

    Shapes: images (alphabets·characters, hands, size, size) of uint8.
    Raises: ValueError for none of them, or less than 8 pixels: `tm.tasks.glyphs(alphabets=0)`.
    Source: the generative idea of Lake et al. 2015, much simplified.

    Parameters
    ----------
    alphabets, characters, hands : int
        Number of alphabets, of characters in each, and of hands that draw every character. Instance h of
        all characters of an alphabet comes from one hand.
    seed : int
        The same seed gives the same images.
    size : int
        Side of the images in pixels.

    Returns
    -------
    ImageClasses
        uint8 images (alphabets * characters, hands, size, size) with ink 255; groups are the alphabets.

    Examples
    --------
    >>> tm.tasks.glyphs(alphabets=1, characters=3, hands=2)
    ImageClasses(3 classes in 1 groups, 2 images each, 28x28, uint8)
    """
    if min(alphabets, characters, hands) < 1 or size < 8:
        raise ValueError(
            "glyphs needs at least one alphabet, character and hand, and size >= 8; it got "
            f"alphabets={alphabets}, characters={characters}, hands={hands}, size={size}."
        )
    rng = np.random.default_rng(seed)
    names = [f"glyphs{seed}-{a:02d}" for a in range(alphabets)]
    images = [draw_alphabet(rng, characters, hands, size) for _ in names]
    return ImageClasses(
        np.concatenate(images),
        np.repeat(names, characters),
        np.array([f"{name}/character{c + 1:02d}" for name in names for c in range(characters)]),
    )


def draw_alphabet(rng: np.random.Generator, characters: int, hands: int, size: int) -> Array:
    """Invent one alphabet and render it: (characters, hands, size, size) uint8."""
    inventory = invent_strokes(rng)
    outlines = write(rng, *invent_characters(rng, inventory, characters), hands)
    pen = PEN * np.exp(0.1 * rng.standard_normal(hands))
    return np.stack([render(drawings, pen, size) for drawings in outlines])


def invent_strokes(rng: np.random.Generator) -> Strokes:
    """The inventory of an alphabet: how much it curves is drawn first, then its strokes in that taste."""
    number, curved = INVENTORY, rng.uniform(0.15, 0.6)
    straight = (1 - curved) * np.array([0.6, 0.25, 0.15])
    kind = rng.choice(6, number, p=[*straight, *curved * np.array([0.7, 0.15, 0.15])])
    angle, bracket, arc, loop, s_curve = (kind == k for k in range(1, 6))  # and 0 is a straight line
    sign = rng.choice([-1.0, 1.0], number)
    right = rng.choice([0.5, 0.5, 0.65], number) * np.pi
    turn = sign * (arc * rng.choice([0.5, 1.0, 1.3], number) + loop * 2.0) * np.pi
    stretch = 1 + 0.45 * np.abs(turn) / np.pi + 0.6 * angle + 1.1 * bracket + 0.4 * s_curve
    corner = sign * (angle | bracket) * right
    second = sign * bracket * right * rng.choice([1.0, 1.0, -1.0], number)
    # Writing prefers the vertical, the horizontal and the diagonals, and sets out along them before a corner.
    direction = rng.choice([0, 0, 2, 2, 2, 1, 3], number) * np.pi / 4 + 0.5 * (corner + second)
    return Strokes(
        direction=direction + 0.08 * rng.standard_normal(number),
        length=rng.choice([0.15, 0.6, 0.9, 1.2], number, p=[0.08, 0.32, 0.35, 0.25]) * stretch,
        turn=turn,
        bend=sign * s_curve * rng.uniform(1.2, 1.8, number),
        corner=corner,
        second=second,
        corner_at=np.where(bracket, 0.33, rng.uniform(0.35, 0.65, number)),
    )


def invent_characters(rng: np.random.Generator, inventory: Strokes, characters: int) -> tuple[Strokes, Layout]:
    """Combine strokes into characters; of several proposals for each, the most legible one is kept."""
    proposals = 6
    shape = (characters, proposals, STROKES)
    picked = rng.integers(INVENTORY, size=shape)
    # Scripts have a stem or bar that many characters begin with.
    picked[rng.random(shape[:2]) < 0.5, 0] = 0
    strokes = Strokes(*(field[picked] for field in inventory))
    # A lone straight line is hardly a character: it gets company.
    plain = (strokes.turn == 0) & (strokes.corner == 0) & (strokes.bend == 0)
    wanted = rng.choice([1, 2, 3, 4], (characters, 1), p=[0.1, 0.3, 0.35, 0.25])
    before = np.arange(STROKES)
    layout = Layout(
        number=np.maximum(wanted, 1 + plain[..., 0]),
        joined=(rng.random(shape) < 0.88) & (before > 0),
        partner=np.where(before > 0, rng.integers(np.maximum(before, 1), size=shape), 0),
        along=rng.choice([0.0, 0.5, 1.0], shape),
        own=rng.choice([0.0, 0.5, 1.0], shape, p=[0.6, 0.15, 0.25]),
        anchor=rng.choice([-0.5, 0.0, 0.5], (*shape, 2)),
    )
    best = np.argmax(legibility(assemble(strokes.paths(np.zeros(POINTS)), layout)), axis=-1)
    kept = (np.arange(characters), best)
    return Strokes(*(field[kept] for field in strokes)), Layout(*(field[kept] for field in layout))


def legibility(outlines: Array) -> Array:
    """Score characters (..., STROKES, POINTS, 2) by the cells of a 9 x 9 grid that they ink.

    Up to 24 cells count for a character, and ink on top of ink counts twice against it: specks, retraced
    strokes and blots score low.
    """
    axes = (-3, -2)
    extent = np.maximum(np.ptp(outlines, axis=axes).max(axis=-1), 0.5)[..., None, None, None]
    fractions = (outlines - outlines.min(axis=axes, keepdims=True)) / extent
    cells = np.rint(8 * fractions).astype(np.intp)
    used = np.zeros((*outlines.shape[:-3], 81), bool)
    np.put_along_axis(used, (9 * cells[..., 0] + cells[..., 1]).reshape(*used.shape[:-1], -1), True, axis=-1)
    length = np.linalg.norm(np.diff(fractions, axis=-2), axis=-1).sum(axis=(-2, -1))
    cells_inked = used.sum(axis=-1)
    score: Array = np.minimum(cells_inked, 24) - 2 * np.maximum(1 + 8 * length - cells_inked, 0)
    return score


def write(rng: np.random.Generator, strokes: Strokes, layout: Layout, hands: int) -> Array:
    """Have every hand write every character.

    Returns (characters, hands, STROKES, POINTS, 2), in the frame [-1, 1]^2.
    """
    shape = (len(layout.number), hands, STROKES)
    ideal = assemble(strokes.paths(np.zeros(POINTS)), layout)
    half_extent = np.ptp(ideal, axis=(1, 2)).max(axis=-1) / 2
    scale = 0.56 / np.maximum(half_extent, 0.35)

    def noise(habit: float, slip: float) -> Array:
        """What a hand does to this stroke in all characters, and in this drawing alone."""
        return habit * rng.standard_normal((1, hands, 1)) + slip * rng.standard_normal(shape)

    direction, length, turn, bend, corner, second, corner_at = (field[:, None] for field in strokes)
    drawn = Strokes(
        direction + noise(0.0, 0.07),
        length * np.exp(noise(0.05, 0.12)),
        turn * np.exp(noise(0.05, 0.10)) + noise(0.05, 0.12),
        bend * np.exp(noise(0.05, 0.12)),
        corner * np.exp(noise(0.05, 0.10)),
        second * np.exp(noise(0.05, 0.10)),
        corner_at + noise(0.0, 0.03),
    )
    s = np.linspace(0.0, 2 * np.pi, POINTS)
    waves = np.stack([np.cos(s), np.sin(s), np.cos(2 * s), np.sin(2 * s)])
    unsteadiness = 0.07 * np.exp(0.5 * rng.standard_normal((hands, 1, 1)))
    paths = drawn.paths((unsteadiness * rng.standard_normal((*shape, 4))) @ waves)
    slips = 0.05 * rng.standard_normal((*shape, 2))
    written = assemble(paths, Layout(*(field[:, None] for field in layout)), slips)
    written = (written - centre(written)) * scale[:, None, None, None, None]
    shift = 0.08 * rng.standard_normal((*shape[:2], 1, 1, 2))
    framed: Array = written @ hand_frames(rng, hands)[:, None] + shift
    return framed


def assemble(paths: Array, layout: Layout, slips: Array | float = 0.0) -> Array:
    """Put stroke paths (..., STROKES, POINTS, 2) where the layout says, each missing its place by a slip."""
    placed = np.empty_like(paths)

    def index(fraction: Array) -> Array:
        places: Array = np.rint(fraction * (POINTS - 1)).astype(np.intp)
        return places

    anchors = layout.anchor + slips
    for i in range(STROKES):
        path, start = paths[..., i, :, :], anchors[..., i, :]
        if i:
            partner = np.broadcast_to(layout.partner[..., i], paths.shape[:-3])[..., None, None, None]
            along = np.broadcast_to(index(layout.along[..., i]), paths.shape[:-3])[..., None, None]
            earlier = np.take_along_axis(placed, partner, axis=-3)[..., 0, :, :]
            meeting = np.take_along_axis(earlier, along, axis=-2)[..., 0, :]
            start = np.where(layout.joined[..., i, None], meeting + (start - layout.anchor[..., i, :]), start)
        own = np.broadcast_to(index(layout.own[..., i]), paths.shape[:-3])[..., None, None]
        placed[..., i, :, :] = path - np.take_along_axis(path, own, axis=-2) + start[..., None, :]
    # A stroke that is not drawn shrinks onto a point of the first one, where it leaves no ink of its own.
    missing = np.arange(STROKES) >= layout.number[..., None]
    return np.where(missing[..., None, None], placed[..., :1, :1, :], placed)


def centre(outlines: Array) -> Array:
    """The middle of each drawing's bounding box, with axes kept."""
    axes = (-3, -2)
    middle: Array = (outlines.max(axis=axes, keepdims=True) + outlines.min(axis=axes, keepdims=True)) / 2
    return middle


def hand_frames(rng: np.random.Generator, hands: int) -> Array:
    """Each hand's size, proportions, slant and turn as a matrix for row vectors (x, y): (hands, 2, 2)."""
    size = np.exp(0.09 * rng.standard_normal(hands))
    aspect = np.exp(0.08 * rng.standard_normal(hands))
    slant, angle = 0.14 * rng.standard_normal(hands), 0.06 * rng.standard_normal(hands)
    stretch = np.array([[size * aspect, np.zeros(hands)], [-slant * size, size / aspect]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    frames: Array = np.einsum("ijh,jkh->hik", stretch, turn)
    return frames


def render(outlines: Array, pen: Array, size: int) -> Array:
    """Ink the pixels near the curves.

    Takes outlines (drawings, STROKES, POINTS, 2) in [-1, 1]^2 to uint8 images (drawings, size, size). A
    pixel's ink falls from 1 to 0 over one pixel's width around the edge of the line. The squared distances
    are |p|^2 - 2 p.q + |q|^2, a matrix product of all pixels p with all curve points q.
    """
    pixels = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
    x, y = (axis.ravel() for axis in np.meshgrid(pixels, pixels))
    grid = np.stack([x, y, np.ones_like(x)])
    points = outlines.reshape(len(outlines), -1, 2).astype(np.float32)
    weights = np.concatenate([-2 * points, (points**2).sum(axis=-1, keepdims=True)], axis=-1)
    nearest = np.stack([(w @ grid).min(axis=0) for w in weights])
    distance = np.sqrt(np.maximum(nearest + x**2 + y**2, 0.0))
    ink = np.clip((pen[:, None] - distance) * (size / 2) + 0.5, 0.0, 1.0)
    return np.rint(255 * ink).astype(np.uint8).reshape(-1, size, size)
