"""Crops against naive loops."""

import math

import numpy as np
import pytest

from keras_resnet.data.evaluation import centre_crop, rescale, ten_crop
from keras_resnet.data.geometry import crop, random_resized_box, resize, shorter_side_size
from tests.keras_resnet.data.helpers import smooth_image


def naive_crop(image, top, left, height, width, fill):
    result = np.zeros((height, width, 3), "uint8")
    for y in range(height):
        for x in range(width):
            row, column = top + y, left + x
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            result[y, x] = image[row, column] if inside else fill
    return result


@pytest.mark.parametrize("top", [-9, -2, 0, 3, 8, 12])
@pytest.mark.parametrize("left", [-12, -1, 0, 2, 5, 11])
def test_crop(top, left):
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), "uint8")
    for fill in (0, (1, 2, 3)):
        found = crop(image, top, left, 7, 8, fill)
        np.testing.assert_array_equal(found, naive_crop(image, top, left, 7, 8, fill))


def naive_box(height, width, attempts, position, scale, ratio):
    """As published with the first implementations: ten attempts, then the middle."""
    for area, shape in attempts:
        area = height * width * (scale[0] + area * (scale[1] - scale[0]))
        low, high = math.log(ratio[0]), math.log(ratio[1])
        shape = math.exp(low + shape * (high - low))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return (
                math.floor(position[0] * (height - h + 1)),
                math.floor(position[1] * (width - w + 1)),
                h,
                w,
            )
    if width / height < ratio[0]:
        w, h = width, round(width / ratio[0])
    elif width / height > ratio[1]:
        w, h = round(height * ratio[1]), height
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w


def test_random_resized_boxes():
    rng = np.random.default_rng(1)
    fallbacks = 0
    for _ in range(500):
        height, width = (int(v) for v in rng.integers(3, 60, 2))
        attempts, position = rng.random((10, 2)), rng.random(2)
        scale = ((0.08, 1.0), (0.9, 1.0))[int(rng.integers(2))]
        args = (height, width, attempts, position, scale, (3 / 4, 4 / 3))
        assert random_resized_box(*args) == naive_box(*args)
        fits = naive_box(height, width, attempts, (0, 0), scale, (3 / 4, 4 / 3))
        fallbacks += scale[0] == 0.9 and fits[:2] != (0, 0)
    assert fallbacks > 20


def test_random_resized_boxes_reach_every_border():
    attempts = np.array([[0.5, 0.5]])
    for edge in (0.0, np.nextafter(1.0, 0.0)):
        top, left, height, width = random_resized_box(
            30, 40, attempts, (edge, edge), (0.25, 0.25), (1, 1)
        )
        assert (height, width) == (17, 17)
        assert (top, left) == ((0, 0) if edge == 0 else (13, 23))


@pytest.mark.parametrize("size", [(480, 640), (640, 481), (33, 33), (500, 375)])
def test_shorter_side(size):
    height, width = shorter_side_size(*size, 256)
    assert min(height, width) == 256
    longer = max(size) * 256 / min(size)
    assert max(height, width) == math.floor(longer)
    assert (height > width) == (size[0] > size[1])


def naive_resize(image, height, width):
    """Bilinear, antialiased: each new pixel is a mean weighted by a triangle."""

    def weights(new, old):
        scale = old / new
        reach = max(scale, 1.0)
        table = np.zeros((new, old))
        for i in range(new):
            centre = (i + 0.5) * scale
            for j in range(old):
                table[i, j] = max(0.0, 1 - abs(j + 0.5 - centre) / reach)
        return table / table.sum(axis=1, keepdims=True)

    rows, columns = weights(height, image.shape[0]), weights(width, image.shape[1])
    return np.einsum("yi,xj,ijc->yxc", rows, columns, image.astype("float64"))


@pytest.mark.parametrize("size", [(10, 14), (30, 21), (60, 50)])
def test_resize_is_a_weighted_mean(size):
    image = smooth_image((30, 40))
    found = resize(image, *size).astype("float64")
    # Pillow rounds after each direction.
    assert np.abs(found - naive_resize(image, *size)).max() <= 1


def test_rescale_and_crops_for_evaluation():
    image = smooth_image((30, 41))
    small = rescale(image, 20)
    np.testing.assert_array_equal(small, resize(image, 20, 27))
    # The room is 4 rows and 11 columns; half of 11 is rounded to the even 6.
    middle = centre_crop(image, 20, 16)
    np.testing.assert_array_equal(middle, small[2:18, 6:22])
    np.testing.assert_array_equal(centre_crop(image, None, 16), image[7:23, 12:28])
    views = ten_crop(image, 20, 16)
    assert views.shape == (10, 16, 16, 3) and views.dtype == np.uint8
    corners = [(0, 0), (0, 11), (4, 0), (4, 11), (2, 6)]
    for number, mirrored in enumerate([small, small[:, ::-1]]):
        for i, (top, left) in enumerate(corners):
            for y in range(16):
                for x in range(16):
                    found = views[5 * number + i, y, x]
                    assert (found == mirrored[top + y, left + x]).all()


def test_crops_that_do_not_fit_are_refused():
    image = smooth_image((30, 40))
    for make in (centre_crop, ten_crop):
        with pytest.raises(ValueError, match=r"26 x 20 pixels.*Received: resize=20, crop=24"):
            make(image, 20, 24)
        with pytest.raises(ValueError, match="Received: resize=None, crop=31"):
            make(image, None, 31)
