"""The tables of bad inputs as Markdown: `python -m tests.bad_inputs_table`.

Every row is a test: of images in both input pipelines, of annotations, configurations and labelled
images in their readers.
"""

from tests.detection import test_bad_configs
from tests.detection.data import bad_annotations, bad_images, bad_label_files
from tests.keras_resnet.data import bad_data


def main():
    tables = (bad_images, bad_annotations, bad_label_files, bad_data, test_bad_configs)
    rows = [("source", "input", "outcome")]
    rows += [row for table in tables for row in table.rows()]
    rows.insert(1, ("---",) * 3)
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
