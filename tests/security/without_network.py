"""Runs scripts, a tiny training of both kinds and predictions in a process without sockets.

    python -m tests.security.without_network FOLDER

ends with an error at the first attempt to reach anything, or to start another program.
"""

import os
import runpy
import sys
from pathlib import Path

FORBIDDEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.sendmsg",
    "urllib.Request",
    "http.client.connect",
    "ftplib.connect",
    "smtplib.connect",
)
PROGRAMS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
SCRIPTS = Path(__file__).parents[2] / "scripts"
ATTEMPTS = []


def refuse(event, arguments):
    if event in FORBIDDEN or (event in PROGRAMS and "pip" in str(arguments)):
        # Where the caller takes this for a broken network, it still counts.
        ATTEMPTS.append(f"{event} {arguments}")
        raise RuntimeError(f"the network is not to be used: {event} {arguments}")


def script(name, *arguments):
    sys.argv = [name, *map(str, arguments)]
    try:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    except SystemExit as error:
        if error.code:
            raise RuntimeError(f"{name} {arguments} ended with {error.code}") from None


def train_and_predict(folder):
    import numpy as np
    import yaml

    from keras_resnet.classification.model import load_classifier
    from tests.detection.coco_folder import tiny_settings, write_coco

    train, val = (write_coco(folder / name, 4, seed) for seed, name in enumerate(("train", "val")))
    settings = tiny_settings(train, val, folder / "runs")
    settings["train"] |= {"steps": 2}
    settings["run"] |= {"export": False, "pictures": 1}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings))
    script("train_detector.py", folder / "tiny.yaml")
    (run,) = (path for path in (folder / "runs").iterdir() if (path / "config.yaml").is_file())
    picture = next((train / "images").iterdir())
    script("predict.py", run, picture, "--output", folder / "drawn", "--score", "0.01")
    assert (folder / "drawn" / "detections.json").is_file()

    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 16), ("test", 8)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 32, 32, 3), "uint8")
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(folder / "images.npz", **arrays)
    script(
        "train_classifier.py",
        "cifar10_resnet20",
        *("--set", "data.format=npz", f"data.root={folder / 'images.npz'}"),
        *("data.pipeline.batch_size=8", "train.reference_batch=8", "train.steps=2"),
        *("model.options.stage_blocks=[1,1]", "model.options.width=4", "train.evaluation_batch=8"),
        f"run.project={folder / 'classifiers'}",
    )
    (run,) = (p for p in (folder / "classifiers").iterdir() if (p / "config.yaml").is_file())
    logits = load_classifier(run).predict(arrays["x_test"], verbose=0)
    assert np.isfinite(logits).all()


def main(folder):
    sys.addaudithook(refuse)
    sys.path.insert(0, str(SCRIPTS))
    for path in sorted(SCRIPTS.glob("[a-z]*.py")):
        script(path.name, "--help")
    import detection
    import keras_resnet

    for package in (keras_resnet, detection):
        for name in package.__all__:
            getattr(package, name)
    train_and_predict(Path(folder))
    assert not ATTEMPTS, ATTEMPTS
    print(f"\nwithout network: {len(list(SCRIPTS.glob('[a-z]*.py')))} scripts, pid {os.getpid()}")


if __name__ == "__main__":
    main(sys.argv[1])
