"""What was found in an image, and the forms that people want it in."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from detection.load_image import load_image
from detection.visualize import draw_detections

_SHOWN = 10  # rows of the text form
MIN_SCORE = 0.3  # of what a notebook draws


@dataclass(frozen=True, repr=False)
class Detections:
    """What was found in one image, best first.

    A notebook shows it as the image with its boxes.

    Attributes:
        boxes: float32 array [N, 4], `(x1, y1, x2, y2)` in pixels of the image as given.
        scores: float32 array [N].
        classes: int32 array [N], contiguous classes.
        names: list of N class names.
        category_ids: list of N ids of the data set the model was trained on.
        size: `(height, width)` of the image.
        source: the image as it was given (path, PIL image or array), for `draw`; or None.

    Example:

    ```python
    found = model.detect("photo.jpg")
    print(found)                             # a table
    found.to_dataframe().query("score > 0.5")
    found.draw(min_score=0.5).save("drawn.jpg")
    ```
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: list[str]
    category_ids: list[int]
    size: tuple[int, int]
    source: object = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self):
        height, width = self.size
        lines = [
            f"{len(self)} detection{'' if len(self) == 1 else 's'} in {width} x {height} pixels"
        ]
        rows = list(zip(self.names, self.scores, self.boxes.round().astype("int64").tolist()))
        columns = max((len(str(name)) for name, _, _ in rows[:_SHOWN]), default=0)
        for name, score, box in rows[:_SHOWN]:
            lines.append(f"  {name:<{columns}}  {score:.3f}  {tuple(box)}")
        if len(rows) > _SHOWN:
            lines.append(f"  … and {len(rows) - _SHOWN} more")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "size": {"height": self.size[0], "width": self.size[1]},
            "detections": [
                {
                    "name": name,
                    "category_id": category,
                    "score": round(float(score), 5),
                    "box": [round(float(v), 2) for v in box],
                }
                for name, category, score, box in zip(
                    self.names, self.category_ids, self.scores, self.boxes
                )
            ],
        }

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row a detection: name, category_id, score, x1, y1, x2, y2.

        Raises:
            ValueError: pandas is not installed.
        """
        pandas = _optional("pandas")
        columns = {"name": self.names, "category_id": self.category_ids, "score": self.scores}
        corners = dict(zip(("x1", "y1", "x2", "y2"), self.boxes.T))
        return pandas.DataFrame({**columns, **corners})

    def to_supervision(self) -> Any:
        """A `supervision.Detections`, with the names under `data["class_name"]`.

        Raises:
            ValueError: supervision is not installed.
        """
        supervision = _optional("supervision")
        return supervision.Detections(
            xyxy=np.asarray(self.boxes, "float32").reshape(-1, 4),
            confidence=np.asarray(self.scores, "float32"),
            class_id=np.asarray(self.classes, "int64"),
            data={"class_name": np.asarray(self.names, dtype=str)},
        )

    def draw(self, image: Any = None, min_score: float = MIN_SCORE) -> Image.Image:
        """Draws the boxes on the image.

        Args:
            image: path, PIL image or uint8 array of this very size; None for the image that was
                looked at.
            min_score: float, detections below are left out.

        Returns:
            A PIL image.

        Raises:
            ValueError: there is no image, or it is of another size.
        """
        image = self.source if image is None else image
        if image is None:
            raise ValueError(
                "These detections do not know their image: pass it, `draw(image)`. "
                "Received: image=None"
            )
        pixels = load_image(image)
        if pixels.shape[:2] != tuple(self.size):
            raise ValueError(
                "The boxes are in the pixels of another image. Received: an image of "
                f"{pixels.shape[:2]} (height, width), detections in one of {tuple(self.size)}"
            )
        return draw_detections(
            pixels, self.boxes, self.names, self.scores, min_score=min_score, min_size=None
        )

    def _repr_png_(self):
        if self.source is None:
            return None
        return self.draw()._repr_png_()


def _optional(name):
    """A package that only conversions need."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(
            f"This conversion needs {name}: install it with `pip install {name}`."
        ) from None
