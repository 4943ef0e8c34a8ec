"""`.keras` files: which members they have, and which classes they may name."""

import contextlib
import io
import math

import keras

from keras_resnet.untrusted import hdf5_file, json_text
from keras_resnet.untrusted.dry_run import dry_run
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.untrusted.network_size import refuse_larger, whole_numbers
from keras_resnet.untrusted.zip_file import open_archive

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
_MEMBERS = ("metadata.json", CONFIG, WEIGHTS)
_MAX_CONFIG_BYTES = 8 * 2**20
_MAX_WEIGHTS_BYTES = 2**31 - 1
_MAX_RATIO = 20

_MODULES = {
    "keras",
    *("keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers"),
    *("keras.layers", "keras.losses", "keras.metrics", "keras.models", "keras.optimizers"),
    *("keras.optimizers.schedules", "keras.quantizers", "keras.random", "keras.regularizers"),
    *("keras.src.models.functional", "keras.src.models.model", "keras.src.models.sequential"),
}
_OWN = {"keras_resnet", "detection"}
# Keras imports modules of these that a file names; some of their classes fetch files.
_FOREIGN = {"keras_cv", "keras_hub", "keras_nlp"}
# Python's own values, and names of functions of Keras.
_PLAIN = {
    *("__ellipsis__", "__keras_tensor__", "__numpy__", "__tensor__", "__tuple__"),
    *("dtype", "function", "slice"),
}
_CODE = {
    "Lambda": "runs a function that is stored in the file",
    "__lambda__": "is a function that is stored in the file",
    "TFSMLayer": "runs a SavedModel, a program, from a path",
    "TorchModuleWrapper": "runs a pickle",
    "JaxLayer": "runs a function that is stored in the file",
    "FlaxLayer": "runs a function that is stored in the file",
    "IndexLookup": "reads a file from a path",
    "StringLookup": "reads a file from a path",
    "IntegerLookup": "reads a file from a path",
    "TextVectorization": "reads a file from a path",
}
# Arguments of our classes that are numbers of layers, or have an entry for each.
_COUNTS, _LISTS = ("conv_depth",), ("convolutions", "hidden", "levels")
# A layer is written as about three objects: itself, the policy of its dtype, initializers.
_OBJECTS, _OBJECTS_OF_AN_ARRAY, _MAX_OBJECTS = 500, 4, 5000


def read_description(path):
    """Returns what a `.keras` file says of its outermost object.

    Args:
        path: path of the file.

    Returns:
        Dict with `class_name`, `registered_name` and `config`.

    Raises:
        UntrustedFileError: it is no such file, or names classes that run code or read files.
    """
    return _description(path)


@contextlib.contextmanager
def open_weights(path):
    """Opens the weights inside a `.keras` file.

    Args:
        path: path of the file.

    Yields:
        Dict from the path inside the weights to `h5py.Dataset`, all checked.

    Raises:
        UntrustedFileError: it is no such file.
    """
    with open_archive(path, _MEMBERS) as archive:
        data = archive.read(WEIGHTS, _MAX_WEIGHTS_BYTES, _MAX_RATIO)
    with hdf5_file.open_arrays(io.BytesIO(data), f"{path}/{WEIGHTS}") as (_, datasets):
        yield datasets


def check_model(path):
    """Checks a `.keras` file before Keras loads it.

    Args:
        path: path of the file.

    Raises:
        UntrustedFileError: it is no such file, names classes that run code or read files, or
            describes more layers or weights than it holds.
    """
    description = _description(path, made=True)
    with open_weights(path) as datasets:
        shapes = [dataset.shape or () for dataset in datasets.values()]
    check_size(lambda: _deserialized(description, path), description, shapes, path)


def check_size(build, description, shapes, where):
    """Refuses a description of a model that is larger than the weights stored with it.

    Args:
        build: function that builds the model; it is called in a `dry_run`.
        description: nested dicts and lists from which it builds.
        shapes: list of the shapes of the arrays stored, in Keras' layout.
        where: how errors name the file.

    Raises:
        UntrustedFileError: the model has more layers than there are arrays or more weights than
            there are numbers, or cannot be built.
    """
    _refuse_more_objects(description, shapes, where)
    try:
        model = dry_run(build)
    except ValueError:
        raise
    # What the layers' constructors make of arguments of any kind.
    except Exception as error:
        raise UntrustedFileError(f"{where} describes no model that can be built: {error}") from None
    if not isinstance(model, keras.Model):
        raise UntrustedFileError(f"{where} describes no model but a {type(model).__name__}.")
    needed = sum(math.prod(weight.shape) for weight in model.weights)
    stored = sum(map(math.prod, shapes))
    if needed > stored:
        raise UntrustedFileError(
            f"{where} describes a model of {needed} weights and holds {stored} of them."
        )


def _description(path, made=False):
    """Reads and checks it; `made` is whether Keras is to make the objects that it names."""
    where = f"{path}/{CONFIG}"
    with open_archive(path, _MEMBERS) as archive:
        description = json_text.loads(archive.read(CONFIG, _MAX_CONFIG_BYTES), where)
    if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
        raise UntrustedFileError(f"{where} does not describe a model.")
    # Losses and optimizers, which may be anybody's, are never made.
    description.pop("compile_config", None)
    for node in _nodes(description):
        if "class_name" in node:
            _check_class(node, made, where)
    return description


def _deserialized(description, path):
    try:
        return keras.saving.deserialize_keras_object(description, safe_mode=True)
    except ValueError as error:
        raise UntrustedFileError(f"{path} describes no model that can be built: {error}") from None


def _check_class(node, made, where):
    name, module = node["class_name"], node.get("module")
    registered = node.get("registered_name")
    if not all(isinstance(value, (str, type(None))) for value in (name, module, registered)):
        raise UntrustedFileError(f"{where} names a class that is no name: {name!r}.")
    for given in (name, (registered or "").split(">")[-1]):
        if given in _CODE:
            raise UntrustedFileError(f"{where} names the class {given}, which {_CODE[given]}.")
    # Keras takes the class' name for the registered one where there is no entry for it.
    if not _is_known(name, module, node.get("registered_name", name), made):
        shown = " registered as ".join(repr(value[:100]) for value in (name, registered) if value)
        raise UntrustedFileError(
            f"{where} names the class {shown} of {repr(module)[:100]}, which is neither of Keras "
            "nor of this library. Register it with `keras.saving.register_keras_serializable` if "
            "it is yours."
        )


def _is_known(name, module, registered, made):
    if name in _PLAIN:
        # Keras looks functions up by another entry, and would import other modules.
        return module in (None, "builtins", *_MODULES)
    # Keras would look up a path such as `layers.Lambda` too.
    if not (name or "").isidentifier() or name.startswith("__"):
        return False
    prefix = (registered or "").split(">")[0].split(".")[0]
    packages = {(module or "").split(".")[0], prefix}
    if packages & _FOREIGN:
        return False
    # What Keras takes before it looks at the module.
    found = keras.saving.get_registered_object(registered)
    if found is not None:
        package = (getattr(found, "__module__", None) or "").split(".")[0]
        agrees = package not in _OWN or packages <= {package}
        return found.__name__ == name and package not in _FOREIGN and agrees
    if module in _MODULES:
        return True
    # One that was not imported is nothing that Keras makes; where only weights are read, it is
    # none the less a class of this library.
    return not made and packages <= _OWN and len(packages) == 1


def _nodes(value):
    """All dicts inside nested dicts and lists."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _refuse_more_objects(description, shapes, where):
    """Refuses what would take long to build, by numbers in the description."""
    held = sum(0 not in shape for shape in shapes)
    objects, layers = 0, 0
    for node in _nodes(description):
        objects += "class_name" in node
        layers += sum(sum(whole_numbers(node.get(name))) for name in _COUNTS)
        layers += sum(_length(node.get(name)) for name in _LISTS)
        config = node.get("config")
        if _is_network(node) and isinstance(config, dict):
            # The defaults are those of `ResNet`.
            blocks, width = config.get("stage_blocks", (3, 4, 6, 3)), config.get("width", 64)
            refuse_larger(blocks, width, shapes, where)
    if layers > held:
        raise UntrustedFileError(
            f"{where} describes {layers} layers and holds {held} arrays for them."
        )
    if objects > min(_OBJECTS + _OBJECTS_OF_AN_ARRAY * held, _MAX_OBJECTS):
        raise UntrustedFileError(
            f"{where} describes {objects} objects and holds {held} arrays for them."
        )


def _length(value):
    """Length of a list, also of a tuple as Keras writes it; 0 for anything else."""
    value = value.get("items") if isinstance(value, dict) else value
    return len(value) if isinstance(value, list) else 0


def _is_network(node):
    names = [node.get(name) for name in ("class_name", "registered_name")]
    return any(isinstance(name, str) and name.split(">")[-1] == "ResNet" for name in names)
