"""The READMEs' links lead somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_link_leads_somewhere() -> None:
    for readme in (ROOT / "README.md", *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme.name}: {target}"
