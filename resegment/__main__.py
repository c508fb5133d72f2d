"""`python -m resegment`: the command line."""

from resegment.cli import main

main()
