"""`python -m service` is `craic`."""

from service.cli import main

main(prog_name="craic")
