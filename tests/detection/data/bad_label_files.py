"""Label files of YOLO and tables of boxes as they come: each with what becomes of it."""

from typing import NamedTuple


class Case(NamedTuple):
    """What stands for the first of two images; the second is sound.

    Args:
        what: str, the input.
        outcome: `"accepted"`, `"refused"`, or the kind under which it is counted.
        detail: str, what becomes of it; of what is refused, a pattern of the message.
        text: str or bytes, the label file, or lines of the table; None for no file.
        boxes: how many boxes of the first image remain.
    """

    what: str
    outcome: str
    detail: str
    text: object
    boxes: int = 1


GOOD = "0 0.5 0.5 0.25 0.5\n"
HUGE = "9" * 400

YOLO = [
    Case("empty file", "accepted", "image without boxes", "", 0),
    Case("no label file", "no_label_file", "image without boxes", None, 0),
    Case("byte order mark", "accepted", "ignored", b"\xef\xbb\xbf" + GOOD.encode()),
    Case("Windows line ends", "accepted", "read", GOOD.replace("\n", "\r\n") * 2, 2),
    Case("empty lines and tabs", "accepted", "read", "\n\n" + GOOD.replace(" ", "\t") + " \n"),
    Case("class with a decimal point", "accepted", "read", GOOD.replace("0 ", "0.0 ", 1)),
    Case("class in Arabic digits", "accepted", "read", "\u0660 0.5 0.5 0.25 0.5"),
    Case("outline of three points", "accepted", "its box", GOOD + "1 .1 .1 .5 .1 .5 .6", 2),
    Case("outline of a thousand points", "accepted", "its box", "1" + " .1 .1 .5 .6" * 500),
    Case("box beyond the edge", "clipped", "clipped", "0 0.95 0.5 0.5 0.5"),
    Case("class not listed", "unknown_category", "skipped", GOOD + "2 .5 .5 .5 .5"),
    Case("class below 0", "unknown_category", "skipped", GOOD + "-1 .5 .5 .5 .5"),
    Case("class of 300 digits", "unknown_category", "skipped", GOOD + HUGE[:300] + " .5 .5 .5 .5"),
    Case("class is NaN", "malformed_box", "skipped", GOOD + "nan .5 .5 .5 .5"),
    Case("class is a word", "malformed_box", "skipped", GOOD + "cat .5 .5 .5 .5"),
    Case("three numbers", "malformed_box", "skipped", GOOD + "0 .5 .5 .5"),
    Case("box and confidence", "malformed_box", "skipped", GOOD + "0 .5 .5 .5 .5 .9"),
    Case("outline of two and a half points", "malformed_box", "skipped", GOOD + "0 1 2 3 4 5 6 7"),
    Case("commas between numbers", "malformed_box", "skipped", GOOD + "0,.5,.5,.5,.5"),
    Case("decimal commas", "malformed_box", "skipped", GOOD + "0 0,5 0,5 0,5 0,5"),
    Case("NaN in the box", "not_finite", "skipped", GOOD + "0 .5 nan .5 .5"),
    Case("NaN in an outline", "not_finite", "skipped", GOOD + "0 .1 .1 .2 nan .3 .3"),
    Case("infinite width", "not_finite", "skipped", GOOD + "0 .5 .5 inf .5"),
    Case("number of 400 digits", "not_finite", "skipped", GOOD + f"0 .5 .5 {HUGE} .5"),
    Case("width 0", "zero_area", "skipped", GOOD + "0 .5 .5 0 .5"),
    Case("outline on a line", "zero_area", "skipped", GOOD + "0 .1 .1 .2 .1 .3 .1"),
    Case("negative width", "negative_size", "skipped", GOOD + "0 .5 .5 -.5 .5"),
    Case("pixels in place of shares", "outside", "skipped", GOOD + "0 320 240 50 60"),
    Case("no UTF-8", "malformed_annotation", "image left out", b"\xff\xfe0 .5"),
    Case("an image", "malformed_annotation", "image left out", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
]

ROW = "1.jpg,5,6,20,30,cat\n"

CSV = [
    Case("image without boxes", "accepted", "kept", "1.jpg,,,,,\n", 0),
    Case("empty lines", "accepted", "ignored", f"\n\n{ROW}\n"),
    Case("header", "accepted", "read", f"path,x1,y1,x2,y2,class\n{ROW}"),
    Case("byte order mark", "accepted", "ignored", b"\xef\xbb\xbf" + ROW.encode()),
    Case("Windows line ends", "accepted", "read", ROW.replace("\n", "\r\n") * 2, 2),
    Case("blanks around cells", "accepted", "ignored", ROW.replace(",", " , ")),
    Case("quoted cells", "accepted", "read", '"1.jpg",5,6,20,30,"cat"\n'),
    Case("corners with decimals", "accepted", "read", "1.jpg,5.5,6.25,2e1,30,cat\n"),
    Case("path in Windows' way", "found_elsewhere", "read", "photos\\1.jpg,5,6,20,30,cat\n"),
    Case("five columns", "malformed_box", "skipped", ROW + "1.jpg,5,6,20,30\n"),
    Case("seven columns", "malformed_box", "skipped", ROW + "1.jpg,5,6,20,30,cat,1\n"),
    Case("no path", "malformed_box", "skipped", ROW + ",5,6,20,30,cat\n"),
    Case("corner is a word", "malformed_box", "skipped", ROW + "1.jpg,a,6,20,30,cat\n"),
    Case("corner missing", "malformed_box", "skipped", ROW + "1.jpg,,6,20,30,cat\n"),
    Case("class without a box", "malformed_box", "skipped", ROW + "1.jpg,,,,,cat\n"),
    Case("class not listed", "unknown_category", "skipped", ROW + "1.jpg,5,6,20,30,cow\n"),
    Case("class missing", "unknown_category", "skipped", ROW + "1.jpg,5,6,20,30,\n"),
    Case("NaN", "not_finite", "skipped", ROW + "1.jpg,nan,6,20,30,cat\n"),
    Case("corner of 400 digits", "not_finite", "skipped", ROW + f"1.jpg,5,6,{HUGE},30,cat\n"),
    Case("width in place of x2", "negative_size", "skipped", ROW + "1.jpg,50,6,9,30,cat\n"),
    Case("one corner twice", "zero_area", "skipped", ROW + "1.jpg,5,6,5,6,cat\n"),
    Case("outside of the image", "outside", "skipped", ROW + "1.jpg,70,6,90,30,cat\n"),
    Case("partly outside", "clipped", "clipped", "1.jpg,50,6,90,30,cat\n"),
    Case("image missing", "missing_image", "image left out", "gone.jpg,5,6,20,30,cat\n"),
    Case("path out of the folder", "outside_folder", "left out", "../secret.jpg,5,6,20,30,cat\n"),
    Case("NUL in a path", "missing_image", "left out, name escaped", "1\0.jpg,5,6,20,30,cat\n"),
    Case("terminal commands", "missing_image", "name escaped", "\x1b[2J.jpg,5,6,20,30,cat\n"),
    Case("no UTF-8", "refused", "no UTF-8", b"\xff\xfe1.jpg"),
    Case("open quotation mark", "refused", r"line 2, is no CSV", '"1.jpg,5,6,20,30,cat\n'),
    Case("cell of 200,000 letters", "refused", "is no CSV", f"{'x' * 200_000},5,6,20,30,cat\n"),
    Case(
        "header without x2", "refused", "the header needs", f"path,x1,y1,width,height,class\n{ROW}"
    ),
    Case("other header", "refused", "neither a header nor a row", f"a,b,c,d,e,f\n{ROW}"),
    Case("VOC's XML", "refused", "neither a header nor a row", "<annotation/>\n"),
]


def rows():
    """Rows of the table: source, input, outcome."""
    for source, cases in (("YOLO", YOLO), ("CSV", CSV)):
        for case in cases:
            outcome = {"accepted": f"accepted: {case.detail}", "refused": "refused, named"}
            counted = f"{case.detail}, counted (`{case.outcome}`)"
            yield source, case.what, outcome.get(case.outcome, counted)
