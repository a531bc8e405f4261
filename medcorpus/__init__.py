"""medcorpus: multilingual medical datasets and the models tuned on them."""

__version__ = "0.1.0"
