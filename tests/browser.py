"""Pages in a headless Chromium, at the widths of a desk and of a telephone."""

import html
import json
import re
import shutil
import subprocess

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for path in map(shutil.which, _NAMES) if path), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium")
WIDTHS = (1280, 390)

_WATCH = """<script>
  window.errors = [];
  addEventListener("error", (e) => errors.push(e.message));
  addEventListener("unhandledrejection", (e) => errors.push(String(e.reason)));
  document.addEventListener("securitypolicyviolation", (e) => errors.push(e.violatedDirective));
  for (const kind of ["error", "warn"]) console[kind] = (...words) => errors.push(words.join(" "));
</script>"""
_TELL = """<script>{
  const seen = { inner: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches };
  try { %s } catch (error) { errors.push(String(error)); }
  // What may be wider is scrolled by itself.
  seen.wide = [...document.querySelectorAll("main *")]
    .filter((e) => !e.parentElement.closest(".scroll, pre, svg"))
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map((e) => `${e.tagName}.${e.className}`);
  if (document.documentElement.scrollWidth > innerWidth) seen.wide.push("page");
  seen.errors = errors;
  parent.postMessage([innerWidth, seen], "*");
}</script></body>"""
# A window of Chromium is never as narrow as a telephone; a frame in it may be.
_FRAMES = """<!doctype html><body><script>
  const found = {};
  addEventListener("message", (e) => {
    found[e.data[0]] = e.data[1];
    document.body.dataset.seen = JSON.stringify(found);
  });
</script>%s</body>"""


def drive(page, script, folder, dark=False):
    """What a script sees in a page at each of `WIDTHS`.

    Args:
        page: str of HTML.
        script: str of JavaScript that puts what it sees into the object `seen`.
        folder: `pathlib.Path` to write to.
        dark: bool, the colour scheme.

    Returns:
        Dict of width to dict: what the script put there, `wide` (elements that reach beyond the
        window), `errors`, `inner` (width of the window) and `dark`.
    """
    text = page.replace("<head>", "<head>" + _WATCH, 1)
    (folder / "driven.html").write_text(text.replace("</body>", _TELL % script, 1))
    frames = (
        f'<iframe src="driven.html" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in WIDTHS
    )
    (folder / "frames.html").write_text(_FRAMES % "".join(frames))
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"),
        *(f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=10000"),
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        *("--dump-dom", (folder / "frames.html").as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    seen = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert seen, done.stderr
    found = {int(k): v for k, v in json.loads(html.unescape(seen.group(1))).items()}
    assert sorted(found) == sorted(WIDTHS)
    return found
