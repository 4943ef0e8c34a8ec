import numpy as np
import pytest
from PIL import Image

from detection.visualize import class_color, draw_detections, image_grid

GREY = 90


def grey(height, width):
    return np.full((height, width, 3), GREY, "uint8")


def painted(picture):
    """Where a picture is no longer the grey it was."""
    return (np.asarray(picture) != GREY).any(axis=-1)


def is_color(picture, color):
    return (np.asarray(picture) == np.array(color)).all(axis=-1)


def test_frame_lies_on_the_box():
    picture = draw_detections(grey(600, 800), [[100, 200, 500, 450]], [1])
    assert picture.size == (800, 600)
    frame = is_color(picture, class_color(1))
    assert frame[200, 100:500].all() and frame[449, 100:500].all()
    assert frame[200:450, 100].all() and frame[200:450, 499].all()
    assert not painted(picture)[220:430, 120:480].any()
    # Beside the box and its text, which sits on top of it, nothing is drawn.
    rows, columns = np.nonzero(painted(picture))
    assert (columns.min(), columns.max(), rows.max()) == (100, 499, 449)
    assert 160 < rows.min() < 200


def test_small_image_is_enlarged_by_a_whole_factor():
    picture = draw_detections(grey(96, 128), [[32, 40, 64, 80]], [0])
    assert picture.size == (512, 384)
    assert is_color(picture, class_color(0))[160, 128:256].all()
    assert is_color(picture, class_color(0))[319, 128:256].all()
    assert draw_detections(grey(96, 128), [[32, 40, 64, 80]], [0], min_size=None).size == (128, 96)


def test_input_is_not_changed():
    array = grey(50, 50)
    image = Image.fromarray(array)
    draw_detections(array, [[5, 5, 40, 40]], ["a"])
    draw_detections(image, [[5, 5, 40, 40]], ["a"], min_size=None)
    assert (array == GREY).all() and (np.asarray(image) == GREY).all()


CORNERS = [[0, 0, 30, 20], [770, 0, 800, 20], [0, 580, 30, 600], [770, 580, 800, 600]]


def contains(picture, part):
    """Whether `part` occurs, pixel for pixel, anywhere in the picture."""
    height, width = part.shape[:2]
    rows, columns = np.indices(np.array(picture.shape[:2]) - (height - 1, width - 1)).reshape(2, -1)
    for y, x in np.ndindex(height, width):
        same = (picture[rows + y, columns + x] == part[y, x]).all(axis=-1)
        rows, columns = rows[same], columns[same]
    return len(rows) > 0


@pytest.mark.parametrize("box", [*CORNERS, [0, 0, 800, 600], [-50, -50, 900, 700]])
def test_text_is_whole_inside_the_picture(box):
    def draw(at):
        return np.asarray(draw_detections(grey(600, 800), [at], [0], [0.5], ["elephant"]))

    middle = draw([300, 200, 500, 400])
    rows, columns = np.nonzero(painted(middle)[:200])
    tag = middle[rows.min() : 200, columns.min() : columns.max() + 1]
    assert 15 < tag.shape[0] < 40 and 80 < tag.shape[1] < 180
    assert not contains(grey(600, 800), tag)
    assert contains(draw(box), tag)


@pytest.mark.parametrize("box", CORNERS)
def test_text_stays_inside_where_many_crowd_in_a_corner(box):
    # Each tag takes a place, and outside the picture there would be room: the last, which is
    # drawn over the others, must still be whole.
    alone = np.asarray(draw_detections(grey(600, 800), [[300, 200, 500, 400]], [9], [0.1]))
    rows, columns = np.nonzero(painted(alone)[:200])
    tag = alone[rows.min() : 200, columns.min() : columns.max() + 1]
    scores = np.linspace(0.9, 0.1, 10)
    crowd = draw_detections(grey(600, 800), [box] * 10, range(10), scores)
    assert contains(np.asarray(crowd), tag)


def test_long_name_is_shortened_to_the_picture():
    picture = draw_detections(grey(480, 200), [[20, 100, 180, 300]], ["very long name " * 10])
    tag = painted(picture)[60:100]
    assert tag.any(axis=0)[5:195].all()
    # A letter starts at the left edge: the tag's first columns are plain colour, not cut text.
    color = np.asarray(picture)[60:100][tag][0]
    columns = np.flatnonzero(tag.any(axis=0))
    edge = np.asarray(picture)[60:100, columns[0]][tag[:, columns[0]]]
    assert (edge == color).all()


def test_texts_of_equal_boxes_do_not_cover_each_other():
    boxes = [[200, 200, 600, 400]] * 2
    picture = draw_detections(grey(600, 800), boxes, [0, 1], [0.9, 0.8], ["cat", "dog"])
    first = is_color(picture, class_color(0))
    second = is_color(picture, class_color(1))
    assert first[150:199].sum() > 300  # above the box, in the first one's colour
    assert not second[150:199].any()
    assert second[401:450].sum() > 300  # below it, in the second one's
    assert first[200, 200:600].all()  # and the surer frame on top


def test_colors_are_stable_and_distinct():
    assert len({class_color(index) for index in range(16)}) == 16
    assert class_color("dog") == class_color("dog") != class_color("cat")
    assert class_color(np.int64(3)) == class_color(3)
    one = draw_detections(grey(500, 500), [[10, 50, 90, 90]], [4])
    two = draw_detections(
        grey(500, 500), [[10, 50, 90, 90], [200, 200, 300, 300]], [4, 2], [0.1, 0.9]
    )
    assert is_color(one, class_color(4))[50, 10:90].all()
    assert is_color(two, class_color(4))[50, 10:90].all()


def test_padding_low_scores_and_boxes_outside_are_not_drawn():
    boxes = [[0, 0, 0, 0], [100, 100, 200, 200], [600, 100, 700, 200], [50, 50, 50, 90]]
    picture = draw_detections(
        grey(500, 500), boxes, [-1, 0, 1, 2], [0.9, 0.3, 0.9, 0.9], min_score=0.5
    )
    assert not painted(picture).any()
    nothing = draw_detections(grey(500, 500), np.zeros((0, 4)), [], [])
    assert not painted(nothing).any()


@pytest.mark.parametrize("shape", [(20, 500), (20, 500, 1), (20, 500, 4)])
def test_shapes_and_float_values(shape):
    array = np.full(shape, 90.4, "float32")
    if shape[-1] == 4:
        array[..., 3] = 255
    picture = draw_detections(array, [], [])
    assert picture.mode == "RGB" and picture.size == (500, 20)
    assert not painted(picture).any()
    assert draw_detections(np.array([[[-5.0, 300.0, 7.6]]]), [], [], min_size=None).getpixel(
        (0, 0)
    ) == (0, 255, 8)


def test_tiny_picture_does_not_fail():
    picture = draw_detections(grey(3, 4), [[0, 0, 4, 3]], ["name"], min_size=None)
    assert picture.size == (4, 3)
    assert is_color(picture, class_color("name")).any()


def test_errors():
    with pytest.raises(ValueError, match="Received: 1 boxes, 2 labels, no scores"):
        draw_detections(grey(9, 9), [[0, 0, 1, 1]], [0, 1])
    with pytest.raises(ValueError, match="must be finite"):
        draw_detections(grey(9, 9), [[0, 0, np.nan, 1]], [0])
    with pytest.raises(ValueError, match=r"array of shape \(2, 9, 9, 3\)"):
        draw_detections(np.zeros((2, 9, 9, 3)), [], [])
    with pytest.raises(ValueError, match="Received: 0 images"):
        image_grid([])
    with pytest.raises(ValueError, match="Received: 1 images"):
        image_grid([grey(9, 9)], captions=["a", "b"])


def test_grid_places_pictures_in_reading_order():
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    images = [np.full((30, 60, 3), color, "uint8") for color in colors]
    sheet = image_grid(images, columns=3, cell_size=(60, 60), gap=5)
    assert sheet.size == (3 * 65 + 5, 2 * 65 + 5)
    for index, color in enumerate(colors):
        left, top = 5 + index % 3 * 65, 5 + index // 3 * 65
        cell = is_color(sheet, color)[top : top + 60, left : left + 60]
        assert cell[15:45].all()  # centred, its shape kept
        assert not cell[:15].any() and not cell[45:].any()
    assert image_grid(images, cell_size=10, gap=0).size == (30, 20)


def test_captions_stay_under_their_picture():
    black = np.zeros((50, 50, 3), "uint8")
    plain = np.asarray(image_grid([black] * 2, columns=2, cell_size=100, captions=["", ""]))
    sheet = np.asarray(image_grid([black] * 2, columns=2, cell_size=100, captions=["x" * 99, ""]))
    assert sheet.shape == plain.shape == (100 + 11 + 6 + 8, 212, 3)
    rows, columns = np.nonzero((sheet != plain).any(axis=-1))
    assert rows.min() >= 104 and columns.min() >= 4 and 60 < columns.max() < 104
