"""Speed, memory and quality, measured; the gates of `tox -e bench`."""
