"""``python -m sciml_lib``."""

from sciml_lib.cli import main

if __name__ == "__main__":
    main()
