"""Weights from the Hugging Face hub."""

import contextlib
import json
import os
import re

FILE_NAME = "model.safetensors"
CONFIG_NAME = "config.json"


def fetch(repository):
    """Return the local path of a repository's `model.safetensors`, downloading it if needed.

    A file placed by hand at `~/.keras/keras_resnet/<owner>/<name>/model.safetensors` (under
    `$KERAS_HOME` if set) is taken first, so that machines without network work too.

    Args:
        repository: str, `owner/name`.

    Returns:
        str.

    Raises:
        ValueError: if `repository` is not of that form.
        OSError: if the file is neither here nor reachable; says where to place it.
    """
    parts = repository.split("/")
    if len(parts) != 2 or not all(re.fullmatch(r"\w[\w.-]*", part) for part in parts):
        raise ValueError(
            f"A repository is given as 'hf://owner/name'. Received: weights='hf://{repository}'"
        )
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    placed = os.path.join(home, "keras_resnet", *parts, FILE_NAME)
    if os.path.exists(placed):
        return placed
    import huggingface_hub

    try:
        path = huggingface_hub.hf_hub_download(repository, FILE_NAME)
    # The client's errors share no base class: connection, missing repository, offline mode.
    except Exception as error:
        raise OSError(
            f"{FILE_NAME} of {repository} is not on this machine and could not be downloaded "
            f"({type(error).__name__}: {str(error).splitlines()[0]}). Download "
            f"https://huggingface.co/{repository}/resolve/main/{FILE_NAME} elsewhere and place it "
            f"at {placed}"
        ) from error
    # Lands in the same folder. A repository may have none.
    with contextlib.suppress(Exception):
        huggingface_hub.hf_hub_download(repository, CONFIG_NAME)
    return path


def config_beside(path):
    """Return the content of the `config.json` in the folder of a file, or an empty dict."""
    config = os.path.join(os.path.dirname(path), CONFIG_NAME)
    if not os.path.isfile(config):
        return {}
    with open(config, encoding="utf-8") as file:
        content = json.load(file)
    return content if isinstance(content, dict) else {}
