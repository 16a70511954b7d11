"""Speed, memory and quality, measured; the gates of `tox -e bench`."""

from service.process import prepare_this_process

prepare_this_process()
