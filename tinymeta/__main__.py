"""`python -m tinymeta`."""

import sys

from tinymeta.cli import main

if __name__ == "__main__":
    sys.exit(main())
