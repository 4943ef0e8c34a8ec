"""The list of runs."""

import pytest

from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.remedies import REMEDIES


def test_grid_is_the_product_with_shortcuts_for_residual_nets_only():
    runs = make_grid(["plain", "residual", "highway"], [20, 56], ["A", "projection"], [0, 3])
    expected = {
        (kind, depth, shortcut, seed)
        for seed in (0, 3)
        for depth in (20, 56)
        for kind, shortcut in (
            ("plain", None),
            ("residual", "zero_pad"),
            ("residual", "projection"),
            ("highway", None),
        )
    }
    assert len(runs) == len(expected) == 16
    assert {(r.kind, r.depth, r.shortcut, r.seed) for r in runs} == expected
    assert [r.seed for r in runs] == [0] * 8 + [3] * 8
    assert len({r.name for r in runs}) == 16


def test_layers_of_the_paper():
    # Section 4.2: n = {3, 5, 7, 9}, 18 and 200.
    blocks = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18, 1202: 200}
    assert {d: Run("plain", d, None, 0).blocks for d in blocks} == blocks


def test_remedies_bring_the_nets_they_are_compared_with():
    runs = make_grid(["plain"], [8], [], [0], ["xavier", "clip"], 20)
    names = ["plain8", "plain20", "plain20_xavier", "plain20_clip", "residual20_zero_pad"]
    assert [r.name for r in runs] == [f"{name}_seed0" for name in names]
    runs = make_grid(["plain", "residual"], [8, 20], ["A"], [0], list(REMEDIES))
    assert len(runs) == 4 + len(REMEDIES)  # nothing twice
    assert {r.depth for r in runs if r.remedy} == {20}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kinds": ["dense"]}, "kinds.*plain, residual, highway.*'dense'"),
        ({"depths": [21]}, r"6n \+ 2.*depth 21"),
        ({"depths": [2]}, r"6n \+ 2.*depth 2"),
        ({"depths": []}, "at least one.*depths"),
        ({"shortcuts": ["D"]}, "shortcuts.*zero_pad.*'D'"),
        ({"shortcuts": []}, "need `shortcuts`"),
        ({"seeds": [-1]}, "seed -1"),
        ({"remedies": ["prayer"]}, "remedies.*xavier.*'prayer'"),
        ({"remedies": ["clip"], "remedy_depth": 9}, "depth 9"),
        ({"remedy_depth": 20}, "`remedy_depth` is for `remedies`"),
    ],
)
def test_bad_input_is_named(changes, message):
    given = {"kinds": ["residual"], "depths": [20], "shortcuts": ["A"], "seeds": [0]}
    with pytest.raises(ValueError, match=message):
        make_grid(**{**given, **changes})
