"""The frame of a report: one HTML page with its style inside, readable in print and on a narrow screen."""

from __future__ import annotations

from html import escape

STYLE = """
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; color: #1a1c20;
  background: #fff; max-width: 72rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; }
p { max-width: 46rem; } .lead { color: #4a5160; margin-top: 0; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: 1.2rem 0 1.8rem; } figcaption { margin-bottom: .3rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem;
  margin: 1.4rem 0; padding: 0; list-style: none; }
.figures li { background: #f4f6f9; border-radius: .5rem; padding: .7rem .9rem; }
.figures b { display: block; font-size: 1.45rem; line-height: 1.2; }
.figures span { color: #4a5160; font-size: .88rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .92rem; }
td, th { text-align: left; padding: .28rem 1.1rem .28rem 0; border-bottom: 1px solid #e3e6eb; vertical-align: top; }
thead th { color: #4a5160; font-weight: 600; vertical-align: bottom; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } td.n { white-space: nowrap; }
td small { display: block; white-space: nowrap; }
pre { background: #f4f6f9; border-radius: .5rem; padding: .9rem 1rem; overflow-x: auto; font-size: .88rem; }
.note { border-left: .25rem solid #e69f00; background: #fdf6e7; padding: .6rem .9rem; border-radius: .2rem; }
.found { border-left: .25rem solid #0072b2; background: #eef5fa; padding: .6rem .9rem; border-radius: .2rem; }
summary { cursor: pointer; color: #005a8c; } small { color: #4a5160; }
.key { display: inline-block; width: 1.5em; height: .3em; vertical-align: middle; margin: 0 .3em 0 .8em; }
"""


def html_page(title: str, body: str) -> str:
    """Return a whole page; title: plain text, body: HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>\n{body}\n</body></html>\n"
    )


def html_table(headings: list[str], rows: list[list[str]], *, numbers_from: int = 1) -> str:
    """Return a table; cells are HTML. numbers_from: the first column that is set flush right, as figures are."""
    kinds = ["" if k < numbers_from else " class='n'" for k in range(len(headings))]
    head = "".join(f"<th{kind}>{text}</th>" for kind, text in zip(kinds, headings, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{text}</td>" for kind, text in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def safe(text: str) -> str:
    """Return plain text as HTML, for content and for attributes in either kind of quotes."""
    return escape(text, quote=True)


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"
