"""Downloads: by HTTPS, only of what was named, and nothing that is cut short or another's."""

import hashlib
import re
import types

import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from detection.weights import list_detectors
from keras_resnet.weights import hub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The layout of the hub's client: blobs named by their hash, and a link to each."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    return tmp_path


@pytest.fixture
def data():
    network = keras_resnet.ResNet((1,), width=8, classes=2)
    names = keras_resnet.torchvision_names(network)
    arrays = {}
    for name, variable in names.items():
        shape = tuple(variable.shape)
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
        arrays[name] = np.ones(shape, "float32")
    return safetensors.numpy.save(arrays)


def serve(monkeypatch, cache, content, published=None):
    """Stands for the hub's client; returns the files that it was asked for."""
    published = published or hashlib.sha256(content).hexdigest()
    asked = []

    def download(repository, name):
        asked.append((repository, name))
        if name != hub.FILE_NAME:
            raise FileNotFoundError(name)
        blob, link = cache / "blobs" / published, cache / "snapshot" / name
        blob.write_bytes(content)
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
        return str(link)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def load():
    network = keras_resnet.ResNet((1,), width=8, classes=2)
    return keras_resnet.load_weights(network, "hf://someone/net")


def test_only_named_files_are_asked_for(cache, data, monkeypatch):
    asked = serve(monkeypatch, cache, data)
    assert np.all(np.array(load().get_layer("predictions").kernel) == 1)
    assert set(asked) == {("someone/net", "model.safetensors"), ("someone/net", "config.json")}


def test_another_file_than_the_published_is_not_used(cache, data, monkeypatch):
    serve(monkeypatch, cache, data, published="0" * 64)
    with pytest.raises(OSError, match="not the published SHA-256 and was removed"):
        load()
    assert not list((cache / "blobs").iterdir())
    # The next attempt starts anew.
    serve(monkeypatch, cache, data)
    load()


def test_a_file_cut_short_is_not_used(cache, data, monkeypatch):
    serve(monkeypatch, cache, data[:-1], hashlib.sha256(data).hexdigest())
    with pytest.raises(OSError, match="SHA-256"):
        load()


def serve_without_links(monkeypatch, cache, content, published):
    """Stands for the client on a disk without links: the file lies under its own name."""

    def download(repository, name):
        if name != hub.FILE_NAME:
            raise FileNotFoundError(name)
        (cache / "snapshot" / name).write_bytes(content)
        return str(cache / "snapshot" / name)

    def metadata(url):
        assert url == "https://huggingface.co/someone/net/resolve/main/model.safetensors"
        if isinstance(published, Exception):
            raise published
        return types.SimpleNamespace(etag=published)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)


def test_without_links_the_hub_is_asked_for_the_hash(cache, data, monkeypatch):
    serve_without_links(monkeypatch, cache, data, hashlib.sha256(data).hexdigest())
    load()
    serve_without_links(monkeypatch, cache, data, "0" * 64)
    with pytest.raises(OSError, match="not the published SHA-256 and was removed"):
        load()
    assert not list((cache / "snapshot").iterdir())
    # Small files have no SHA-256 there, but one of git.
    serve_without_links(monkeypatch, cache, data, "0" * 40)
    load()


def test_without_links_and_network_it_is_said_that_nothing_was_compared(cache, data, monkeypatch):
    serve_without_links(monkeypatch, cache, data, ConnectionError("no network"))
    with pytest.warns(UserWarning, match=r"was not compared with the SHA-256.*ConnectionError"):
        load()


def test_links_that_lead_on_to_another_store_are_followed_once(cache, data, monkeypatch):
    """The client may keep files of all caches in one place, by names that are no SHA-256."""
    serve(monkeypatch, cache, data)
    once = huggingface_hub.hf_hub_download

    def download(repository, name):
        path = once(repository, name)
        (cache / "shared").mkdir()
        blob = cache / "blobs" / hashlib.sha256(data).hexdigest()
        shared = cache / "shared" / ("f" * 64)
        blob.rename(shared)
        blob.symlink_to(shared)
        return path

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    load()


def test_an_interrupted_download_leaves_nothing_to_use(cache, data, monkeypatch):
    def interrupted(repository, name):
        # As the client does: aside, and renamed at the end only.
        (cache / "blobs" / f"{'0' * 64}.incomplete").write_bytes(data[:100])
        raise ConnectionError("the network went away")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", interrupted)
    with pytest.raises(OSError, match=r"could not be downloaded .*ConnectionError") as error:
        load()
    assert "place it" in str(error.value)
    serve(monkeypatch, cache, data)
    load()


def test_plain_http_is_refused_before_anything_is_sent(cache, monkeypatch):
    asked = serve(monkeypatch, cache, b"")
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_url", lambda repository, name: f"http://mirror/{repository}/{name}"
    )
    with pytest.raises(ValueError, match="HTTPS only"):
        load()
    assert asked == []


def test_published_places_are_https(monkeypatch):
    assert huggingface_hub.hf_hub_url("a/b", "c").startswith("https://")
    assert all(row.url.startswith("https://") for row in list_detectors())
    for row in keras_resnet.weights.list():
        assert re.fullmatch(r"hf://[\w.-]+/[\w.-]+|keras\.applications", row.source)


def test_keras_downloads_by_https_and_checks_a_hash(monkeypatch):
    asked = []

    def get_file(fname=None, origin=None, file_hash=None, **options):
        asked.append((origin, file_hash))
        raise OSError("no network here")

    monkeypatch.setattr("keras.src.applications.resnet.file_utils.get_file", get_file)
    with pytest.raises(OSError, match="could not be downloaded"):
        keras_resnet.ResNet50(stride_in="1x1", weights="imagenet")
    ((origin, file_hash),) = asked
    assert origin.startswith("https://")
    assert len(file_hash) >= 32
