"""Numbered plain SQL for the site's MySQL 8 or MariaDB.

Each file may be applied by the plain client, by `craic migrate`, and any number of times. So each statement
ends in a semicolon and holds no other one, and nothing needs a DELIMITER.
"""
