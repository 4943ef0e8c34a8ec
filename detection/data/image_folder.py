"""Lists of images: those in a folder and its subfolders, or those that a text file names."""

import os

from detection.data.foreign_names import find_files
from detection.data.named_files import NamedFiles
from detection.data.problems import DataError
from keras_resnet.data.missing_paths import first_names

# What is taken for an image; of these, what does not decode is named.
EXTENSIONS = {
    *(".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".dng"),
}
_MAX_BYTES = 2**30  # Of a list of paths.


def list_images(place, root, problems, follow_links=False):
    """Lists images in alphabetical order, or in that of the text file.

    Args:
        place: String, a folder, or a text file with a path in each line: relative to `root`, or
            to the file itself where it begins with `./`.
        root: String, the folder of the data set; images that a text file names must be in it.
        problems: `Problems`, to which images that are not there are added.
        follow_links: Boolean, whether links inside the folder may lead out of it.

    Returns:
        A list of strings.

    Raises:
        DataError: If there is no image.
    """
    if os.path.isdir(place):
        paths = _in_folder(place, problems, follow_links)
        if not paths:
            raise DataError(f"There is no image in {place}. It holds: {first_names(place)}")
        return paths
    return _in_file(place, root, problems, follow_links)


def _in_folder(folder, problems, follow_links):
    files, paths = NamedFiles(folder, follow_links), []
    for name in sorted(_walk(folder, follow_links)):
        path, kind = files.find(name)
        if kind is None:
            paths.append(path)
        else:
            problems.add(kind, path)
    return paths


def _walk(folder, follow_links):
    seen = set()
    for where, folders, names in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(where)
        if real in seen:  # Links can lead in circles.
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            # Those with a dot in front are macOS' notes on files of the same ending.
            if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):
                yield os.path.relpath(os.path.join(where, name), folder)


def _in_file(file, root, problems, follow_links):
    if os.path.getsize(file) > _MAX_BYTES:
        raise DataError(f"{file} is larger than {_MAX_BYTES:,} bytes; is it a list of images?")
    try:
        with open(file, encoding="utf-8-sig") as stream:
            lines = [line.strip() for line in stream]
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no UTF-8 text with a path in each line: {error}.") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if not numbered:
        raise DataError(f"{file} names no image.")
    folder = os.path.relpath(os.path.dirname(os.path.abspath(file)), root)
    names = [
        os.path.normpath(os.path.join(folder, line)) if line.startswith("./") else line
        for _, line in numbered
    ]
    paths = []
    for (number, line), found in zip(numbered, find_files(NamedFiles(root, follow_links), names)):
        if found.usable(line, root, f"{file}, line {number}", problems):
            paths.append(found.path)
    return paths
