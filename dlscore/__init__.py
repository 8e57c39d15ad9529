"""Score a grid of PushT actions under a Diffusion Policy and cache the result for dlrender."""

__version__ = "0.1.0"
