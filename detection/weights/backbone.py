"""The backbone of a published detector by itself."""

from detection.weights.state import BODY, is_torchvision, read_state
from keras_resnet.weights.assign import assign, refuse_misfits
from keras_resnet.weights.load import load_weights
from keras_resnet.weights.torchvision import from_torch_layout, torchvision_names
from keras_resnet.weights.variant import differences


def load_backbone(backbone, source, norm_epsilon=None):
    """Fill a network with the backbone of a torchvision detector, or with any weights for it.

    Args:
        backbone: a `keras_resnet.ResNet` without classifier, or a model built on one's layers,
            such as the `backbone` of a `FasterRCNN`.
        source: a torchvision detector as `read_state` takes it; anything else goes to
            `keras_resnet.load_weights`.
        norm_epsilon: float, what the norms of a torchvision detector added to the variance, if
            that is not what `read_state` tells.

    Returns:
        `backbone`.

    Raises:
        ValueError: if the weights do not fit; nothing is loaded then.
        OSError: if weights by name are not on this machine and cannot be downloaded.

    Example:

    ```python
    backbone = keras_resnet.ResNet50(include_top=False)
    load_backbone(backbone, "fasterrcnn_resnet50_fpn.safetensors")
    ```
    """
    if not isinstance(source, dict) and not is_torchvision(source):
        return load_weights(backbone, source)
    names = torchvision_names(backbone)

    def check(state):
        body = _body(state)
        if not body and not isinstance(source, dict):
            raise _OfAClassifier
        refuse_misfits(names, body, state.source, _problems(backbone, state, norm_epsilon))

    try:
        state = read_state(source, check)
    except _OfAClassifier:
        return load_weights(backbone, source)
    assign(names, _body(state), state.source)
    backbone.get_layer("stem").preprocessing = "torch"
    return backbone


class _OfAClassifier(Exception):
    """The file holds no detector."""


def _body(state):
    return {
        name.removeprefix(BODY): from_torch_layout(name, array)
        for name, array in state.arrays.items()
        if name.startswith(BODY)
    }


def _problems(backbone, state, norm_epsilon):
    epsilon = state.norm_epsilon if norm_epsilon is None else norm_epsilon
    return differences(backbone, {"stride_in": "3x3"}) + [
        f"norm: the weights were made with epsilon={epsilon}, {layer.path} has "
        f"epsilon={layer.epsilon}; build the network with "
        f"norm={{'kind': {state.norm!r}, 'epsilon': {epsilon}}}"
        for layer in _norms(backbone)[:1]
        if layer.epsilon != epsilon
    ]


def _norms(backbone):
    return [layer for layer in backbone._flatten_layers() if hasattr(layer, "moving_variance")]
