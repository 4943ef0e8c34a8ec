"""Which views test-time augmentation asks for."""

import pytest

from detection import views
from detection.views import View

OWN = {"min_side": 600, "max_side": 1000, "size_divisor": 32}


def made(*arguments, **options):
    return views.TestTimeAugmentation(*arguments, **options)


def test_scales_bound_the_longer_side_in_proportion():
    found = made((200, 600, 900)).views(OWN)
    assert found == [View(200, 333), View(600, 1000), View(900, 1500)]


def test_all_scales_as_they_are_and_then_mirrored():
    found = made((300, 600), flip=True, merge="features").views(OWN)
    assert [(view.min_side, view.flip) for view in found] == [
        (300, False),
        (600, False),
        (300, True),
        (600, True),
    ]


def test_without_scales_the_models_own():
    assert made(flip=True).views(OWN) == [View(600, 1000), View(600, 1000, True)]
    assert made(flip=True).views({}) == [View(None, None), View(None, None, True)]


def test_equal_arguments_are_equal_whatever_they_came_from():
    assert hash(made([300, 600])) == hash(made((300.0, 600)))
    assert made([300, 600]) == made((300, 600)) != made((600, 300))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"merge": "max"}, "merge='max'"),
        ({"scales": (400, 400)}, r"scales=\(400, 400\)"),
        ({"scales": (0, 400)}, r"scales=\(0, 400\)"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(**arguments)


def test_views_that_cannot_be_made():
    with pytest.raises(ValueError, match=r"must hold 600.*scales=\(400, 800\)"):
        made((400, 800), merge="features").views(OWN)
    with pytest.raises(ValueError, match="`preprocessing`"):
        made((400, 800)).views({})
