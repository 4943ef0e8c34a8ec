"""Several data sets as one, such as two years of Pascal VOC."""

import dataclasses
import os

from detection.data.dataset import DetectionDataset
from detection.data.problems import DataError, Problems


def join_datasets(datasets, name=None):
    """Puts data sets of the same classes together.

    Image ids stay as they are where all are different. Otherwise each id becomes
    `"<name of its data set>/<id>"`.

    Args:
        datasets: Sequence of `DetectionDataset`, at least one.
        name: Optional string, the name of the new data set. Defaults to the names of the parts,
            joined by `+`.

    Returns:
        A `DetectionDataset`; the only one itself if there is one.

    Raises:
        DataError: If categories differ in name, id or order, or an image is in two parts.

    Example:

    ```python
    years = [load_voc(f"VOCdevkit/VOC{year}", "trainval") for year in (2007, 2012)]
    join_datasets(years).name       # "VOC2007_trainval+VOC2012_trainval"
    ```
    """
    datasets = list(datasets)
    if not datasets:
        raise ValueError(f"`datasets` must have at least one entry. Received: {datasets}")
    if len(datasets) == 1:
        return datasets[0]
    first = datasets[0]
    for other in datasets[1:]:
        _check_categories(first, other)
    _check_images(datasets)
    records = [record for dataset in datasets for record in dataset.records]
    if len({record.image_id for record in records}) < len(records):
        records = [
            dataclasses.replace(record, image_id=f"{part}/{record.image_id}")
            for part, dataset in zip(_part_names(datasets), datasets)
            for record in dataset.records
        ]
    problems = Problems()
    for dataset in datasets:
        problems.merge(dataset.problems)
    name = name or "+".join(dataset.name for dataset in datasets)
    return DetectionDataset(name, first.categories, records, problems)


def _check_categories(first, other):
    if first.categories == other.categories:
        return
    described = [
        ", ".join(f"{category.name} ({category.id})" for category in dataset.categories)
        for dataset in (first, other)
    ]
    raise DataError(
        "Data sets can be put together if they have the same categories, with the same ids and in "
        f"the same order. {first.name} has {described[0]}; {other.name} has {described[1]}."
    )


def _check_images(datasets):
    seen = {}
    for dataset in datasets:
        places = {(os.path.abspath(r.image_path), r.byte_range): r for r in dataset.records}
        for place in places.keys() & seen.keys():
            raise DataError(
                f"The image {places[place].where} is in two parts, {seen[place]} and "
                f"{dataset.name}. Leave one of them out."
            )
        seen |= dict.fromkeys(places, dataset.name)


def _part_names(datasets):
    """Names of the data sets, numbered where two are the same."""
    names = [dataset.name for dataset in datasets]
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{number}" for number, name in enumerate(names, start=1)]
