"""What several processes read is together the batch that one reads."""

import numpy as np

from detection.data import DataPipelineConfig, load_coco, make_batches
from detection.data.loader import PyDatasetLoader
from tests.detection.coco_folder import write_coco


def test_shares_are_the_batch(tmp_path):
    folder = write_coco(tmp_path / "data", 7)
    dataset = load_coco(folder / "images", folder / "annotations.json")
    config = DataPipelineConfig(
        batch_size=4, min_sides=(64, 96), max_side=128, horizontal_flip=0.5, seed=2
    )
    for training in (True, False):
        whole = PyDatasetLoader(dataset, config, training)
        parts = [make_batches(dataset, config, training, share=(i, 2)) for i in range(2)]
        for number in range(2 * len(whole) if training else len(whole)):
            shares = [part[number] for part in parts]
            for side in (0, 1):
                for name, expected in whole[number][side].items():
                    found = [share[side][name] for share in shares]
                    assert len(found[0]) == len(found[1]) == 2
                    np.testing.assert_array_equal(np.concatenate(found), expected)
