"""Ground truth and detections, random but plausible, for the evaluation tests."""

import numpy as np

CATEGORY_IDS = (3, 18, 44, 90)


def random_case(seed=0, num_images=12, image_ids=None):
    rng = np.random.default_rng(seed)
    image_ids = list(image_ids or range(100, 100 + num_images))
    annotations, results = [], []
    for image_id in image_ids:
        for _ in range(rng.integers(0, 6)):
            size = np.exp(rng.uniform(np.log(8), np.log(250), 2))
            box = np.concatenate([rng.uniform(0, 200, 2), size])
            category = int(rng.choice(CATEGORY_IDS[:3]))
            annotations.append(
                {
                    "id": len(annotations),  # from 0, which pycocotools itself would misread
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": box.tolist(),
                    "area": float(size.prod()),
                    "iscrowd": int(rng.random() < 0.1),
                    "difficult": bool(rng.random() < 0.2),
                }
            )
            for _ in range(rng.integers(0, 4)):
                moved = box + rng.normal(0, 0.08, 4) * np.tile(size, 2)
                moved[2:] = np.maximum(moved[2:], 1)
                wrong = int(rng.choice(CATEGORY_IDS))
                results.append(
                    {
                        "image_id": image_id,
                        "category_id": category if rng.random() < 0.8 else wrong,
                        "bbox": moved.tolist(),
                        "score": float(rng.random()),
                    }
                )
        results.append(
            {
                "image_id": image_id,
                "category_id": int(rng.choice(CATEGORY_IDS)),
                "bbox": [*rng.uniform(0, 200, 2).tolist(), *rng.uniform(5, 90, 2).tolist()],
                "score": float(rng.random()),
            }
        )
    truth = {
        "images": [{"id": image_id} for image_id in image_ids],
        "annotations": annotations,
        "categories": [{"id": key, "name": f"class {key}"} for key in CATEGORY_IDS],
    }
    return truth, results
