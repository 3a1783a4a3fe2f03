"""Whether every link of a built site leads to a file, and to a place in it, when the pages are opened from a disk.

Usage: python scripts/links.py site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PLACES = ("href", "src")


class Page(HTMLParser):
    """The links of a page, and the places in it that a link can lead to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what a tag links to and how it is named."""
        for name, value in attrs:
            if value and name in PLACES and tag != "form":
                self.links.append(value)
            elif value and name in ("id", "name"):
                self.places.add(value)


def dead(site: Path) -> list[str]:
    """A line for every link of the site that leads nowhere; links to other hosts are not followed.

    404.html is left out: only a web server shows it.
    """
    files = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    pages = {path.resolve(): Page(path.read_text()) for path in files}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.is_file():
                found.append(f"{path.relative_to(site.resolve())}: {link} is no file")
            elif place and target in pages and place not in pages[target].places:
                found.append(f"{path.relative_to(site.resolve())}: {link} names no place")
    return found


def main() -> None:
    """Print the dead links; status 1 where there are any."""
    site = Path(sys.argv[1])
    lines = dead(site)
    print("\n".join(lines) or f"every link of {site} leads to a file")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
