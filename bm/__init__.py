"""Better Manager: a local gateway between coding tools and the models their owner pays for or gets for free."""

__version__ = "0.1.0"
