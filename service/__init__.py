"""The aiohttp application and everything it reads or writes."""
