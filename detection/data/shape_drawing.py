"""Drawing one image of the sample set with NumPy and Pillow."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SHAPE_CLASSES = ("circle", "square", "triangle", "star", "cross")

_OVERSAMPLING = 4  # Masks are drawn this much larger and averaged down: smooth edges.
_MIN_SIDE, _MAX_SIDE = 14 / 128, 70 / 128  # Of an object, as a share of the image's side.
_MIN_INSIDE = 0.65  # Share of an object that must lie inside the image,
_MIN_VISIBLE = 0.5  # and that must stay visible when others cover it.
_EMPTY_SHARE = 0.03  # Share of images without objects.


def draw_scene(rng, image_size):
    """Draws one image and the boxes of its objects.

    Args:
        rng: A `numpy.random.Generator`; all randomness comes from it.
        image_size: Integer, height and width in pixels.

    Returns:
        A tuple `(pixels, boxes, classes)`: uint8 `(H, W, 3)`; list of `(x1, y1, x2, y2)`, the
        extents of each shape, covered parts included, clipped to the image; list of classes.
    """
    canvas = _background(rng, image_size)
    _add_clutter(rng, canvas, image_size)
    count = 0 if rng.random() < _EMPTY_SHARE else int(rng.integers(1, 7))
    boxes, classes, visible = [], [], []
    for _ in range(count):
        placed = _place(rng, image_size, visible, boxes)
        if placed is None:
            continue
        box, class_index, alpha, full = placed
        for earlier in visible:
            earlier[0] *= 1 - alpha
        visible.append([alpha.copy(), full])
        _paint(rng, canvas, alpha)
        boxes.append(box)
        classes.append(class_index)
    canvas += rng.normal(0, rng.uniform(1, 7), canvas.shape)
    return np.clip(np.rint(canvas), 0, 255).astype("uint8"), boxes, classes


def outline(class_index, angle):
    """Returns the outline of a shape around (0, 0) with radius 1, as a float `(N, 2)` array.

    Args:
        class_index: Integer, position in `SHAPE_CLASSES`.
        angle: Float, rotation in radians.
    """
    name = SHAPE_CLASSES[class_index]
    if name == "cross":
        arm = 0.36
        corners = [(1, arm), (arm, arm), (arm, 1), (-arm, 1), (-arm, arm), (-1, arm)]
        points = np.array(corners + [(-x, -y) for x, y in corners])
    else:
        corners = {"circle": 72, "square": 4, "triangle": 3, "star": 10}[name]
        turns = np.arange(corners) * 2 * np.pi / corners
        radius = np.where(np.arange(corners) % 2, 0.45, 1.0) if name == "star" else 1.0
        points = np.stack([np.cos(turns), np.sin(turns)], axis=-1) * np.reshape(radius, (-1, 1))
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _place(rng, size, visible, boxes):
    """A position where the new object is mostly inside and leaves the others visible."""
    class_index = int(rng.integers(len(SHAPE_CLASSES)))
    points = outline(class_index, rng.uniform(0, 2 * np.pi))
    extent = np.ptp(points, axis=0).max()
    side = size * math.exp(rng.uniform(math.log(_MIN_SIDE), math.log(_MAX_SIDE)))
    points = points * (side / extent)
    full = _area(points)
    for _ in range(20):
        moved = points + rng.uniform(0, size, 2)
        alpha = _mask(moved, size)
        if alpha.sum() < _MIN_INSIDE * full:
            continue
        seen = clip_polygon(moved, size)
        box = tuple(float(v) for v in (*seen.min(axis=0), *seen.max(axis=0)))
        if any(_too_similar(box, other) for other in boxes):
            continue
        if all((left * (1 - alpha)).sum() >= _MIN_VISIBLE * whole for left, whole in visible):
            return box, class_index, alpha, full
    return None


def clip_polygon(points, size):
    """Cuts a polygon at the borders of a square image (Sutherland and Hodgman).

    Args:
        points: Float array `(N, 2)`.
        size: Number, the image spans 0..size in both directions.

    Returns:
        Float array `(M, 2)`; its extents are those of the part inside.
    """
    for axis, sign, bound in ((0, 1, 0), (0, -1, -size), (1, 1, 0), (1, -1, -size)):
        kept = []
        for start, end in zip(points, np.roll(points, -1, axis=0)):
            from_start, from_end = sign * start[axis] - bound, sign * end[axis] - bound
            if from_start >= 0:
                kept.append(start)
            if from_start * from_end < 0:
                kept.append(start + (end - start) * from_start / (from_start - from_end))
        points = np.array(kept).reshape(-1, 2)
    return points


def _too_similar(box, other):
    """Two boxes of this overlap could not both survive non-maximum suppression."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return False
    shared = width * height
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return shared / (sum(areas) - shared) > 0.4


def _area(points):
    x, y = points.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _mask(points, size):
    """Coverage of each pixel by a polygon, float32 `(size, size, 1)` in 0..1."""
    large = Image.new("L", (size * _OVERSAMPLING,) * 2)
    # A large pixel is drawn when its centre is inside: shift by half a large pixel.
    corners = (points * _OVERSAMPLING - 0.5).ravel().tolist()
    ImageDraw.Draw(large).polygon(corners, fill=255)
    return np.asarray(large.reduce(_OVERSAMPLING), "float32")[..., None] / 255


def _paint(rng, canvas, alpha):
    """Fills a mask with a shaded, slightly textured colour that stands out from what is below."""
    size = canvas.shape[0]
    below = (canvas * alpha).sum((0, 1)) / max(alpha.sum(), 1e-6)
    colour = max(
        (rng.uniform(10, 245, 3) for _ in range(3)),
        key=lambda candidate: min(np.linalg.norm(candidate - below), 110),
    )
    shade = _gradient(rng, size) * rng.uniform(0, 50)
    texture = _noise(rng, size, size // 8) * rng.uniform(0, 25)
    fill = np.clip(colour + shade[..., None] + texture[..., None], 0, 255)
    canvas[:] = canvas * (1 - alpha) + fill * alpha


def _background(rng, size):
    """Two colours mixed by a pattern, with noise of several octaves: float32 `(size, size, 3)`."""
    first, second = rng.uniform(20, 235, (2, 3))
    pattern = (_gradient, _stripes, lambda rng, size: _noise(rng, size, size // 3))[
        int(rng.integers(3))
    ](rng, size)
    mix = (0.5 + 0.5 * rng.uniform(0.3, 1.0) * pattern)[..., None]
    canvas = first * mix + second * (1 - mix)
    for cell in (size // 4, size // 8, size // 16, size // 32):
        strength = rng.uniform(0, 22)
        tint = rng.uniform(0.5, 1.0, 3)
        canvas += strength * tint * _noise(rng, size, max(cell, 2))[..., None]
    return np.clip(canvas, 0, 255).astype("float32")


def _add_clutter(rng, canvas, size):
    """Lines, arcs and wavy blobs: things with edges that belong to no class."""
    for _ in range(int(rng.integers(0, 5))):
        colour = rng.uniform(10, 245, 3)
        strength = rng.uniform(0.35, 0.9)
        large = Image.new("L", (size * _OVERSAMPLING,) * 2)
        draw = ImageDraw.Draw(large)
        kind = int(rng.integers(3))
        start, end = rng.uniform(-0.1, 1.1, (2, 2)) * size * _OVERSAMPLING
        width = int(rng.integers(1, 4)) * _OVERSAMPLING
        if kind == 0:
            draw.line([*start, *end], fill=255, width=width)
        elif kind == 1:
            low, high = np.minimum(start, end), np.maximum(start, end) + 2
            turn = rng.uniform(0, 360)
            draw.arc([*low, *high], turn, turn + rng.uniform(40, 160), fill=255, width=width)
        else:
            turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            waves = [rng.uniform(0.1, 0.3) * np.sin(k * turns + rng.uniform(0, 6)) for k in (2, 3)]
            radius = rng.uniform(0.04, 0.16) * size * _OVERSAMPLING * (1 + sum(waves))
            points = start + np.stack([np.cos(turns) * 1.7, np.sin(turns)], -1) * radius[:, None]
            draw.polygon(points.ravel().tolist(), fill=255)
            large = large.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5) * _OVERSAMPLING))
        alpha = np.asarray(large.reduce(_OVERSAMPLING), "float32")[..., None] / 255 * strength
        canvas[:] = canvas * (1 - alpha) + colour * alpha


def _gradient(rng, size):
    """A ramp in a random direction, -1..1."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1, 1, size)
    values = np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None]
    return values / np.abs(values).max()


def _stripes(rng, size):
    """Sine waves in a random direction, -1..1."""
    return np.sin(_gradient(rng, size) * rng.uniform(6, 40) + rng.uniform(0, 6))


def _noise(rng, size, cell):
    """Smooth noise: random values `cell` pixels apart, interpolated; -1..1."""
    count = size // cell + 2
    grid = Image.fromarray(rng.uniform(-1, 1, (count, count)).astype("float32"))
    offset = rng.uniform(0, cell, 2)
    whole = grid.resize((count * cell, count * cell), Image.Resampling.BICUBIC)
    top, left = (int(v) for v in offset)
    return np.asarray(whole)[top : top + size, left : left + size]
