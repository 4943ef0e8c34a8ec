"""Fuzz targets for whatever reads files of strangers.

With `pip install atheris`:

    python -m tests.fuzz coco_json -max_total_time=600

The targets are the names in `TARGETS`; other arguments are those of libFuzzer. A finding ends the
run and is written to a file `crash-...`.
Without atheris, `pytest tests/fuzz` runs each target on its seeds and some hundred mutations.
"""

TARGETS = (
    "coco_json",
    "voc_xml",
    "yolo_folder",
    "csv_table",
    "yaml_config",
    "image_bytes",
    "cifar_pickle",
    "npz",
    "safetensors_file",
    "hdf5_file",
    "keras_archive",
)
