"""Anchors against the conventions of torchvision and detectron2, computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from detection.anchors import AnchorGenerator

RATIOS = (0.5, 1.0, 2.0)


def test_cells_in_detectron2_convention():
    # size 32: area 1024; ratio 0.5 -> 45.2548 x 22.6274.
    cells = AnchorGenerator(((32,),), RATIOS, (4,)).cells[0]
    expected = [
        [-22.627417, -11.313708, 22.627417, 11.313708],
        [-16, -16, 16, 16],
        [-11.313708, -22.627417, 11.313708, 22.627417],
    ]
    np.testing.assert_allclose(cells, expected, rtol=1e-6)


def test_cells_in_torchvision_convention():
    # torchvision rounds the half sides.
    cells = AnchorGenerator(((32,),), RATIOS, (4,), rounded=True).cells[0]
    expected = [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_places_equal_naive_loop(offset):
    generator = AnchorGenerator(((16, 32), (64, 128)), RATIOS, (8, 16), offset=offset)
    levels = generator([(3, 5), (2, 3)])
    for level, (height, width, stride, sizes) in enumerate(
        [(3, 5, 8, (16, 32)), (2, 3, 16, (64, 128))]
    ):
        expected = []
        for y in range(height):
            for x in range(width):
                for size in sizes:
                    for ratio in RATIOS:
                        w = (size**2 / ratio) ** 0.5
                        h = w * ratio
                        cx, cy = (x + offset) * stride, (y + offset) * stride
                        expected.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
        np.testing.assert_allclose(levels[level], expected, rtol=1e-5, atol=1e-4)
    assert generator.num_anchors_per_location == 6


def test_anchors_equal_keras_cv():
    keras_cv = pytest.importorskip("keras_cv")
    theirs = keras_cv.layers.AnchorGenerator(
        bounding_box_format="xyxy",
        sizes=[[32.0], [64.0]],
        aspect_ratios=[2.0, 1.0, 0.5],  # theirs are width / height
        scales=[1.0],
        strides=[8, 16],
        clip_boxes=False,
    )(image_shape=(32, 48, 3))
    ours = AnchorGenerator(((32,), (64,)), RATIOS, (8, 16), offset=0.5)([(4, 6), (2, 3)])
    for mine, other in zip(ours, theirs.values()):
        np.testing.assert_allclose(mine, other, atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_shapes_may_be_tensors(jit_compile):
    generator = AnchorGenerator(((32,),), RATIOS, (4,))

    @tf.function(
        jit_compile=jit_compile, input_signature=[tf.TensorSpec([None, None, None, 3], "float32")]
    )
    def place(feature):
        shape = tf.shape(feature)
        return generator([(shape[1], shape[2])])[0]

    for height, width in ((3, 5), (2, 2)):
        result = place(tf.zeros((1, height, width, 3)))
        np.testing.assert_allclose(result, generator([(height, width)])[0])


def test_spacing_by_the_image_as_torchvision_has_it():
    # An image of 96 x 160 pixels has a map of 2 x 3 cells at stride 64, which torchvision puts
    # 96 // 2 = 48 and 160 // 3 = 53 pixels apart.
    generator = AnchorGenerator(((64,),), (1.0,), (64,), fit_strides=True)
    expected = [[x - 32, y - 32, x + 32, y + 32] for y in (0, 48) for x in (0, 53, 106)]
    np.testing.assert_array_equal(generator([(2, 3)], (96, 160))[0], expected)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def place(images):
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        return generator([((height + 63) // 64, (width + 63) // 64)], (height, width))[0]

    np.testing.assert_array_equal(place(tf.zeros((1, 96, 160, 3))), expected)
    with pytest.raises(ValueError, match="image_shape=None"):
        generator([(2, 3)])


def test_config_round_trip():
    generator = AnchorGenerator(
        ((32,), (64,)), RATIOS, (4, 8), offset=0.5, rounded=True, fit_strides=True
    )
    clone = AnchorGenerator.from_config(generator.get_config())
    assert clone.get_config() == generator.get_config()
    np.testing.assert_array_equal(clone.cells, generator.cells)


@pytest.mark.parametrize(
    "arguments",
    [
        (((32,), (64,)), RATIOS, (4,)),
        (((32,), (64, 128)), RATIOS, (4, 8)),
        (((32,),), (0.0, 1.0), (4,)),
        (((-32,),), RATIOS, (4,)),
        ((32, 64), RATIOS, (4, 8)),
        (((32,),), (), (4,)),
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        AnchorGenerator(*arguments)


def test_wrong_number_of_maps_is_refused():
    with pytest.raises(ValueError, match="Received: feature_shapes"):
        AnchorGenerator(((32,),), RATIOS, (4,))([(2, 2), (1, 1)])
