"""compute_output_shape of every layer against what the layer puts out."""

import numpy as np
import pytest

import keras_resnet

NETWORKS = {
    "basic": {"block": "basic"},
    "bottleneck": {},
    "v1": {"stride_in": "1x1"},
    "v2": {"block": "preact_bottleneck", "stride_at": "last", "shortcut": "max_pool"},
    "d": {"stem": "deep", "shortcut": "avg_pool"},
    "a": {"block": "basic", "shortcut": "zero_pad"},
    "c": {"shortcut": "projection_all"},
    "plain": {"block": "basic", "shortcut": "none"},
    "highway": {"block": "basic", "shortcut": "highway", "stem": "3x3"},
    "se": {"squeeze_excitation": 4},
    "group": {"norm": {"kind": "group", "groups": 4, "weight_standardization": True}},
    "dilated": {"output_stride": 8},
}


@pytest.mark.parametrize("size", [(32, 32), (33, 41)])
@pytest.mark.parametrize("arguments", NETWORKS.values(), ids=NETWORKS.keys())
def test_declared_shapes_are_those_put_out(arguments, size):
    defaults = {"stage_blocks": (1, 2, 1), "block": "bottleneck", "width": 8, "classes": 3}
    model = keras_resnet.ResNet(**{**defaults, **arguments})
    shape = (2, *size, 3)
    x = np.zeros(shape, "float32")
    assert model.compute_output_shape(shape) == tuple(model(x).shape) == (2, 3)
    for layer in model.layers[1:]:
        declared = layer.compute_output_shape(tuple(x.shape))
        unknown = layer.compute_output_shape((None, *[None] * (x.ndim - 2), x.shape[-1]))
        x = np.array(layer(x))
        assert tuple(declared) == x.shape, layer.name
        assert len(unknown) == x.ndim and unknown[-1] == x.shape[-1], layer.name


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_summary_has_a_row_a_block(data_format):
    lines = []
    model = keras_resnet.ResNet50(data_format=data_format)
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
    text = "\n".join(lines)
    assert text.count("(BottleneckBlock)") == 16
    assert text.count("stem (Stem)") == 1
    shape = "(None, 7, 7, 2048)" if data_format == "channels_last" else "(None, 2048, 7, 7)"
    assert text.count(shape) == 3
    assert "25,557,032" in text
