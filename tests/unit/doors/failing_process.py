"""A process that ends with a sentence instead of starting."""

import sys

sys.exit("the keeper is not there")
