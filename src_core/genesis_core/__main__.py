"""`python -m genesis_core`, the same as the console script `napari-genesis`."""

from genesis_core.cli.main import main

if __name__ == "__main__":
    main()
