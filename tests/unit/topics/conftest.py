from hypothesis import settings

# A time limit for each example would only tell how busy the machine is.
settings.register_profile("topics", deadline=None)
settings.load_profile("topics")
