"""Run the command line as `python -m wheelyard`."""

from wheelyard.cli import main

if __name__ == "__main__":
    main()
