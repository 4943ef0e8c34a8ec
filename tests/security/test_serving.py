"""A served detector: bad requests harm nobody else, sizes are bounded, threads do not matter."""

import concurrent.futures
import io
import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet.data import images
from tests.detection.test_export import encoded, make_model, picture

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def served(model):
    """The graph of the signature `serving_default`."""
    import tensorflow as tf

    from detection.serving import serve_bytes

    return tf.function(
        lambda image_bytes: serve_bytes(model, image_bytes),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def answer(served, files):
    import tensorflow as tf

    return {name: value.numpy() for name, value in served(tf.constant(files)).items()}


def png_of(width, height):
    """A PNG of a few kilobytes that declares, and decompresses to, very many pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2**22), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def jpeg_of(width, height):
    """A JPEG whose header declares another size."""
    data = bytearray(encoded(picture(50, 75), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bad_files():
    jpeg, png = encoded(picture(50, 75), "JPEG"), encoded(picture(50, 75), "PNG")
    return {
        "of zero bytes": b"",
        "no image": b"GIF89a" + bytes(30),
        "cut JPEG": jpeg[: len(jpeg) // 2],
        "cut PNG": png[: len(png) // 2],
        "header only": png[:24],
        "PNG of 3.6e9 pixels": png_of(60_000, 60_000),
        "PNG of 4.6e18 pixels": png_of(2**31 - 1, 2**31 - 1),
        "JPEG of 4.3e9 pixels": jpeg_of(65_500, 65_500),
        "TIFF": encoded(picture(50, 75), "TIFF"),
    }


def test_a_bad_image_has_no_detections_and_the_others_are_as_alone(served):
    good = [encoded(picture(60 + 9 * i, 90, seed=i), "PNG") for i in range(3)]
    alone = [answer(served, [file]) for file in good]
    assert sum(int(row["num_detections"][0]) for row in alone) > 0
    for name, bad in bad_files().items():
        batch = answer(served, [good[0], bad, good[1], good[2]])
        assert batch["valid"].tolist() == [True, False, True, True], name
        assert batch["num_detections"][1] == 0, name
        assert np.all(batch["classes"][1] == -1), name
        assert np.all(batch["scores"][1] == 0), name
        assert np.all(batch["boxes"][1] == 0), name
        for place, expected in zip((0, 2, 3), alone):
            for key, value in expected.items():
                np.testing.assert_array_equal(batch[key][place], value[0], err_msg=f"{name} {key}")


def test_the_bound_is_one_number():
    from keras_resnet.decode_ops import MAX_PIXELS

    assert MAX_PIXELS == images.MAX_PIXELS == 178_956_970


# Children inherit `ru_maxrss` of a process that did much: this is the
# peak of a new one, from which Linux forgets what was before. What is decoded
# here is refused by the model that is served: its graph is `decode_image` for each file.
DECODES = """
import re, sys
import tensorflow as tf
from keras_resnet.decode_ops import decode_image
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
bound = int(sys.argv[1])
files = [open(path, "rb").read() for path in sys.argv[3:]]
decode = tf.function(
    lambda contents: decode_image(contents, bound), input_signature=[tf.TensorSpec([], tf.string)]
)
decode(tf.constant(open(sys.argv[2], "rb").read()))
open("/proc/self/clear_refs", "w").write("5")
before = peak()
valid = [bool(decode(tf.constant(file))[1]) for file in files]
print(any(valid), (peak() - before) // 1024)
"""


def mebibytes_of(tmp_path, bound, *files):
    """Whether one is valid, and by how much decoding them raises the peak of a new process."""
    paths = []
    for i, contents in enumerate((encoded(picture(20, 30), "PNG"), *files)):
        paths.append(tmp_path / f"{i}.bin")
        paths[-1].write_bytes(contents)
    done = subprocess.run(
        [sys.executable, "-c", DECODES, str(bound), *map(str, paths)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    valid, grown = done.stdout.split()
    return valid == "True", int(grown)


def test_bombs_take_no_memory(served, tmp_path):
    bombs = [png_of(60_000, 60_000), jpeg_of(65_500, 65_500), png_of(13_400, 13_400)]
    assert not answer(served, bombs)["valid"].any()
    valid, grown = mebibytes_of(tmp_path, images.MAX_PIXELS, *bombs)
    assert not valid and grown < 200


def test_the_measured_memory_is_that_of_a_picture(tmp_path):
    """Decoded it has 286 MiB: the bound keeps them, and without it they are seen."""
    large = encoded(Image.new("L", (10_000, 10_000)), "PNG")
    valid, grown = mebibytes_of(tmp_path, 10_000**2, large)
    assert valid and grown > 250
    valid, grown = mebibytes_of(tmp_path, 10_000**2 - 1, large)
    assert not valid and grown < 200


def test_detect_refuses_them_with_their_names(model, tmp_path):
    for name, bad in bad_files().items():
        if name == "TIFF":  # `detect` reads more formats than the served model.
            continue
        path = tmp_path / f"{name.replace(' ', '_')}.bin"
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=path.name):
            model.detect(path)


def test_detect_bounds_pictures(model):
    with pytest.raises(ValueError, match=r"178,956,970 pixels.*65500 x 2735"):
        model.detect(Image.new("1", (65_500, 2_735)))


def test_threads_get_the_answers_of_one(served, model):
    files = [encoded(picture(40 + 7 * i, 150 - 9 * i, seed=i), "PNG") for i in range(5)]
    arrays = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    expected = [answer(served, [file]) for file in files]
    detected = [model.detect(array) for array in arrays]
    order = [i for _ in range(4) for i in range(len(files))]

    def both(i):
        return i, answer(served, [files[i]]), model.detect(arrays[i])

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for i, outputs, found in pool.map(both, order):
            for key, value in expected[i].items():
                np.testing.assert_array_equal(outputs[key], value)
            np.testing.assert_array_equal(found.boxes, detected[i].boxes)
            np.testing.assert_array_equal(found.scores, detected[i].scores)


def resident():
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def many_requests(served, count, seed=0):
    """Sends images of random sizes.

    Returns:
        `(seconds, memory)`: times of all requests, and resident bytes after each 500th.
    """
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype="uint8"))
    seconds, memory = [], []
    for i in range(count):
        width, height = (int(side) for side in rng.integers(8, 400, 2))
        file = encoded(noise.resize((width, height)), ("JPEG", "PNG")[i % 2])
        start = time.perf_counter()
        assert answer(served, [file])["valid"][0]
        seconds.append(time.perf_counter() - start)
        if i % 500 == 499:
            memory.append(resident())
    return seconds, memory


def test_random_sizes_need_one_trace(served):
    many_requests(served, 100)
    assert served.experimental_get_tracing_count() == 1


def functions_of_the_process():
    """How many graphs TensorFlow knows in this process: each trace adds one."""
    from tensorflow.python.eager import context

    return len(context.context().list_function_names())


def test_a_trace_is_counted():
    import tensorflow as tf

    double = tf.function(lambda x: 2 * x)
    double(tf.zeros([3]))
    before = functions_of_the_process()
    double(tf.ones([3]))
    assert functions_of_the_process() == before
    double(tf.zeros([4]))
    assert functions_of_the_process() > before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much memory")
def test_ten_thousand_requests_in_flat_memory(model, tmp_path, capsys):
    """What is exported, loaded as a server does."""
    import tensorflow as tf

    from detection.export import export_saved_model

    folder = export_saved_model(model, tmp_path / "served")
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def serve(image_bytes):
        return signature(image_bytes=image_bytes)

    many_requests(serve, 10)
    functions = functions_of_the_process()
    seconds, memory = many_requests(serve, 10_000)
    growth = memory[-1] / memory[3] - 1
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    with capsys.disabled():
        print(
            f"\n10,000 requests of 8 to 400 pixels a side: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"longest {max(seconds) * 1000:.0f} ms; resident after 2,000 {memory[3] / 2**20:.0f} "
            f"MiB, after 10,000 {memory[-1] / 2**20:.0f} MiB ({growth:+.2%}); "
            f"{functions_of_the_process() - functions} new traces"
        )
    assert functions_of_the_process() == functions
    assert growth < 0.02
