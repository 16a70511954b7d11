from hypothesis import settings

# The first call of a kernel compiles it, which says nothing about the example that happened to make it.
settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
