"""`python -m medcorpus`."""

from medcorpus.cli import main

if __name__ == "__main__":
    main()
