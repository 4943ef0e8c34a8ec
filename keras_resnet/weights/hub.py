"""Weights from the Hugging Face hub."""

import contextlib
import hashlib
import os
import re
import warnings

from keras_resnet.untrusted import json_text

FILE_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
_MAX_CONFIG_BYTES = 2**20


def fetch(repository):
    """Return the local path of a repository's `model.safetensors`, downloading it if needed.

    A file placed by hand at `~/.keras/keras_resnet/<owner>/<name>/model.safetensors` (under
    `$KERAS_HOME` if set) is taken first, so that machines without network work too.

    Args:
        repository: str, `owner/name`.

    Returns:
        str.

    Raises:
        ValueError: if `repository` is not of that form, or the hub is not reached by HTTPS.
        OSError: if the file is neither here nor reachable; says where to place it. Or if it is
            not the one that the hub published.

    Warns:
        UserWarning: the file was here already, and what the hub publishes of it cannot be asked.
    """
    placed = _placed(repository)
    if os.path.exists(placed):
        return placed
    import huggingface_hub

    _refuse_plain_http(huggingface_hub.hf_hub_url(repository, FILE_NAME))
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
    _check_hash(path, repository)
    # Lands in the same folder. A repository may have none.
    with contextlib.suppress(Exception):
        huggingface_hub.hf_hub_download(repository, CONFIG_NAME)
    return path


def is_here(repository):
    """Return whether `fetch` would find the file on this machine; the hub is not asked.

    Args:
        repository: str, `owner/name`.

    Raises:
        ValueError: as `fetch`.
    """
    if os.path.exists(_placed(repository)):
        return True
    import huggingface_hub

    return isinstance(huggingface_hub.try_to_load_from_cache(repository, FILE_NAME), str)


def is_offline():
    """Return whether the hub's client is told not to use the network (`HF_HUB_OFFLINE`)."""
    import huggingface_hub.constants

    return huggingface_hub.constants.HF_HUB_OFFLINE


def _placed(repository):
    """Where a file of a repository is placed by hand."""
    parts = repository.split("/")
    if len(parts) != 2 or not all(re.fullmatch(r"\w[\w.-]*", part) for part in parts):
        raise ValueError(
            f"A repository is given as 'hf://owner/name'. Received: weights='hf://{repository}'"
        )
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    return os.path.join(home, "keras_resnet", *parts, FILE_NAME)


def _refuse_plain_http(url):
    if not url.startswith("https://"):
        raise ValueError(
            "Weights are downloaded by HTTPS only; change the environment variable HF_ENDPOINT. "
            f"Received: {url}"
        )


def _check_hash(path, repository):
    """Compares a downloaded file with the SHA-256 that the hub publishes."""
    published = _published_hash(path, repository)
    if published is None:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != published:
        stored = os.path.realpath(path)
        os.remove(path)
        with contextlib.suppress(FileNotFoundError):  # it was the link itself
            os.remove(stored)
        raise OSError(
            "The downloaded file has not the published SHA-256 and was removed; try again. "
            f"Received: {found} instead of {published}"
        )


def _published_hash(path, repository):
    """The SHA-256 of a file on the hub, which has them of large files only; None if unknown."""
    if os.path.islink(path):
        # The client's cache names files by it. One link only: it may lead on to a store of files
        # that are named by hashes of another kind.
        name = os.path.basename(os.readlink(path))
    else:  # on disks without links the file is there under its own name
        import huggingface_hub

        try:
            url = huggingface_hub.hf_hub_url(repository, FILE_NAME)
            name = huggingface_hub.get_hf_file_metadata(url).etag
        # As above; without network the file is one that was downloaded earlier.
        except Exception as error:
            warnings.warn(
                f"{path} was not compared with the SHA-256 that the hub publishes, which cannot "
                f"be asked for ({type(error).__name__}).",
                stacklevel=2,
            )
            return None
    return name if re.fullmatch("[0-9a-f]{64}", name or "") else None


def config_beside(path):
    """Return the content of the `config.json` in the folder of a file, or an empty dict."""
    config = os.path.join(os.path.dirname(path), CONFIG_NAME)
    if not os.path.isfile(config):
        return {}
    with open(config, "rb") as file:
        content = json_text.loads(file.read(_MAX_CONFIG_BYTES + 1), config, _MAX_CONFIG_BYTES)
    return content if isinstance(content, dict) else {}
