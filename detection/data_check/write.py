"""Writes the data check into a folder: JSON, page and pictures."""

import json
import pathlib

from detection.data_check.contact_sheet import sample_sheet, suspicious_sheet
from detection.data_check.report_html import html_page

JSON_NAME = "data_check.json"


def write_report(check, folder, images=16, title="Data check"):
    """Writes `data_check.json`, `data_check.html`, `samples.png` and `suspicious.png`.

    Args:
        check: A `DataCheck`.
        folder: String or path; made if missing. An earlier report in it is replaced.
        images: Integer, number of images on a contact sheet; 0 for none.
        title: String, heading of the page.

    Returns:
        List of the paths written. `suspicious.png` is only there if something is suspicious.

    Raises:
        ValueError: If the folder holds something that is no report.

    Example:

    ```python
    write_report(check_data(detection.load_config("quickstart")), "report")
    ```
    """
    folder = pathlib.Path(folder)
    names = (JSON_NAME, "data_check.html", "samples.png", "suspicious.png")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"The report needs a folder of its own. Received: the file {folder}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / JSON_NAME).is_file():
        raise ValueError(
            f"The folder {folder} holds something else than a report of the data check; give a new "
            f"one. Received: {', '.join(sorted(path.name for path in folder.iterdir())[:5])}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    sheets = {}
    if images:
        sheets["samples"] = sample_sheet(check.datasets, images)
        sheets["suspicious"] = suspicious_sheet(check.datasets, check.problems, images)
    content = json.dumps(check.to_dict(), indent=1, allow_nan=False)
    texts = {names[0]: content, names[1]: html_page(check, title, **sheets)}
    written = []
    for name, text in texts.items():
        written.append(folder / name)
        written[-1].write_text(text, encoding="utf-8")
    for name, sheet in sheets.items():
        if sheet is not None:
            written.append(folder / f"{name}.png")
            sheet.save(written[-1])
    return written
