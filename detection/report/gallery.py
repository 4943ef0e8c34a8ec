"""Images of a run that went best and worst, with the boxes for the page to draw."""

import base64
import io

import numpy as np
from PIL import Image

from detection.evaluation.matches import match_image

_IOU = 0.5
_LARGEST_SIDE = 480  # pixels of a picture on the page
_LEAST_SCORE = 0.05
_MOST_BOXES = 60


def judge(ground_truth, results):
    """Matches the detections of every image.

    Returns:
        List of dicts `index` (place in `ground_truth["images"]`), `truth`, `found` (best first)
        and `right`, see `match_image`.
    """
    objects, detections = {}, {}
    for row in ground_truth["annotations"]:
        objects.setdefault(row["image_id"], []).append(row)
    for row in results:
        if row["score"] >= _LEAST_SCORE:
            detections.setdefault(row["image_id"], []).append(row)
    judged = []
    for index, image in enumerate(ground_truth["images"]):
        truth = objects.get(image["id"], [])
        found = sorted(detections.get(image["id"], []), key=lambda row: -row["score"])
        right = match_image(found, truth)
        judged.append({"index": index, "truth": truth, "found": found, "right": right})
    return judged


def best_threshold(judged):
    """The score from which on F1, over all images, is highest.

    Args:
        judged: what `judge` returned.

    Returns:
        `(score, F1)`; `(0.5, 0.0)` if nothing was found.
    """
    rows = [
        (row["score"], right)
        for image in judged
        for row, right in zip(image["found"], image["right"])
        if right is not None
    ]
    objects = sum(len(_asked_for(image)) for image in judged)
    if not rows or not any(right for _, right in rows):
        return 0.5, 0.0
    scores, right = (np.array(column) for column in zip(*sorted(rows, key=lambda r: -r[0])))
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(right) + 1) + objects)
    # Equal scores stand or fall together.
    f1[:-1][scores[1:] == scores[:-1]] = -1.0
    best = int(f1.argmax())
    return float(scores[best]), float(f1[best])


def choose(judged, threshold, count):
    """The images that went worst and best.

    Args:
        judged: what `judge` returned.
        threshold: float, the least score of detections that count.
        count: int, images of each.

    Returns:
        `(worst, best)`, lists of entries of `judged`, none in both; of images that went equally
        well the fuller ones come first.
    """
    ranked = []
    for image in judged:
        kept = [
            right
            for row, right in zip(image["found"], image["right"])
            if row["score"] >= threshold and right is not None
        ]
        objects = len(_asked_for(image))
        if not objects and not kept:
            continue  # nothing there, nothing found: no picture worth looking at
        f1 = 2 * sum(kept) / (len(kept) + objects)
        ranked.append((f1, len(kept) + objects, image))
    count = min(count, len(ranked) // 2) if len(ranked) > 1 else len(ranked)
    worst = sorted(ranked, key=lambda r: (r[0], -r[1]))[:count]
    chosen = {id(r[2]) for r in worst}
    rest = [r for r in ranked if id(r[2]) not in chosen]
    best = sorted(rest, key=lambda r: (-r[0], -r[1]))[:count]
    return [r[2] for r in worst], [r[2] for r in best]


def picture(image, dataset, class_of):
    """One image with its boxes, as data for the page.

    Args:
        image: entry of `judged`.
        dataset: the `DetectionDataset`.
        class_of: dict of category id to contiguous class.

    Returns:
        Dict of `name`, `width`, `height` (of the boxes' pixels), `source` (a `data:` URL),
        `truth` (rows `[x, y, width, height, class]`) and `found` (with score and 1, 0 or -1 for
        right, wrong and not counted, after them).
    """
    record = dataset.records[image["index"]]
    array = dataset.read_image(image["index"])
    height, width = array.shape[:2]
    small = Image.fromarray(array)
    small.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    verdicts = {True: 1, False: 0, None: -1}
    return {
        "name": str(record.image_id),
        "width": width,
        "height": height,
        "source": "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(),
        "truth": [[*_rounded(r["bbox"]), class_of[r["category_id"]]] for r in image["truth"]],
        "found": [
            [
                *_rounded(r["bbox"]),
                class_of[r["category_id"]],
                round(r["score"], 3),
                verdicts[right],
            ]
            for r, right in list(zip(image["found"], image["right"]))[:_MOST_BOXES]
        ],
    }


def _asked_for(image):
    return [r for r in image["truth"] if not (r.get("iscrowd") or r.get("difficult"))]


def _rounded(box):
    return [round(value, 1) for value in box]
