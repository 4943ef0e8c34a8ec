"""Detects objects in images and writes drawn pictures, a JSON file and a CSV file.

Example: python scripts/predict.py runs/quickstart photo.jpg folder/of/images --conf 0.5

They go into a new folder, predictions (predictions2, ... if that exists), beside the pictures:
  detections.json  for each path its detections, or the error of an image that cannot be read
  detections.csv   a row for each detection: path, x1, y1, x2, y2 (pixels), class, score
"""

import argparse
import csv
import json
import sys
from pathlib import Path

from _arguments import add_config_arguments, only_the_model, overrides_of, word_given
from _common import EXIT_CODES, quiet_start, run, shown
from _words import PREDICTION

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_LONGEST_LINE = 10_000


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="run folder, artefact or .keras file")
    parser.add_argument("images", nargs="+", help="image files and folders of images")
    parser.add_argument(
        "--output", metavar="FOLDER", help="this very folder, instead of a new one in --project"
    )
    parser.add_argument("--score", type=float, help="the same as --conf (default: 0.5)")
    add_config_arguments(parser, PREDICTION, bad_images=False)
    parser.add_argument("--trust", action="store_true", help="load a .keras file of known origin")
    arguments = parser.parse_args()
    overrides = only_the_model(overrides_of(arguments, PREDICTION))
    score = _least_score(arguments)
    project, name = (word_given(arguments, word) for word in ("project", "name"))
    if arguments.output is not None and (project, name) != (None, None):
        parser.error("--output and --project or --name exclude each other")

    quiet_start(arguments)
    paths = find_images(arguments.images)
    import detection
    from detection.load_image import load_image
    from keras_resnet.data.printable import printable
    from keras_resnet.training.run import check_output_folder, check_run_name, new_run_folder

    place = (project or ".", name or "predictions")
    if arguments.output is None:
        check_run_name(*place)
    else:
        check_output_folder(arguments.output)
    model = detection.load(arguments.model, trust=arguments.trust, overrides=overrides)
    if score < model.architecture["roi_heads"]["score_threshold"]:
        # The model as it was trained drops those.
        overrides.append(f"roi_heads.score_threshold={score}")
        model = detection.load(arguments.model, trust=arguments.trust, overrides=overrides)
    output = new_run_folder(*place) if arguments.output is None else Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    results, failed = {}, 0
    for path, name in zip(paths, _unique_names(paths)):
        try:
            image = load_image(path)
        except ValueError as error:
            # The other images are not lost for this one.
            print(f"error: {shown(error)}", file=sys.stderr)
            results[str(path)] = {"error": str(error)}
            failed += 1
            continue
        found = model.detect(image, score_threshold=score)
        found.draw(min_score=score).save(output / name)
        results[str(path)] = found.to_dict()
        counts = {}
        for label in found.names:
            counts[label] = counts.get(label, 0) + 1
        listed = ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing"
        print(printable(f"{path}: {listed}", _LONGEST_LINE))
    target = output / "detections.json"
    target.write_text(json.dumps(results, indent=1), encoding="utf-8")
    table = output / "detections.csv"
    write_csv(table, results)
    print(f"{len(paths) - failed} images drawn in {output}, boxes in {target} and {table}")
    if failed:
        raise ValueError(f"{failed} of {len(paths)} images could not be read; see above.")


def _least_score(arguments):
    given = word_given(arguments, "conf") if arguments.score is None else arguments.score
    try:
        score = 0.5 if given is None else float(given)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise ValueError(f"The least score (conf) is a number from 0 to 1. Received: conf={given}")
    return score


def write_csv(path, results):
    """One row for each detection; no cell is taken for a formula by a spreadsheet."""
    from keras_resnet.training.csv_cells import csv_cell

    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "x1", "y1", "x2", "y2", "class", "score"))
        for image, found in results.items():
            for row in found.get("detections", ()):
                cells = (image, *row["box"], row["name"], row["score"])
                writer.writerow([csv_cell(cell) for cell in cells])


def find_images(sources):
    """Files as given, and the images of folders in order of name."""
    from keras_resnet.data.missing_paths import first_names, tried

    paths = []
    for source in map(Path, sources):
        if source.is_dir():
            inside = sorted(p for p in source.iterdir() if p.suffix.lower() in _EXTENSIONS)
            if not inside:
                known = ", ".join(sorted(_EXTENSIONS))
                raise ValueError(
                    f"The folder {str(source)!r} holds no images ({known}).\n"
                    f"  In {source}: {first_names(source)}"
                )
            paths += inside
        elif source.is_file():
            paths.append(source)
        else:
            raise ValueError(f"There is no file or folder {str(source)!r}.\n{tried(source)}")
    return paths


def _unique_names(paths):
    """Names of the drawn files: equal names from different folders get a number."""
    seen, names = set(), []
    for path in paths:
        name, number = f"{path.stem}.jpg", 2
        while name in seen:
            name, number = f"{path.stem}_{number}.jpg", number + 1
        seen.add(name)
        names.append(name)
    return names


if __name__ == "__main__":
    run(main)
