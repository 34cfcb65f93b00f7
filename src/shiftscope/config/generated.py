"""Files of the repository that are written from the code: `make generated`, and a test compares them."""

import json
import re
from pathlib import Path

from shiftscope.config.json_schema import json_schema
from shiftscope.files import write_text
from shiftscope.metrics.base import all_metrics, markdown

SCHEMA = Path("config/schema.json")
FORMATS = Path("docs/file-formats.md")
TABLE = re.compile(r"(?<=<!-- metrics: written by `make generated` -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
"""the table of metrics in docs/file-formats.md"""


def generated(root: Path) -> dict[Path, str]:
    """What should stand in each file, by its path."""
    formats = (root / FORMATS).read_text(encoding="utf-8")
    return {
        root / SCHEMA: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
        root / FORMATS: TABLE.sub(lambda _: markdown(all_metrics()), formats),
    }


if __name__ == "__main__":
    for path, text in generated(Path()).items():
        write_text(path, text)
        print(path)
