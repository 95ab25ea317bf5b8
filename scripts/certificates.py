"""Draw the kept certificates: an HTML page beside each, and its loss curves in docs/figures/.

    python scripts/certificates.py

Reads docs/certificates/*.json, which are copies of the certificate.json that `ftspec verify` wrote.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from ftspec.report.html import page
from ftspec.verify.certificate import Certificate, from_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
COLOURS = ("#7a8394", "#0072b2", "#d55e00", "#009e73", "#a3409a", "#b08900")
"""Those of the page, which reads well on light paper; the figure brings its paper with it."""
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#5d636e}.grid{stroke:#ececea}"
    ".c0 path,.c0 circle{opacity:.45}"
    + "".join(f".c{n} path{{stroke:{c}}}.c{n} circle{{fill:{c}}}" for n, c in enumerate(COLOURS))
)
LEGEND = 30
"""Height of the line of names above the chart, in the chart's own units."""


def figure(certificate: Certificate) -> str:
    """The page's first chart, the losses, as a picture that stands by itself."""
    found = re.search(r'<svg viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', page(certificate), re.S)
    if found is None:
        raise ValueError("the page has no chart")
    width, height, chart = int(found[1]), int(found[2]), found[3]
    names, at = [], 78
    for number, run in enumerate(certificate.runs.values()):
        names.append(
            f'<g class="c{number}"><circle cx="{at}" cy="18" r="5"/></g>'
            f'<text x="{at + 12}" y="22">{escape(run.title)}</text>'
        )
        at += 44 + 8 * len(run.title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + LEGEND}" role="img">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="{width}" height="{height + LEGEND}" rx="12" fill="#fff"/>\n'
        + "\n".join(names)
        + f'\n<g transform="translate(0 {LEGEND})">{chart}</g>\n</svg>\n'
    )


def main() -> None:
    """Draw all of them."""
    for file in sorted((DOCS / "certificates").glob("*.json")):
        certificate = from_json(file.read_text(encoding="utf-8"))
        file.with_suffix(".html").write_text(page(certificate), encoding="utf-8")
        picture = DOCS / "figures" / f"{file.stem}.svg"
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(figure(certificate), encoding="utf-8")
        print(f"{file.stem}: {certificate.verdict}")


if __name__ == "__main__":
    main()
