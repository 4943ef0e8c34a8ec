"""Asks TensorFlow Serving about images, over REST. Copy it: it needs Python only.

Start the server where the export is:
  docker run -p 8501:8501 -v $PWD/served/shapes:/models/shapes -e MODEL_NAME=shapes \\
      tensorflow/serving

Examples:
  python scripts/serving_client.py photo.jpg --model shapes
  python scripts/serving_client.py *.jpg --model shapes --url http://server:8501 --score 0.3 \\
      --facts served/shapes/1/assets/detector.json --output answers.json

Exit codes: 0 answered; 1 the server could not read one of the images; 2 a mistake, or no answer.
"""

import argparse
import base64
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request


def main():
    arguments = _parse()
    try:
        names = _class_names(arguments.facts)
        answers = {}
        for path in arguments.images:  # one request each: a request has a bounded size
            contents = _read(path)
            (answers[path],) = ask(
                arguments.url, arguments.model, [contents], arguments.version, arguments.timeout
            )
            print(f"{path}: {describe(answers[path], names, arguments.score)}")
        if arguments.output:
            with open(arguments.output, "w", encoding="utf-8") as file:
                json.dump(answers, file, indent=1)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if all(answer.get("valid", True) for answer in answers.values()) else 1)


def ask(url, model, images, version=None, timeout=60.0):
    """Sends images to TensorFlow Serving.

    Args:
        url: str, `"http://host:port"` of its REST interface.
        model: str, the name of the model.
        images: list of bytes, JPEG or PNG files.
        version: int, or None for the one that the server prefers.
        timeout: float, seconds.

    Returns:
        List of dicts, one for each image, with the outputs by name. Of a detector `boxes`
        (x1, y1, x2, y2, in pixels), `scores`, `classes`, `num_detections` and `valid`.

    Raises:
        ValueError: the server refuses; says why.
        OSError: it does not answer.
    """
    path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
    path += f"/versions/{version}" if version else ""
    instances = [{"b64": base64.b64encode(image).decode("ascii")} for image in images]
    request = urllib.request.Request(
        url.rstrip("/") + path + ":predict",
        json.dumps({"instances": instances}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace")
        raise ValueError(
            f"The server at {url} refuses the request: {text}. Look which models it has at "
            f"{url}/v1/models/{model}. Received: status {error.code}"
        ) from None
    except urllib.error.URLError as error:
        raise OSError(
            f"There is no answer from {url}: {error.reason}. Is TensorFlow Serving started, with "
            "its REST port (8501) published?"
        ) from None
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"What answers at {url} is not TensorFlow Serving.") from None


def describe(answer, names=None, score=0.5):
    """One answer in a line of text."""
    if not answer.get("valid", True):
        return "the server could not read this image"
    if "boxes" not in answer:
        best = answer["classes"]
        return f"{_name(best, names)} {answer['probabilities'][best]:.3f}"
    found = []
    for box, value, index in zip(answer["boxes"], answer["scores"], answer["classes"]):
        if index >= 0 and value >= score:
            corners = ", ".join(f"{side:.0f}" for side in box)
            found.append(f"{_name(index, names)} {value:.2f} ({corners})")
    return "; ".join(found) or "nothing"


def _name(index, names):
    return names[index] if names else f"class {index}"


def _class_names(path):
    """The names in the JSON file beside an export, or None."""
    if path is None:
        return None
    return json.loads(_read(path))["class_names"]


def _read(path):
    """The bytes of a file, or an error that says what lies where it should be."""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return file.read()
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    names = sorted(os.listdir(folder))
    # A terminal would obey some characters.
    listed = ", ".join(n if n.isprintable() else ascii(n) for n in names[:8])
    listed += f", ... ({len(names)} in all)" if len(names) > 8 else ""
    what = "is a folder; give its files" if os.path.isdir(path) else "is not there"
    raise ValueError(f"{path} {what}.\n  In {folder}: {listed or 'nothing'}")


def _parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", help="JPEG or PNG files")
    parser.add_argument("--model", required=True, help="name of the served model")
    parser.add_argument("--url", default="http://localhost:8501", help="default: %(default)s")
    parser.add_argument("--version", type=int, help="default: the one that the server prefers")
    parser.add_argument("--score", type=float, default=0.5, help="lowest score (default: 0.5)")
    parser.add_argument(
        "--facts", metavar="JSON", help="file in assets/ of the export, for the names of classes"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds (default: 60)")
    parser.add_argument("--output", metavar="JSON", help="file for all that was answered")
    return parser.parse_args()


if __name__ == "__main__":
    main()
