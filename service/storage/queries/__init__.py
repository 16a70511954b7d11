"""Every question the service asks a database, by subject; each statement written once for all engines.

Ids come out as text, times as whole seconds since 1970 in UTC.
"""
