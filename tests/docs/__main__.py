"""``python -m tests.docs``: writes the generated pages; with ``--pictures`` the pictures too."""

from __future__ import annotations

import sys

from tests.docs.generated import write_pages, write_pictures

if __name__ == "__main__":
    write_pages()
    if "--pictures" in sys.argv[1:]:
        write_pictures()
