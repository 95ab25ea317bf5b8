"""`python -m ftspec`: the same command line, where no script of that name is on the path."""

from ftspec.cli import main

if __name__ == "__main__":
    main()
